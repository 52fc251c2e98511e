"""What lies in a folder, by name: images, tables, folders; and what systems leave behind, passed over and counted.

Also finds the file that a table means by a name written on another machine. No file is opened here.
"""

import functools
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from training.data.layouts.pairs import SUFFIXES, Findings
from training.study.words import shorten

MAX_DEPTH = 6  # levels of folders that are searched for a file
LITTER = (
    *("@eadir", "@recycle", "@tmp", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "lost+found"),
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "system volume information"),
)
LITTER_ENDINGS = ("@synoeastream", "@synoresource")
HIDDEN = (".", "__", "~$")  # .DS_Store, ._a.png, .ipynb_checkpoints, __MACOSX, a document that is open
TRAIN, VAL, TEST = PARTS = ("train", "val", "test")
PART_WORDS = {
    **dict.fromkeys(("train", "training", "tr"), TRAIN),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), VAL),
    **dict.fromkeys(("test", "testing", "ts"), TEST),
}


def is_litter(name: str) -> bool:
    """Whether a system left it there, or hides it."""
    name = name.lower()
    return name.startswith(HIDDEN) or name in LITTER or name.endswith(LITTER_ENDINGS)


def count_litter(folder: Path) -> str:
    """How many files are passed over, and what they are; empty for none."""
    counts = Counter[str]()
    for place, folders, files in os.walk(folder):
        for name in filter(is_litter, folders):
            counts[name] += max(1, sum(len(inner) for _, _, inner in os.walk(Path(place, name))))
        counts.update("._*" if name.startswith("._") else name.strip() for name in files if is_litter(name))
        deep = len(Path(place).relative_to(folder).parts) >= MAX_DEPTH
        folders[:] = [] if deep else [name for name in folders if not is_litter(name)]
    kinds = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
    return f"{counts.total()} files that systems left or hide are passed over ({kinds})" if counts else ""


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name, without litter. Raises ValueError for a link that loops, and for names of images
    and folders that are no text.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted((one for one in entries if not is_litter(one.name)), key=lambda one: one.name)
        names = [name for one in found if (name := one.name).lower().endswith(SUFFIXES) or "." not in name]
        foreign = [name for name in names if name.encode(errors="ignore").decode() != name]
        if foreign:
            shown = shorten([os.fsencode(name).decode(errors="backslashreplace") for name in foreign])
            raise ValueError(f"{folder}: names are not UTF-8 ({shown}); rename them")
        return found
    except NotADirectoryError:
        raise ValueError(f"{folder}: this is a file where a folder is meant") from None
    except OSError as error:
        if folder.is_symlink():
            raise ValueError(f"{folder}: this symbolic link leads nowhere; correct or remove it") from None
        raise ValueError(f"{folder}: it cannot be read ({error.strerror}); check its permissions") from None


def list_folder(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without litter. Raises ValueError for a link that loops."""
    return [folder / one.name for one in _scan(folder)]


def list_images(folder: Path) -> list[Path]:
    """Files that are images by their suffix."""
    return [folder / one.name for one in _scan(folder) if one.name.lower().endswith(SUFFIXES)]


def list_images_below(folder: Path) -> list[Path]:
    """Those in it and in all folders below; links to folders below it are not followed."""
    found: list[Path] = []
    for place, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_litter(name))
        found += list_images(Path(place))
    return found


def list_folders(folder: Path) -> list[Path]:
    """Folders in a folder. Raises ValueError for a link that loops or leads nowhere, unless it is named like a file."""
    found = _scan(folder)
    for one in found:
        path = folder / one.name if one.is_symlink() else None
        if path and not path.exists() and not path.suffix:
            raise ValueError(f"{path}: this symbolic link leads nowhere; correct or remove it")
    return [folder / one.name for one in found if _is_folder(one)]


def lone_folders(folder: Path) -> Iterator[Path]:
    """The only folder in it, the only one in that, and so on, as archives are unpacked; no image lies beside."""
    for _ in range(MAX_DEPTH if folder.is_dir() else 0):
        folders = list_folders(folder)
        if len(folders) != 1 or list_images(folder):
            return
        folder = folders[0]
        yield folder


def list_below(folder: Path) -> list[Path]:
    """Folders one and two levels lower."""
    return [deep for low in list_folders(folder) for deep in (low, *list_folders(low))]


def list_all_below(folder: Path, depth: int = MAX_DEPTH) -> list[Path]:
    """Folders of many levels, each once though links lead there again; links that lead nowhere are passed over."""
    found: list[Path] = []
    level, seen = [folder], {os.path.realpath(folder)}
    for _ in range(depth):
        level = [place / one.name for place in level for one in _scan(place) if _is_folder(one)]
        real = {os.path.realpath(path): path for path in reversed(level)}
        level = [path for name, path in real.items() if name not in seen]
        seen |= set(real)
        found += level
    return sorted(found)


def _is_folder(one: os.DirEntry[str]) -> bool:
    try:
        return one.is_dir()
    except OSError:  # a link that loops
        return False


def list_tables(folder: Path, *suffixes: str) -> list[Path]:
    """Files of these suffixes; none where there is no such folder."""
    return (
        [folder / one.name for one in _scan(folder) if one.name.lower().endswith(suffixes)] if folder.is_dir() else []
    )


def list_csv(folder: Path) -> list[Path]:
    """Tables in it, and in the folders in it, as meta/."""
    return [table for place in (folder, *list_folders(folder)) for table in list_tables(place, ".csv", ".tsv")]


def take_first(tables: list[Path], found: Findings) -> Path | None:
    """The first of several tables that would do; a note names the others."""
    if len(tables) > 1:
        found.notes.append(f"only {tables[0].name} is read; {shorten([path.name for path in tables[1:]])} left out")
    return tables[0] if tables else None


def same_name(text: str) -> str:
    """A name as it compares: macOS writes an accent as a letter of its own, others do not."""
    return unicodedata.normalize("NFC", text)


def words_of(name: str) -> list[str]:
    """ISBI2016_Part1_GroundTruth -> isbi2016, part1, ground, truth."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", same_name(name))
    return [word.lower() for word in re.split(r"[^\w]+|_+", apart) if word]


def parts_named(names: Iterable[str]) -> set[str]:
    """Which of train, val and test these names say; train2017 says train."""
    words = (word.rstrip("0123456789") for name in names for word in words_of(name))
    return {PART_WORDS[word] for word in words if word in PART_WORDS}


def clean_path(text: str) -> str:
    """A path as written by any system or tool, with slashes: back slashes, addresses, Label Studio's ?d=."""
    text = text.strip().replace("\\", "/")
    if "://" in text or "?d=" in text:
        address = urlsplit(text)
        text = parse_qs(address.query).get("d", [unquote(address.path)])[0]
    return text


def lies_as_written(path: Path, name: str) -> bool:
    """Whether a file lies in the folders that a table writes before its name."""
    parts = [part for part in clean_path(name).split("/") if part not in ("", ".", "..")]
    return [same_name(part).casefold() for part in path.parts[-len(parts) :]] == [
        same_name(part).casefold() for part in parts
    ]


def note_elsewhere(count: int, table: str) -> str:
    return f"{count} paths of {table} are of another folder; the files were found by their names"


class ImageFiles:
    """The images below a folder, to be found by what a table calls them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @functools.cached_property
    def paths(self) -> list[Path]:
        return [
            place / one.name
            for place in (self.root, *list_all_below(self.root))
            for one in _scan(place)
            if one.name.lower().endswith(SUFFIXES) and not _is_folder(one)
        ]

    @functools.cached_property
    def by_name(self) -> dict[str, list[Path]]:
        names: dict[str, list[Path]] = defaultdict(list)
        for path in self.paths:
            names[same_name(path.name).casefold()].append(path)
        return names

    @functools.cached_property
    def by_stem(self) -> dict[str, list[Path]]:
        stems: dict[str, list[Path]] = defaultdict(list)
        for path in self.paths:
            stems[same_name(path.stem)].append(path)
        return stems

    def find(self, name: str, near: Sequence[Path], table: Path | None = None) -> list[Path]:
        """The file of this name: relative to a folder of `near`, else by as many of its last parts as fit a file here.

        A name in train/ means no file in val/, and so does a table in train/, or one that is called train.json.
        More than one: the name does not say which. None: there is no such file.
        """
        spellings = list(dict.fromkeys([name, clean_path(name), unquote(clean_path(name))]))
        for spelling in spellings:
            for place in near:
                path = Path(os.path.normpath(place / spelling))
                if spelling and path.is_file():
                    return [path]
        fits = next((fits for spelling in spellings if (fits := self._by_last_parts(spelling))), [])
        folders = clean_path(name).split("/")[:-1]
        foreign = folders[:1] == [""] or ":" in "".join(folders[:1])  # another machine's: its first folders say nothing
        said = parts_named(folders[-2:] if foreign else folders) or (self.parts_of(table) if table else set())
        return [path for path in fits if not said or said & (self.parts_of(path.parent) or said)]

    def say_foreign(self, name: str, table: Path) -> str:
        """What to say of files of this name where `find` has none: they are of another part of a split; else empty."""
        fits = [] if self.find(name, [], table) else self._by_last_parts(clean_path(name))
        return f"; {fits[0].relative_to(self.root)} is of another part of the split" if fits else ""

    def parts_of(self, path: Path) -> set[str]:
        """Those that its folders in the data set, and its own name, say."""
        return parts_named(path.relative_to(self.root).parts) if path.is_relative_to(self.root) else set()

    def _by_last_parts(self, spelling: str) -> list[Path]:
        parts = [same_name(part).casefold() for part in spelling.split("/") if part not in ("", ".", "..")]
        files = self.by_name.get(parts[-1], []) if parts else []
        for length in range(len(parts), 0, -1):
            tail = parts[-length:]
            fits = [path for path in files if [same_name(p).casefold() for p in path.parts[-length:]] == tail]
            if fits:
                exact = [path for path in fits if same_name(path.name) == same_name(Path(spelling).name)]
                return exact or fits
        return []
