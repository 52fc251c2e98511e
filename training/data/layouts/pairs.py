"""An image and its mask, before either is read: the files and tables that hold them, as values.

What finds them is in layouts.py and the files it imports, what reads them in masks.py.
"""

from dataclasses import dataclass, field
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
COMPANIONS = (  # suffixes of files that are meant to lie beside images
    *(".csv", ".tsv", ".txt", ".json", ".xml", ".yaml", ".yml", ".md", ".log", ".html", ".pdf", ".zip", ".cache"),
    *(".xlsx", ".names", ".data", ".py", ".sh", ".mat", ".roi"),
)
FRACTIONS = (1, 1)  # a size: coordinates are fractions of the picture's width and height, whatever those are


def is_unread(path: Path) -> bool:
    """Whether a file may be meant as an image, but its suffix is none that is read."""
    suffix = path.suffix.lower()
    return suffix not in ("", *SUFFIXES, *COMPANIONS) and not path.is_dir()


class UnknownLayoutError(ValueError):
    """Nothing was recognized."""


@dataclass(frozen=True)
class MaskFile:
    """One file, or a page of a stack; its values say what is foreground."""

    path: Path
    page: int = 0
    values: tuple[int, ...] = ()  # that are foreground, where the layout says so (a label map); empty: look
    ignored: tuple[int, ...] = ()  # that count as neither, where the layout says so (VOC's void)


@dataclass(frozen=True)
class ObjectFiles:
    """One file per object; their union is foreground."""

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
    size: tuple[int, int] | None = None  # (height, width) they were drawn at, where the file states it; or FRACTIONS
    corners: bool = False  # whole numbers are corners of pixels and never their middles, whatever it looks like


MaskSource = MaskFile | ObjectFiles | RunLengths | Shapes


def mask_files(mask: MaskSource) -> tuple[Path, ...]:
    """The files that hold a mask; none where a table does."""
    if isinstance(mask, MaskFile):
        return (mask.path,)
    return mask.paths if isinstance(mask, ObjectFiles) else ()


@dataclass(frozen=True, kw_only=True)
class Pair:
    stem: str  # unique in a set; with its folder before it where stems repeat
    image: Path
    mask: MaskSource
    page: int = 0  # of the image's file
    part: str = ""  # train, val or test, where the name of a table says so
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
