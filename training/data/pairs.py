"""An image and its mask, before either is read: the files and tables that hold them, as values.

What finds them is in layouts.py, stems.py and annotations.py beside this file, what reads them in masks.py.
"""

from dataclasses import dataclass, field
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
SHOWN_NAMES = 5
LONG_NAME = 40  # letters


@dataclass(frozen=True)
class MaskFile:
    """One file, or a page of a stack; its values say what is foreground."""

    path: Path
    page: int = 0
    values: tuple[int, ...] = ()  # that are foreground, where the layout says so (a label map); empty: look
    ignored: tuple[int, ...] = ()  # that count as neither, where the layout says so (VOC's void)


@dataclass(frozen=True)
class ObjectFiles:
    """One file an object; their union is foreground."""

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class RunLengths:
    """Kaggle's: pairs of a start and a length; one text per object. In which order, their own evidence decides."""

    path: Path  # the csv, for messages
    texts: tuple[str, ...]
    size: tuple[int, int] | None = None  # (height, width) that the table states


@dataclass(frozen=True)
class Shapes:
    """COCO segmentations, each as JSON: polygons, run lengths, or compressed run lengths."""

    path: Path  # the json, for messages
    segmentations: tuple[str, ...]
    size: tuple[int, int] | None = None  # (height, width) they were drawn at, where the file states it


MaskSource = MaskFile | ObjectFiles | RunLengths | Shapes


@dataclass(frozen=True, kw_only=True)
class Pair:
    stem: str  # unique in a set; with its folder before it where stems repeat
    image: Path
    mask: MaskSource
    page: int = 0  # of the image's file
    group: str = ""  # what it must stay together with, where the layout or a csv says so


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What was found in a folder."""

    name: str  # what was recognized, for people
    pairs: tuple[Pair, ...]
    subject_columns: tuple[str, ...] = ()  # of a csv, such as patient or slide: what could be the groups
    problems: tuple[str, ...] = ()  # what would make training wrong
    notes: tuple[str, ...] = ()


@dataclass
class Findings:
    """What a search gathers on its way."""

    pairs: list[Pair] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def layout(self, name: str) -> Layout:
        pairs = tuple(sorted(self.pairs, key=lambda pair: pair.stem))
        return Layout(name=name, pairs=pairs, problems=tuple(self.problems), notes=tuple(self.notes))


def some(names: list[str]) -> str:
    """The first few names, long ones cut."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    shown = [name if len(name) <= LONG_NAME else f"{name[: LONG_NAME - 3]}..." for name in names[:SHOWN_NAMES]]
    return ", ".join(shown) + more


def list_folder(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without what systems hide there. Raises ValueError for a link that loops."""
    try:
        found = sorted(folder.iterdir())
    except NotADirectoryError:
        raise ValueError(f"{folder}: this is a file where a folder is meant") from None
    except OSError as error:
        if folder.is_symlink():
            raise ValueError(f"{folder}: this symbolic link leads nowhere; correct or remove it") from None
        raise ValueError(f"{folder}: it cannot be read ({error.strerror}); check its permissions") from None
    return [path for path in found if not path.name.startswith((".", "__")) and path.name != "Thumbs.db"]


def list_images(folder: Path) -> list[Path]:
    """Files that are images by their suffix."""
    return [path for path in list_folder(folder) if path.suffix.lower() in SUFFIXES]


def list_folders(folder: Path) -> list[Path]:
    """Folders in a folder. Raises ValueError for a link that loops or leads nowhere, unless it is named like a file."""
    found = list_folder(folder)
    for path in found:
        if path.is_symlink() and not path.exists() and not path.suffix:
            raise ValueError(f"{path}: this symbolic link leads nowhere; correct or remove it")
    return [path for path in found if path.is_dir()]


def list_below(folder: Path) -> list[Path]:
    """Folders one and two levels lower."""
    return [deep for low in list_folders(folder) for deep in (low, *list_folders(low))]


def list_tables(folder: Path, suffix: str) -> list[Path]:
    """Files of one suffix; none where there is no such folder."""
    return [path for path in list_folder(folder) if path.suffix.lower() == suffix] if folder.is_dir() else []


def take_first(tables: list[Path], found: Findings) -> Path | None:
    """The first of several tables that would do; a note names the others."""
    if len(tables) > 1:
        found.notes.append(f"only {tables[0].name} is read; {some([path.name for path in tables[1:]])} left out")
    return tables[0] if tables else None
