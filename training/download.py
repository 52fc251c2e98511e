"""Getting public image sets: `python -m training.download --name dsb2018` fetches, verifies and unpacks one.

Shows address, licence and citation first and keeps them beside the data (SOURCE.md). pooch transfers, asks again and
leaves nothing half. The status is 0 when the data lie there, 1 when the transfer failed, 2 when a value cannot be used.
Nothing here knows how a data folder is read, and nothing is fetched that no person asked for by name.
"""

import argparse
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import pooch
import requests

from training.command.entry import Parser, run_command, user_path
from training.data.public.catalogue import CATALOGUE, PublicSet, RemoteFile, check_command, describe_set, find_set
from training.data.public.unpack import SOURCE, Received, count_files, find_earlier, require_space, unpack, write_source

MODULE = "training.download"
AUTO = "auto"  # out: data/<name>
TIMEOUT = (10, 60)  # seconds: to connect, and between two pieces
RETRIES = 4  # of a transfer that failed, after 1, 2, 3 and 4 seconds
TRANSIENT = (408, 429, 500, 502, 503, 504)  # of HTTP: worth another try
CHUNK = 1 << 16
AGAIN = "run the same command again: what came whole is not fetched again"


class TransferFailed(Exception):
    """What the network or the disk did, and not what a person gave."""


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


def fetch(dataset: PublicSet, out: Path, say: TextIO) -> None:
    """Fill the folder `out`, unless the set is there already; nothing half is ever at `out`.

    Raises ValueError for a folder or an archive that cannot be used, TransferFailed for what happened on the way.
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
        transfer(file, work)
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


def transfer(file: RemoteFile, folder: Path) -> None:
    """folder/<name>, whole, unless it is there. Raises TransferFailed."""

    def check_answer(response: requests.Response, **_: object) -> None:
        """Before the first byte of a file is stored."""
        if response.status_code >= 400 and response.status_code not in TRANSIENT:  # pooch would ask again
            answer = f"the server answers {response.status_code} {response.reason}"
            raise TransferFailed(f"{file.address}: {answer}; look at the home page above whether the file has moved")
        try:
            require_space(folder, int(response.headers.get("Content-Length", 0)), file.name)
        except ValueError as error:
            raise TransferFailed(str(error)) from None

    source = pooch.create(
        path=folder,
        base_url="",
        registry={file.name: None},  # compared below: pooch would fetch what a publisher changed five times
        urls={file.name: file.address},
        retry_if_failed=RETRIES,
    )
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),  # a log would get a line at every piece
        chunk_size=CHUNK,
        timeout=TIMEOUT,
        headers={"Accept-Encoding": "identity"},  # so that bytes are counted as they are stored
        hooks={"response": check_answer},
    )
    try:
        source.fetch(file.name, downloader=downloader)
    except requests.RequestException as error:
        raise TransferFailed(f"{file.address}: {_reason(error)}; {RETRIES + 1} tries failed; {AGAIN}") from None


def _reason(error: Exception) -> str:
    """In one line: requests wraps what happened in three layers of its own."""
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    return str(cause).rsplit("): ", maxsplit=1)[-1]


def _verify(file: RemoteFile, path: Path, recorded: str) -> Received:
    """Raises TransferFailed, and removes the file, where it is not what was published or fetched before."""
    digest = pooch.file_hash(str(path))
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
