"""Getting public image sets: `python -m training.download --name dsb2018` fetches, verifies and unpacks one.

Shows address, licence and citation first and keeps them beside the data (SOURCE.md). An interrupted transfer resumes
where it stopped. The status is 0 when the data lie there, 1 when the transfer failed, 2 when a value cannot be used.
Nothing here knows how a data folder is read, and nothing is fetched that no person asked for by name.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import requests

from training.command.entry import Parser, run_command, user_path
from training.data.public.catalogue import CATALOGUE, PublicSet, RemoteFile, check_command, describe_set, find_set
from training.data.public.unpack import SOURCE, Received, count_files, find_earlier, require_space, unpack, write_source

MODULE = "training.download"
AUTO = "auto"  # out: data/<name>
TIMEOUT = (10, 60)  # seconds: to connect, and between two pieces
PAUSES = (1.0, 3.0, 9.0, 27.0)  # seconds before each further try
TRANSIENT = (408, 429, 500, 502, 503, 504)  # of HTTP: worth another try
CHUNK = 1 << 16
REPAINT_SECONDS = 0.2
BYTES_PER_LINE = 100_000_000  # a line in a log where the size is unknown
AGAIN = "run the same command again: it resumes where it stopped"


class TransferFailed(Exception):
    """What the network did, and not what a person gave."""


class DroppedError(Exception):
    """This try failed, the next may not."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0, 1 or 2, as said above."""
    return run_command(MODULE, download, arguments)


def download(arguments: Sequence[str]) -> int:
    """0 or 1; raises ValueError for what cannot be used."""
    options = parse(arguments)
    dataset = find_set(options.name)
    out = Path("data", dataset.name) if options.out == Path(AUTO) else options.out
    try:
        fetch(dataset, out, sys.stdout)
    except OSError as error:
        raise ValueError(f"out={out}: it cannot be written ({error}); choose another folder") from None
    except TransferFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nstopped; {AGAIN}", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line. Raises ValueError."""
    parser = Parser(MODULE, (__doc__ or "").split("\n")[0])
    parser.add_argument("--name", required=True, help=", ".join(CATALOGUE))
    parser.add_argument("--out", type=user_path, default=AUTO, help="a new or an empty folder; auto: data/<name>")
    return parser.parse(arguments)


def fetch(dataset: PublicSet, out: Path, say: TextIO, pauses: Sequence[float] = PAUSES) -> None:
    """Fill the folder `out`, unless the set is there already; nothing half is ever at `out`.

    Raises ValueError for a folder or an archive that cannot be used, TransferFailed for what the network did.
    """
    print(*describe_set(dataset), sep="\n", file=say, flush=True)
    out = out.resolve()
    if not dataset.files:
        raise ValueError(
            f"name={dataset.name!r}: its publisher gives no address that a program may fetch; download it by hand from "
            f"{dataset.home}, unpack it into {out} ({dataset.advice}), then run: {check_command(dataset, out)}"
        )
    known = find_earlier(dataset.name, out)
    if known and count_files(out)[0]:
        print(f"{out}: {known.num_files:,} files are there, fetched and verified before; nothing to do", file=say)
        return
    recorded = {one.name: one.sha256 for one in known.received} if known else {}
    work = out.with_name(f"{out.name}.download")
    work.mkdir(parents=True, exist_ok=True)
    for file in dataset.files:
        transfer(file, work, say, pauses)
    received = [_verify(file, work / file.name, recorded.get(file.name, "")) for file in dataset.files]
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        unpacked = Path(scratch, "unpacked")
        for file in dataset.files:
            _unpack(work / file.name, unpacked, say)
        write_source(dataset, unpacked, received)
        if out.exists():
            (out / SOURCE).unlink(missing_ok=True)
            out.rmdir()
        unpacked.rename(out)
    shutil.rmtree(work)
    print(f"{out}: {count_files(out)[0]:,} files; where they come from is in {SOURCE}", file=say)
    print(f"next: {check_command(dataset, out)}", file=say, flush=True)


def transfer(file: RemoteFile, folder: Path, say: TextIO, pauses: Sequence[float]) -> None:
    """folder/<name>, whole. What came before a failure stays in <name>.part and is not fetched again."""
    part = folder / f"{file.name}.part"
    failures = 0
    while not (folder / file.name).exists():
        try:
            _attempt(file, part, say)
            part.rename(folder / file.name)
        except (requests.RequestException, DroppedError) as dropped:
            error = _reason(dropped)
            if failures == len(pauses):
                raise TransferFailed(f"{file.address}: {error}; {failures + 1} tries failed; {AGAIN}") from None
            end_of_line = "\n" if say.isatty() else ""
            print(f"{end_of_line}{file.name}: {error}; trying again in {pauses[failures]:g} s", file=say, flush=True)
            time.sleep(pauses[failures])
            failures += 1


def _reason(error: Exception) -> str:
    """In one line: requests wraps what happened in three layers of its own."""
    cause = getattr(error.args[0], "reason", error) if error.args else error
    return str(cause).rsplit("): ", maxsplit=1)[-1]


def transfer_progress(out: TextIO, name: str, start: int, total: int) -> Callable[[int], None]:
    """Told the bytes there: one rewritten line on a terminal, a line every tenth in a log. total 0: unknown."""
    began, last, painted = time.monotonic(), start, 0.0
    step = total / 10 if total else BYTES_PER_LINE

    def show(done: int) -> None:
        nonlocal last, painted
        now = time.monotonic()
        share = f" of {total / 1e6:,.1f} MB, {100 * done // total} %" if total else " MB"
        text = f"{name}: {done / 1e6:,.1f}{share}, {(done - start) / 1e6 / max(now - began, 1e-3):.1f} MB/s"
        if out.isatty() and (done == total or now - painted > REPAINT_SECONDS):
            out.write(f"\r\x1b[K{text}" + ("\n" if done == total else ""))
            painted = now
        elif not out.isatty() and done // step > last // step:
            out.write(text + "\n")
        out.flush()
        last = done

    return show


def _attempt(file: RemoteFile, part: Path, say: TextIO) -> None:
    """Fetch what is missing. Raises DroppedError or a RequestException for what another try may cure."""
    response, done = _open(file, part)
    with response:
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length else 0
        print(f"{file.name}: {total / 1e6:,.1f} MB" if total else f"{file.name}: size unknown", end="", file=say)
        print(f", {done / 1e6:,.1f} MB of them are there" if done else "", file=say, flush=True)
        require_space(part.parent, total - done, file.name)
        show = transfer_progress(say, file.name, done, total)
        with part.open("ab" if done else "wb") as out:
            marks = {"address": file.address, "total": total, **_validators(response)}
            part.with_suffix(".json").write_text(json.dumps(marks), encoding="utf-8")
            for chunk in response.iter_content(CHUNK):
                out.write(chunk)
                done += len(chunk)
                show(done)
    if total and done != total:
        raise DroppedError(f"{done:,} of {total:,} bytes came")


def _open(file: RemoteFile, part: Path) -> tuple[requests.Response, int]:
    """An answer, and how many bytes of the part it resumes from: 0 unless the server surely has the same file still."""
    try:
        marks = json.loads(part.with_suffix(".json").read_text(encoding="utf-8"))
        have = part.stat().st_size
    except (OSError, ValueError):
        marks, have = {}, 0
    told = {key: value for key, value in marks.items() if key in ("ETag", "Last-Modified") and value}
    if have and marks["address"] == file.address and marks["total"] and (told or file.sha256):
        response = _get(file, {"Range": f"bytes={have}-"}, (200, 206, 416))
        rest = f"bytes {have}-{marks['total'] - 1}/{marks['total']}"
        same = told.items() <= _validators(response).items() and response.headers.get("Content-Range") == rest
        if response.status_code == 206 and same:
            return response, have
        if response.status_code == 200:
            return response, 0
        response.close()
    return _get(file, {}, (200,)), 0


def _get(file: RemoteFile, headers: dict[str, str], expected: tuple[int, ...]) -> requests.Response:
    headers = {"Accept-Encoding": "identity", **headers}  # so that bytes are counted as they are stored
    response = requests.get(file.address, headers=headers, stream=True, timeout=TIMEOUT)
    if response.status_code in expected:
        return response
    response.close()
    answer = f"the server answers {response.status_code} {response.reason}"
    if response.status_code in TRANSIENT:
        raise DroppedError(answer)
    raise TransferFailed(f"{file.address}: {answer}; look at the home page above whether the file has moved")


def _validators(response: requests.Response) -> dict[str, str]:
    return {key: response.headers.get(key, "") for key in ("ETag", "Last-Modified")}


def _verify(file: RemoteFile, path: Path, recorded: str) -> Received:
    """Raises TransferFailed, and removes the file, where it is not what was published or fetched before."""
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    expected = file.sha256 or recorded
    if expected and digest != expected:
        path.unlink()
        source = "is known" if file.sha256 else f"is recorded in {SOURCE}"
        raise TransferFailed(
            f"{file.name}: its SHA-256 is {digest}, but {expected} {source}; the file was removed; run the same "
            "command again, and if this stays so, the publisher has changed the file: look at the home page above"
        )
    return Received(name=file.name, num_bytes=path.stat().st_size, sha256=digest)


def _unpack(archive: Path, folder: Path, say: TextIO) -> None:
    print(f"unpacking {archive.name}", file=say, flush=True)
    folder.mkdir(exist_ok=True)
    try:
        unpack(archive, folder)
    except zipfile.BadZipFile as error:
        archive.unlink()
        raise TransferFailed(
            f"{archive.name}: the zip is damaged ({error}); it was removed, run the same command again to fetch it anew"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
