"""A zip archive from the network becomes a folder that says where it came from, and nothing outside that folder.

An archive's own claims are not believed: names are checked before anything is written, bytes are counted as they are
written. SOURCE.md is for people, and in its last line for the next call. Nothing here knows the network.
"""

import json
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from lzma import LZMAError
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from training.data.public.catalogue import PublicSet, check_command

SOURCE = "SOURCE.md"
MAX_FILES = 200_000
MAX_BYTES = 20 * 1000**3  # unpacked
MAX_RATIO = 200  # bytes unpacked for a byte of the archive; images stay far below, a bomb does not
SMALL = 10_000_000  # bytes that any archive may grow to, whatever its ratio
CHUNK = 1 << 20
ENCRYPTED = 0x1  # the bit of a member's flags
ELSEWHERE = "choose another folder with --out"
SKIPPED = ("__MACOSX", ".DS_Store")
_RECORD = re.compile(r"^<!-- record: (.+) -->$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Received:
    """One archive as it arrived."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was fetched into a folder."""

    name: str  # of the set
    received: tuple[Received, ...]
    num_files: int  # unpacked, SOURCE.md not counted
    num_bytes: int


def unpack(archive: Path, folder: Path, cure: str = ELSEWHERE) -> None:
    """Write an archive's files below `folder`; what a mac adds of its own is left out.

    Raises zipfile.BadZipFile for an archive that is damaged, ValueError for one that is not safe or cannot be read;
    the files written until then stay, so `folder` is to be a temporary one.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _find_members(opened, str(archive))
            require_space(folder, sum(info.file_size for info, _ in members), f"{archive.name}, unpacked,", cure)
            room = min(MAX_BYTES, max(SMALL, MAX_RATIO * archive.stat().st_size))
            for info, place in members:
                with opened.open(info) as source:
                    room -= _write(source, folder / place, f"{archive}: member {info.filename!r}", room)
    except NotImplementedError as error:
        raise ValueError(f"{archive}: it is packed in a way that is not read here ({error})") from None
    except (zlib.error, LZMAError, EOFError) as error:
        raise zipfile.BadZipFile(str(error)) from None


def require_space(folder: Path, num_bytes: int, what: str, cure: str = ELSEWHERE) -> None:
    """Raises ValueError, with the numbers, before a disk runs full."""
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise ValueError(
            f"{what} needs {num_bytes / 1e6:,.0f} MB, but {folder} has {free / 1e6:,.0f} MB free; make room there, or "
            f"{cure}"
        )


def find_earlier(name: str, out: Path) -> Record | None:
    """What was fetched into `out` before. Raises ValueError for a folder that is not ours to fill, or was changed."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    known = read_source(out)
    if known is None or known.name != name:
        holds = f"holds {known.name}" if known else "is not an empty folder, and this command did not fill it"
        raise ValueError(f"out={out} {holds}; choose a new or empty one; nothing there was touched")
    num_files, num_bytes = count_files(out)
    if num_files and (num_files < known.num_files or num_bytes < known.num_bytes):
        raise ValueError(
            f"out={out} holds {num_files:,} files and {num_bytes:,} bytes, but {known.num_files:,} files and "
            f"{known.num_bytes:,} bytes were unpacked there; delete all but {SOURCE} and run the same command again"
        )
    return known


def write_source(dataset: PublicSet, folder: Path, received: Sequence[Received]) -> None:
    """SOURCE.md: for people, and in its last line for read_source."""
    num_files, num_bytes = count_files(folder)
    record = Record(name=dataset.name, received=tuple(received), num_files=num_files, num_bytes=num_bytes)
    lines = [f"# {dataset.title}", "", f"- home: {dataset.home}", f"- licence: {dataset.licence}"]
    lines += [f"- citation: {dataset.citation}"]
    lines += [f"- fetched: {datetime.now(UTC):%Y-%m-%d}, by python -m training.download --name {dataset.name}"]
    lines += [f"- look at it with: {check_command(dataset, Path('FOLDER'))}", f"- advice: {dataset.advice}", ""]
    for file, got in zip(dataset.files, received, strict=True):
        checked = f"{got.sha256}, as expected" if file.sha256 else f"no published checksum; computed {got.sha256}"
        lines.append(f"- {got.name}: {file.address}, {got.num_bytes:,} bytes, SHA-256: {checked}")
    lines += ["", f"{num_files:,} files, {num_bytes:,} bytes unpacked.", ""]
    lines += [f"<!-- record: {json.dumps(asdict(record))} -->"]
    (folder / SOURCE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_source(folder: Path) -> Record | None:
    """None where the folder was not filled by write_source."""
    try:
        found = _RECORD.search((folder / SOURCE).read_text(encoding="utf-8"))
        values = json.loads(found[1]) if found else {}
        received = tuple(Received(**one) for one in values.pop("received"))
        return Record(received=received, **values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def count_files(folder: Path) -> tuple[int, int]:
    """Files below a folder and their bytes, SOURCE.md not counted."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path != folder / SOURCE]
    return len(sizes), sum(sizes)


def _find_members(opened: zipfile.ZipFile, name: str) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The files to write and where. Raises ValueError with the first that must not be written."""
    infos = opened.infolist()
    if len(infos) > MAX_FILES:
        raise ValueError(f"{name}: it holds {len(infos):,} members; at most {MAX_FILES:,} are unpacked")
    members = []
    for info in infos:
        place = PurePosixPath(info.filename.replace("\\", "/"))
        if not any(part in SKIPPED for part in place.parts):
            reason = _why_unsafe(info, place)
            if reason:
                raise ValueError(f"{name}: member {info.filename!r} {reason}; nothing of this archive is used")
            if not info.is_dir():
                members.append((info, place))
    if not members:
        raise ValueError(f"{name}: it holds no file")
    claimed = sum(info.file_size for info, _ in members)
    if claimed > MAX_BYTES:
        raise ValueError(f"{name}: it claims {claimed:,} bytes unpacked; at most {MAX_BYTES:,} are")
    return members


def _why_unsafe(info: zipfile.ZipInfo, place: PurePosixPath) -> str:
    """Empty for a member that may be written."""
    if place.is_absolute() or PureWindowsPath(place).drive:
        return "has an absolute name"
    if not place.parts or ".." in place.parts:
        return "leads out of the folder"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, and no file"
    return "is encrypted" if info.flag_bits & ENCRYPTED else ""


def _write(source: IO[bytes], target: Path, member: str, room: int) -> int:
    """Copy at most `room` bytes and return how many; one more is a bomb."""
    written = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while chunk := source.read(CHUNK):
                written += len(chunk)
                if written > room:
                    raise ValueError(
                        f"{member} brings more bytes than an archive of this size may hold (at most {MAX_RATIO} "
                        f"a byte, and {MAX_BYTES:,}); nothing of this archive is used"
                    )
                out.write(chunk)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"{member} is there twice; nothing of this archive is used") from None
    return written
