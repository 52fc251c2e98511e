"""Which parts of a TIFF file make its images: pages, channels stored as pages, or one part for all.

Knows tifffile's directories and series; decodes nothing.
"""

import io
import logging
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile

from training.data.formats.stored import PixelError, check_size, damaged, unreadable

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, MASK, CMYK, YCBCR = range(7)  # PhotometricInterpretation
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
KINDS = {1: "uint", 2: "int", 3: "float", 4: "uint"}  # SampleFormat

Page = Any  # tifffile.TiffPage or TiffFrame, which have no common type

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # a broken file is reported by us


@dataclass(frozen=True)
class Stack:
    """Which parts of a file make its pages."""

    first: Page  # speaks for all
    planes: tuple[tuple[Page, ...], ...]  # of each page: the directories that hold its channels; none where unlisted
    unlisted: tifffile.TiffPageSeries | None  # one directory for all pages: ImageJ's large stacks, LSM
    pages: int
    channels: int


@contextmanager
def opened(data: bytes, name: str) -> Iterator[tifffile.TiffFile]:
    """Never looks for the other files that an OME description may name: they are somebody else's."""
    try:
        with tifffile.TiffFile(io.BytesIO(data), _multifile=False) as tiff:
            yield tiff
    except (PixelError, MemoryError):
        raise
    except Exception as error:  # tifffile raises whatever it stumbles on
        raise unreadable(name) from error


def find_stack(tiff: tifffile.TiffFile, data: bytes, name: str) -> Stack:
    every: list[Page] = list(tiff.pages)
    directories = [page for page in every if not (page.is_reduced or page.is_mask)] or every[:1]
    _check_chain(tiff, data, name)
    first: Page = directories[0]
    _check_tags(tiff, first, data, name)
    _check_kind(first, name)
    series = tiff.series[0]
    sizes = dict(zip(series.axes, series.shape, strict=True))
    lead = {axis: size for axis, size in sizes.items() if axis not in "YXS"}
    channel_pages, count = lead.pop("C", 1), math.prod(size for axis, size in sizes.items() if axis not in "YXS")
    if channel_pages == 1 and count <= len(directories):
        planes = tuple((page,) for page in directories)
        stack = Stack(first, planes, None, len(planes), first.samplesperpixel)
    else:
        pages, channels = math.prod(lead.values()), channel_pages * sizes.get("S", 1)
        if len(series.pages) == count:
            axes = [axis for axis in series.axes if axis not in "YXS"]
            numbers = np.arange(count).reshape([sizes[axis] for axis in axes])
            if "C" in axes:
                numbers = np.moveaxis(numbers, axes.index("C"), -1)
            listed = tuple(tuple(_whole(series.pages[k]) for k in row) for row in numbers.reshape(pages, -1))
            stack = Stack(first, listed, None, pages, channels)
        else:
            stack = Stack(first, (), series, pages, channels)
    depth = 1 if first.dtype is None else first.dtype.itemsize
    together = 1 if stack.unlisted is None else stack.pages
    check_size(name, first.imagelength, first.imagewidth, stack.channels * depth * together)
    return stack


def _whole(page: Page) -> Page:
    """tifffile's short form of a directory that is like the first lacks its tags."""
    return page.aspage() if isinstance(page, tifffile.TiffFrame) else page


def _check_kind(page: Page, name: str) -> None:
    if page.imagedepth != 1:
        raise PixelError(f"{name}: it holds a volume in one page; save its slices as pages, or one file for each")
    if int(page.sampleformat) not in KINDS or page.dtype is None:
        raise PixelError(f"{name}: its pixels are complex, or of an unknown type; save it with 8 or 16 bits a channel")
    if int(page.photometric) > YCBCR:
        colours = getattr(page.photometric, "name", page.photometric)
        raise PixelError(f"{name}: its colours are {colours}; save it as RGB or grey")


def _check_chain(tiff: tifffile.TiffFile, data: bytes, name: str) -> None:
    """The last directory names no further one. tifffile would leave out pages that are cut off."""
    begin = tiff.pages.next_page_offset
    if begin is not None and any(data[begin : begin + tiff.tiff.offsetsize]):
        raise damaged(name, "some of its pages are missing")


def _check_tags(tiff: tifffile.TiffFile, page: Page, data: bytes, name: str) -> None:
    """What a directory refers to lies in the file. tifffile would take the defaults for a tag that is cut off."""
    form = tiff.tiff
    (count,) = struct.unpack_from(form.tagnoformat, data, page.offset)
    for k in range(count):
        begin = page.offset + form.tagnosize + k * form.tagsize
        kind, number = struct.unpack_from(form.byteorder + "HH" + form.offsetformat[1:], data, begin)[1:]
        size = TYPE_BYTES.get(kind, 0) * number
        place = struct.unpack_from(form.offsetformat, data, begin + form.tagsize - form.offsetsize)[0]
        if size > form.offsetsize and place + size > len(data):
            raise damaged(name, "a part of its description is missing")
