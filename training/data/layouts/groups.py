"""Which images belong together: what a person names, what a layout states, and the columns that could say it.

Images of one patient, slide or source must not lie on two sides of a split.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.data.layouts.listing import clean_path, list_csv, same_name
from training.data.layouts.pairs import SUFFIXES, Layout, Pair
from training.data.layouts.tables import CLASSED_IDS, NAME_COLUMNS, column_name, columns_of, first_of, read_table
from training.study.words import pluralize, shorten

SUBJECTS = re.compile(
    r"(pid|patient|subject|case|slide|animal|mouse|rat|fish|embryo|donor|plate|well|person|participant|child|individual"
    r"|specimen|biopsy|wsi|volume|scan|series|sequence|video|experiment|study)s?(id|no|nr|num|number|name|code)?"
)
ROBOFLOW = ".rf."  # between the name of a source and the code of its copy


def find_groups(data: Path, pairs: Sequence[Pair], group: str) -> tuple[str, ...]:
    """The group of each pair: a column of the csv, or what a regular expression finds in the stem, or in the path.

    group: "" for what the layout states, else each image is its own. Raises ValueError, with the cure.
    """
    if not group:
        return tuple(pair.group or pair.stem for pair in pairs)
    column = _group_column(data, group)
    if column:
        places = [(str(pair.image.with_suffix("")), pair.stem, pair.image.stem) for pair in pairs]
        groups = [next((column[same_name(n)] for n in names if same_name(n) in column), "") for names in places]
        rule = f"column {group} of the csv"
    else:
        try:
            groups = match_names(group, [pair.stem for pair in pairs], paths_of(data, pairs))
        except re.error as error:
            raise ValueError(
                f"group={group!r} is neither a column of the csv nor a regular expression ({error}); give one such as "
                r"group='Image_(\d+)'"
            ) from None
        rule = "expression"
    without = [pair.stem for pair, found in zip(pairs, groups, strict=True) if not found]
    if without:
        raise ValueError(f"group={group!r}: the {rule} says nothing of {shorten(without)}; every image needs a group")
    if len(set(groups)) == 1:
        raise ValueError(f"group={group!r}: all {len(pairs)} images fall into one group, so none can be held out")
    return tuple(groups)


def match_names(rule: str, stems: Sequence[str], paths: Sequence[str]) -> list[str]:
    """What an expression finds in each stem; in each path where some stem says nothing. Empty where it finds nothing.
    Raises re.error.
    """
    groups = [_match(rule, stem) for stem in stems]
    return groups if all(groups) else [_match(rule, path) for path in paths]


def _match(rule: str, name: str) -> str:
    match = re.search(rule, name)
    return (match[1] if match.re.groups else match[0]) or "" if match else ""


def paths_of(data: Path, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Of each image, from the folder on, without its suffix; of a page with its number."""
    root = data if data.is_dir() else data.parent
    places = [pair.image.parent for pair in pairs]
    folders = [place.relative_to(root).parts if place.is_relative_to(root) else place.parts[1:] for place in places]
    names = [pair.stem.rpartition("/")[2] for pair in pairs]
    return tuple("/".join([*parts, name]) for parts, name in zip(folders, names, strict=True))


def _group_column(data: Path, name: str) -> dict[str, str]:
    """stem, or path without suffix -> value of a column of the csv of paths, or of others; empty without it."""
    wanted = column_name(name) if re.fullmatch(r"[\w -]+", name) else name  # not of an expression
    tables = [table for table in _tables(data) if wanted in columns_of(table)]
    if not tables:
        return {}
    keys = {table: key for table in tables if (key := first_of(columns_of(table), NAME_COLUMNS))}
    if not keys:
        raise ValueError(
            f"{tables[0]}: it has a column {name}, but none that names the images; call that stem or image"
        )
    column: dict[str, str] = {}
    stems, names = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for table, key in keys.items():
        own: dict[str, str] = {}
        for row in read_table(table):
            stem, value = image_stem(row[key], key), row[wanted]
            if own.setdefault(stem, value) != value:
                raise ValueError(f"{table}: {row[key]} is {name} {own[stem]} and {value}; name an image once")
            column[same_name(str(table.parent / stem))] = value
            stems[stem].add(value)
            names[stem.rpartition("/")[2]].add(value)
    # a file name alone, where it says enough: paths may be another machine's
    clear = [{stem: min(values) for stem, values in found.items() if len(values) == 1} for found in (names, stems)]
    return clear[0] | clear[1] | column


def find_subject_columns(data: Path) -> tuple[str, ...]:
    """Columns, such as patient or slide, that put several images into one of several groups."""
    found: dict[str, None] = {}
    for table in _tables(data):
        columns = columns_of(table)
        key = first_of(columns, NAME_COLUMNS)
        subjects = [name for name in columns if name != key and is_subject(name)]
        rows = read_table(table) if key and subjects else []
        for name in subjects:
            values = Counter({image_stem(row[key], key): row[name] for row in rows}.values())
            if len(values) > 1 and max(values.values()) > 1:
                found[name] = None
    return tuple(found)


def group_copies(layout: Layout) -> Layout:
    """Roboflow's copies of one source (a_png.rf.01.jpg, a_png.rf.02.jpg) become a group, and a note says so."""
    sources = [pair.image.name.partition(ROBOFLOW) for pair in layout.pairs]
    counts = Counter(source for source, mark, _ in sources if mark)
    copies = {source: count for source, count in counts.items() if count > 1}
    if not copies or len(counts) == 1 or any(pair.group for pair in layout.pairs):
        return layout
    pairs = [
        replace(pair, group=source) if mark else pair
        for pair, (source, mark, _) in zip(layout.pairs, sources, strict=True)
    ]
    note = (
        f"{sum(copies.values())} images are copies of {len(copies)} sources, by the names before {ROBOFLOW} "
        f"({shorten(sorted(copies))}); the copies of a source stay together"
    )
    return replace(layout, pairs=tuple(pairs), notes=(*layout.notes, note))


def group_stacks(layout: Layout) -> Layout:
    """The pages of a stack become a group where there are other images, and a note says so."""
    pages = Counter(pair.image for pair in layout.pairs)
    stacks = [image for image, count in pages.items() if count > 1]
    if not stacks or len(pages) == 1 or any(pair.group for pair in layout.pairs):
        return layout
    pairs = [
        replace(pair, group=pair.stem.rpartition("_")[0]) if pages[pair.image] > 1 else pair for pair in layout.pairs
    ]
    note = (
        f"the pages of a stack stay together ({pluralize(len(stacks), 'stack')}); group='(.+)' takes each for itself, "
        "though neighbours look alike"
    )
    return replace(layout, pairs=tuple(pairs), notes=(*layout.notes, note))


def is_subject(column: str) -> bool:
    """Whether a name, of words joined by _, says patients, slides and the like."""
    return column in ("group", "group_id") or any(map(SUBJECTS.fullmatch, column.split("_")))


def _tables(data: Path) -> list[Path]:
    return [data] if data.is_file() else list_csv(data)


def image_stem(name: str, column: str) -> str:
    """As a csv names an image, without the suffix, with slashes."""
    name = same_name(clean_path(name))
    if column in CLASSED_IDS:
        name = name.rpartition("_")[0]
    path = Path(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else name
