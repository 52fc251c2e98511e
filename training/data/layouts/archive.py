"""A zip given as data becomes a folder: unpacked once, as safely as a download, and found again by its content.

Other archives are refused with the cure. A folder, or a csv of paths, is returned as it is.
"""

import hashlib
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from training.data.layouts.listing import is_litter
from training.data.layouts.pairs import SUFFIXES
from training.data.prepared import cache_folder
from training.data.public.unpack import unpack

FOLDER = "unpacked"  # in the cache
MAX_BYTES = 20 * 2**30  # of all unpacked archives together; the oldest go
CHUNK = 1 << 20
TABLES = (".csv", ".tsv", ".txt")
ARCHIVES = (
    *(".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".lz4", ".z01", ".001"),
)
MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
DOCUMENTS = (".xlsx", ".xlsm", ".ods", ".docx", ".odt", ".pptx")  # zips inside
VOLUMES = (".nii.gz",)
ARRAYS = (".npz", ".npy", ".h5", ".hdf5", ".mat")
TEXTS = (".txt", ".md", ".rst", ".pdf", ".html", ".rtf", ".log", ".url")  # that lie beside a download
TEXT_NAMES = ("readme", "license", "licence", "copying", "citation", "changelog", "notice", "authors")
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
SIDES = ("image", "mask", "label", "img")  # a folder of such a name says what it holds, and is no wrapper


def open_archive(data: Path) -> Path:
    """The folder that a zip holds, or a folder with nothing but a zip and texts about it; any other folder or csv as it
    is.

    Raises ValueError for a zip that is broken, encrypted or not safe, and for files that are none of these.
    """
    archive = _only_archive(data) if data.is_dir() else data
    if archive is None or not archive.is_file() or (archive == data and data.suffix.lower() in TABLES):
        return data
    _require_zip(archive)
    with archive.open("rb") as file:
        key = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    home = cache_folder() / FOLDER
    home.mkdir(exist_ok=True)
    entry = home / key
    if not entry.is_dir():
        _unpack(archive, entry)
    os.utime(entry)  # used now
    _drop_oldest(home, keep=entry)
    return _descend(entry)


def is_archive(path: Path) -> bool:
    """By its suffix; a zip of any other by its beginning, unless it is a document or arrays."""
    name = path.name.lower()
    if not path.is_file() or name.endswith((*SUFFIXES, *DOCUMENTS, *ARRAYS, *VOLUMES)):
        return False
    return name.endswith(ARCHIVES) or _head(path).startswith(ZIP_MAGIC)


def _only_archive(folder: Path) -> Path | None:
    found = [path for path in folder.iterdir() if not is_litter(path.name) and not _is_text(path)]
    return found[0] if len(found) == 1 and is_archive(found[0]) else None


def _is_text(path: Path) -> bool:
    """Whether it is words about a data set."""
    return path.is_file() and (path.suffix.lower() in TEXTS or path.name.lower() in TEXT_NAMES)


def _head(path: Path) -> bytes:
    """The first bytes. Raises ValueError."""
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise ValueError(f"data={path}: it cannot be read ({error.strerror}); check its permissions") from None


def _require_zip(path: Path) -> None:
    """Raises ValueError, with the cure, for what is no zip."""
    head, name = _head(path), path.name.lower()
    if name.endswith(DOCUMENTS):
        raise ValueError(f"data={path}: this is a document; save the table as csv (UTF-8) and give that")
    if name.endswith(ARRAYS):
        raise ValueError(f"data={path}: arrays are not read; save each image and each mask as a png or tif file")
    if head.startswith(ZIP_MAGIC):
        return
    if name.endswith(".zip"):
        raise ValueError(f"data={path}: this is no zip, or its beginning is lost; copy or download it again")
    if head.startswith(MAGIC) or name.endswith(ARCHIVES):
        raise ValueError(
            f"data={path}: of archives only zip is read; unpack it and give the folder, or pack it as a zip"
        )
    if name.endswith((".json", ".yaml", ".yml", ".xml")):
        raise ValueError(f"data={path}: give the folder that holds {path.name} and its images")
    raise ValueError(f"data={path}: give a folder of images and masks, a zip of one, or a csv of paths")


def _unpack(archive: Path, entry: Path) -> None:
    """Into a temporary folder that becomes the entry when all is well."""
    scratch = Path(tempfile.mkdtemp(prefix="unfinished-", dir=entry.parent))
    try:
        unpack(archive, scratch, "choose another folder with XDG_CACHE_HOME")
        try:
            scratch.rename(entry)
        except OSError:
            if not entry.is_dir():  # else another process was faster
                raise
    except zipfile.BadZipFile as error:
        raise ValueError(f"data={archive}: the zip is damaged ({error}); copy or download it again") from None
    except ValueError as error:
        raise ValueError(f"data={error}; unpack it yourself, look at it, and give the folder") from None
    except OSError as error:
        raise ValueError(
            f"data={archive}: it cannot be unpacked into {entry.parent} ({error.strerror}); set XDG_CACHE_HOME"
        ) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _descend(folder: Path) -> Path:
    """Past folders that hold nothing but one folder, unless its name says what it holds."""
    while True:
        found = [path for path in folder.iterdir() if not is_litter(path.name)]
        if len(found) != 1 or not found[0].is_dir() or any(side in found[0].name.lower() for side in SIDES):
            return folder
        folder = found[0]


def _drop_oldest(home: Path, keep: Path) -> None:
    entries = sorted((path for path in home.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    sizes = {path: sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) for path in entries}
    total = sum(sizes.values())
    for folder, size in sizes.items():
        if total > MAX_BYTES and folder != keep and not folder.name.startswith("unfinished-"):
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
