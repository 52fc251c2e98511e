"""A folder of images and masks becomes an ImageSet: found, read in parallel, framed, and kept for the next start.

Every file that cannot be used is named at once, not one a try. Nothing here knows torch, trials or MLflow.
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training.data.copies import SIDE, Copies, find_copies, thumbnail
from training.data.decisions.decisions import Decisions, decide
from training.data.decisions.set_of_pairs import SetOfPairs
from training.data.framing import Frame, frame_image, frame_mask, make_frame, num_tiles
from training.data.given_split import find_parts
from training.data.image_set import ImageFacts, ImageSet, UnusableError, data_name
from training.data.images import Header, Pixels, to_channels
from training.data.layouts.archive import open_archive
from training.data.layouts.groups import find_groups, paths_of
from training.data.layouts.layouts import find_folder
from training.data.layouts.pairs import Layout, Pair, mask_files
from training.data.mask_rule import AUTO, show_values
from training.data.prepared import (
    IMAGES,
    check_memory,
    find_entry,
    new_entry,
    read_facts,
    write_facts,
    write_own_masks,
)
from training.data.read_options import ReadOptions
from training.data.samples import PairReader
from training.data.split import join_copies, join_identical
from training.data.survey import survey

VERSION = 9  # of what is prepared; a change of reading or framing makes it another


@dataclass(frozen=True, kw_only=True)
class Detected:
    """What was given as data, recognized; nothing of it is decoded yet."""

    data: Path
    folder: Path  # data, what a zip holds, or the only folder in these, where only that is understood
    layout: Layout


def detect_layout(data: Path, reading: ReadOptions, tentative: bool = False) -> Detected:
    """Which image belongs to which mask. Raises ValueError for what is not understood, UnusableError with all problems.

    tentative: as far as it goes, whatever has to be asked.
    """
    given = _given(reading.mask_suffix), _given(reading.category), _given(reading.mask_folder)
    folder, layout = find_folder(open_archive(data), *given)
    if layout.problems and not (tentative and layout.pairs):
        raise UnusableError(data, list(layout.problems))
    reading.refuse_unused(layout)
    return Detected(data=data, folder=folder, layout=layout)


def load_folder(
    data: Path,
    image_size: int,
    fit: str = "resize",
    reading: ReadOptions = ReadOptions(),  # noqa: B008 - frozen
    on_image: Callable[[int, int], None] | None = None,
    tentative: bool = False,
) -> ImageSet:
    """Read a folder, a zip of one, or a csv of paths, framed by `fit` and image_size (pixels).

    on_image: told (images read, images in all) after each; not called when the set was prepared before.
    tentative: read on where something has to be asked, as if it were the usual; to be shown, not to be trained on.
    Raises ValueError for a folder that is not understood, and UnusableError with every file that cannot be used.
    """
    return load_detected(detect_layout(data, reading, tentative), image_size, fit, reading, on_image, tentative)


def load_detected(
    found: Detected,
    image_size: int,
    fit: str,
    reading: ReadOptions,
    on_image: Callable[[int, int], None] | None = None,
    tentative: bool = False,
) -> ImageSet:
    """As `load_folder`, where the layout was recognized before, by the same options."""
    data, layout = found.data, found.layout
    groups = find_groups(found.folder, layout.pairs, _given(reading.group))
    seen = survey(layout)
    headers = seen.headers
    if seen.problems:
        whole = tuple(pair for pair in layout.pairs if {pair.image, *mask_files(pair.mask)} <= headers.keys())
        decisions = decide_set(data, whole, headers, reading, tentative=True)
        reader = PairReader(headers=headers, reading=reading, decisions=decisions)
        raise UnusableError(data, [*seen.problems, *reader.find_damaged(whole)])
    images = [headers[pair.image] for pair in layout.pairs]
    frame = make_frame(fit, image_size, [(header.height, header.width) for header in images])
    counts = [num_tiles(header.height, header.width, frame) for header in images]
    channels = 1 if all(header.grey for header in images) or reading.one_channel else 3
    shape = (sum(counts), frame.height, frame.width, channels)
    check_memory(data, shape, len(layout.pairs))
    key = _key(layout, seen.contents, frame, reading, tentative)
    entry = find_entry(key)
    if entry is None:
        decisions = decide_set(data, layout.pairs, headers, reading, tentative)
        _prepare(data, layout.pairs, headers, key, frame, counts, shape, reading, decisions, on_image)
        entry = find_entry(key)
        assert entry is not None
    kept = read_facts(entry)
    facts = tuple(ImageFacts.from_json(seen) for seen in kept["facts"])
    stems = tuple(pair.stem for pair in layout.pairs)
    copies = tuple(Copies.from_json(one) for one in kept["copies"])
    together = [tuple(one.images) for one in copies]
    return ImageSet(
        name=data_name(data),
        path=data,
        layout=layout.name,
        notes=(*layout.notes, *kept["notes"]),
        range_max=kept["range_max"],
        overrides_stated=kept["overrides_stated"],
        stems=stems,
        groups=groups
        if reading.group != AUTO
        else join_copies(join_identical(groups, [image.image_hash for image in facts]), together),
        subject_columns=layout.subject_columns,
        grouped=groups != stems,
        paths=paths_of(found.folder, layout.pairs),
        folder_parts=find_parts(found.folder, layout.pairs),
        copies=copies,
        crops_searched=kept["crops_searched"],
        facts=facts,
        frame=frame,
        image_index=tuple(np.repeat(np.arange(len(counts)), counts).tolist()),
        digest=kept["digest"],
        entry=entry,
    )


def _prepare(
    data: Path,
    pairs: tuple[Pair, ...],
    headers: Mapping[Path, Header],
    key: str,
    frame: Frame,
    counts: list[int],
    shape: tuple[int, int, int, int],
    reading: ReadOptions,
    decisions: Decisions,
    on_image: Callable[[int, int], None] | None,
) -> None:
    """Decode every pair into a new entry of the cache. Raises UnusableError, and leaves no entry then."""
    ends = np.cumsum(counts).tolist()
    thumbnails = np.zeros((len(pairs), SIDE, SIDE), np.uint8)
    own_masks: dict[int, Pixels] = {}  # encoded
    reader = PairReader(headers=headers, reading=reading, decisions=decisions)

    def work(index: int) -> ImageFacts | str:
        read = reader.try_to_read(pairs[index])
        if isinstance(read, str):
            return read
        image, mask, facts = read
        tiles = slice(ends[index] - counts[index], ends[index])
        images[tiles] = frame_image(to_channels(image, shape[3]), frame)
        masks[tiles] = frame_mask(mask, frame)
        thumbnails[index] = thumbnail(image)
        if frame.fit == "resize":
            own_masks[index] = cv2.imencode(".png", mask)[1]
        return facts

    with new_entry(key, shape) as (folder, images, masks):
        seen: list[ImageFacts] = []
        problems: list[str] = []
        for number, result in enumerate(_in_parallel(work, len(pairs)), start=1):
            if isinstance(result, str):
                problems.append(result)
            else:
                seen.append(result)
            if on_image:
                on_image(number, len(pairs))
        if problems:
            raise UnusableError(data, problems)
        write_own_masks(folder, [own_masks[index] for index in sorted(own_masks)])
        if not any(facts.foreground for facts in seen):
            raise ValueError(_why_empty(data, reading, seen))
        if absent := reading.rule.absent(named for facts in seen for named in facts.named_values):
            raise ValueError(f"data={data}: {absent}; {_values_of(seen)}")
        if shape[3] == 3 and all(facts.channels == 1 for facts in seen):  # colour files of grey pixels
            images = images[..., :1].copy()
            np.save(folder / IMAGES, images)
        digest = hashlib.sha256("\n".join(pair.stem for pair in pairs).encode())
        for array in (images, masks):
            digest.update(np.ascontiguousarray(array).data)
        kept = {"digest": digest.hexdigest()[:16], "facts": [dataclasses.asdict(facts) for facts in seen]}
        search = find_copies(thumbnails, [(facts.height, facts.width) for facts in seen])
        copies = {"copies": [dataclasses.asdict(found) for found in search.copies]}
        decided = {name: getattr(decisions, name) for name in ("notes", "range_max", "overrides_stated")}
        write_facts(folder, kept | copies | decided | {"crops_searched": search.crops_searched})


def decide_set(
    data: Path, pairs: tuple[Pair, ...], headers: Mapping[Path, Header], reading: ReadOptions, tentative: bool
) -> Decisions:
    """Raises UnusableError with what has to be asked."""
    decisions, problems = decide(
        SetOfPairs(
            pairs=pairs,
            headers=headers,
            rule=reading.rule,
            image_max=reading.max_value,
            channels=reading.channels,
            orientation=reading.orientation,
            rle_order=reading.rle_order,
        )
    )
    if problems and not tentative:
        raise UnusableError(data, problems)
    return decisions


def _key(layout: Layout, contents: dict[Path, str], frame: Frame, reading: ReadOptions, tentative: bool) -> str:
    """Names what a prepared set is made from: the bytes of the files and how they are read."""
    digest = hashlib.sha256(repr((VERSION, frame, reading.rule, reading.max_value, *_how(reading), tentative)).encode())
    for pair in layout.pairs:
        # a source is its files, whose content counts and not their place, and what else it says (a page, run lengths)
        mask = dataclasses.astuple(pair.mask)[1:], [contents[path] for path in mask_files(pair.mask)]
        digest.update(repr((pair.stem, contents[pair.image], pair.page, mask)).encode())
    return digest.hexdigest()[:32]


def _why_empty(data: Path, reading: ReadOptions, seen: Sequence[ImageFacts]) -> str:
    if reading.rule.decides:
        return f"data={data}: where {reading.rule.text}, every mask is empty; {_values_of(seen)}"
    return f"data={data}: every mask is empty; at least one needs foreground (any value above 0)"


def _values_of(seen: Sequence[ImageFacts]) -> str:
    return f"the masks hold {show_values(sorted({value for facts in seen for value in facts.mask_values}))}"


def _how(reading: ReadOptions) -> tuple[str, ...]:
    """The other options that pixels depend on."""
    return reading.channels, reading.orientation, reading.rle_order


def _in_parallel(work: Callable[[int], Any], count: int) -> Iterator[Any]:
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield from threads.map(work, range(count))


def _given(text: str) -> str:
    return "" if text == AUTO else text
