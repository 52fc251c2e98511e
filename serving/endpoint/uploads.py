"""An upload becomes pixels, read as the training images were; what it leaves open is asked, with the field to say it.

The decoding is training's. Here is decided which page, range and channels count: those of the request before those of
the file, and those before the model's.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException

from serving.endpoint.fields import Options
from serving.inference.segmenter import Segmenter
from training.data.images import FROM_FILE, Header, Pixels, decode_image, decode_samples, read_header

EIGHT_BIT_WHITE = 255
MIN_LEVEL = 16  # of 255: a picture that is darker than this all over, by the model's range, has another one
AN_OPTION = re.compile(r"\b(page|image_max|channels)=")


def check_header(data: bytes, name: str, options: Options) -> Header:
    """What a file says of itself. HTTPException 413 or 415 with what is wrong; 400 for a page that is not there or not
    chosen, and for a range where there is none."""
    with refused():
        header = read_header(data, name)
    last = header.pages - 1
    if options.page is None and last:
        raise HTTPException(400, f"{name}: the file has {header.pages} pages; say which one: page=0 to page={last}")
    if (options.page or 0) > last:
        rule = f"has pages 0 to {last}; give one of these" if last else "has one page; leave page out"
        raise HTTPException(400, f"page={options.page}: {name} {rule}")
    if options.image_max not in (None, EIGHT_BIT_WHITE) and is_eight_bit(header):
        cure = f"{name} has {header.bits} bits a channel, so its highest value is known; leave image_max out"
        raise HTTPException(400, f"image_max={options.image_max:.10g}: {cure}")
    return header


def decode(data: bytes, name: str, segmenter: Segmenter, options: Options) -> Pixels:
    """(h, w, c) uint8. HTTPException 413 or 415 with what is wrong; 400 with a question, and the field that answers."""
    header = check_header(data, name, options)
    page = options.page or 0
    channels = segmenter.read_channels if options.channels is None else options.channels
    states_range = header.max_value and not segmenter.overrides_stated
    if is_eight_bit(header) or options.image_max is not None or states_range or not segmenter.image_max:
        with refused():
            return decode_image(data, name, page, options.image_max or FROM_FILE, channels)
    whose = f"; image_max={segmenter.image_max:.10g} is the range of the model's training images"
    with refused(whose):
        pixels = decode_image(data, name, page, segmenter.image_max, channels)
    if pixels.max() < MIN_LEVEL:
        highest = decode_samples(data, name, page, channels).max()
        if highest:
            question = (
                f"its highest pixel is {highest:.10g}, almost black; say which value is white, such as image_max="
            )
            raise HTTPException(400, f"{name}: {question}{segmenter.image_max:.10g}{whose}")
    return pixels


def is_eight_bit(header: Header) -> bool:
    return header.kind == "uint" and header.bits <= 8


@contextmanager
def refused(whose: str = "") -> Iterator[None]:
    """What reading an image refuses, as an answer: 400 where an option of the request decides. whose: said beside a
    value that neither the request nor the file gave."""
    try:
        yield
    except ValueError as error:
        said = str(error)
        if "read at once" in said:
            raise HTTPException(413, said) from None
        if not AN_OPTION.search(said):
            raise HTTPException(415, said) from None
        raise HTTPException(400, said + (whose if "image_max=" in said else "")) from None
