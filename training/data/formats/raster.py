"""PNG, JPEG, BMP, GIF and WebP files: samples as stored. PNG by OpenCV, which keeps 16 bits; JPEG by
libjpeg-turbo, which tells of damage; the others by Pillow.

OpenCV only decodes here, with IMREAD_UNCHANGED: what its other flags convert was wrong more than once.
"""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from training.data.formats.jpeg import decode_jpeg
from training.data.formats.stored import (
    QUARTER_TURNS,
    UNTURNED,
    Header,
    PixelError,
    Samples,
    Stored,
    check_page,
    check_size,
    damaged,
    known_orientation,
    unreadable,
)

PILLOW_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")  # no other of Pillow's: some start programs
CHANNELS = {"1": 1, "L": 1, "P": 3, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}
SHOWN_AS = {"1": "L", "L": "L", "LA": "LA", "RGBA": "RGBA"}
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type; 3 is a palette
PNG_PALETTE, PNG_GREY_ALPHA = 3, 4
INVERTING = np.repeat(np.arange(255, -1, -1, dtype=np.uint8), 3).tobytes()
PNG_END, GIF_END = b"IEND\xaeB`\x82", b";"
EXIF_ORIENTATION = 0x0112
MIN_ZERO_TAIL, ZERO_SHARE = 16, 8  # WebP: a flat end is up to a twentieth of a file, and a broken download any share

Image.MAX_IMAGE_PIXELS = None  # our own limit is lower, and its error names file, rule and cure
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a broken file is reported by us


def read_raster_header(data: bytes, name: str) -> Header:
    """Raises ValueError for what is no image, and for what is too large."""
    file = _open(data, name)
    width, height = file.size
    try:
        channels, bits = CHANNELS.get(file.mode, 3), 8
        if file.format == "PNG":
            channels, bits = PNG_CHANNELS[data[25]], 8 if data[25] == PNG_PALETTE else data[24]
        check_size(name, height, width, channels * max(bits, 8) // 8)
        orientation = _orientation(file, data)
        pages = _frames(file)
    except PixelError:
        raise
    except Exception:  # Pillow raises whatever it stumbles on
        raise unreadable(name) from None
    if orientation in QUARTER_TURNS:
        width, height = height, width
    return Header(
        height=height,
        width=width,
        pages=pages,
        channels=channels,
        bits=1 if file.mode == "1" else bits,
        kind="uint",
        max_value=0,
        orientation=orientation,
        inverted_look=_has_inverting_palette(file),
    )


def decode_raster(data: bytes, name: str, page: int) -> Stored:
    """A frame, from 0. Raises ValueError for what cannot be read, is too large, or is damaged."""
    header = read_raster_header(data, name)
    check_page(name, page, header.pages)
    file = _open(data, name)
    _check_end(data, str(file.format), name)
    if file.format == "PNG" and page == 0 and file.mode != "P":
        samples = _by_opencv(data, name)
        if data[25] == PNG_GREY_ALPHA and samples.shape[2] == 4:
            samples = samples[..., 2:]
        return _stored(samples, header.orientation)
    if file.format in ("JPEG", "MPO"):
        samples = decode_jpeg(data, name, file.mode)
        if file.mode != "CMYK":
            return _stored(samples, header.orientation)
    try:
        file.seek(page)
        file.load()
        if file.mode == "P":
            indices = np.asarray(file)[..., None]
            numbers = indices if header.inverted_look else None
            return Stored(indices, 1, False, header.orientation, _palette(file), numbers)
        pixels = np.asarray(file.convert(SHOWN_AS.get(file.mode, "RGB")))
    except Exception as error:  # as above
        raise damaged(name, str(error)) from None
    return _stored(pixels.reshape(*pixels.shape[:2], -1), header.orientation)


def is_transparent_raster(data: bytes, name: str, page: int) -> bool:
    """Whether some pixel is not opaque. Decodes only what may be."""
    header = read_raster_header(data, name)
    check_page(name, page, header.pages)
    file = _open(data, name)
    try:
        file.seek(page)
        return file.has_transparency_data and file.convert("RGBA").getchannel("A").getextrema()[0] != 255
    except Exception as error:  # as above
        raise damaged(name, str(error)) from None


def _stored(samples: Samples, orientation: int) -> Stored:
    count = samples.shape[2]
    return Stored(samples, 1 if count < 3 else 3, count in (2, 4), orientation)


def _open(data: bytes, name: str) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(data), formats=PILLOW_FORMATS)
    except Exception:  # as above
        raise unreadable(name) from None


def _frames(file: ImageFile.ImageFile) -> int:
    """A JPEG's further pictures are its previews."""
    return 1 if file.format == "MPO" else int(getattr(file, "n_frames", 1))


def _orientation(file: ImageFile.ImageFile, data: bytes) -> int:
    """EXIF's tag. Where PNG has it behind the pixels Pillow finds it by decoding them."""
    if file.format == "PNG" and "exif" not in file.info and b"eXIf" in data:
        file.load()
    if "exif" not in file.info:
        return UNTURNED
    exif = Image.Exif()
    exif.load(file.info["exif"])
    return known_orientation(exif.get(EXIF_ORIENTATION))


def _by_opencv(data: bytes, name: str) -> Samples:
    """(h, w, c), RGB order. Ignores orientation tags."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise unreadable(name)
    if pixels.ndim == 2:
        return pixels[..., None]
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA))


def _has_inverting_palette(file: ImageFile.ImageFile) -> bool:
    """ImageJ's inverting LUT, as it saves it: number 0 white, 255 black. Its binary masks have it."""
    return file.mode == "P" and file.palette is not None and bytes(file.palette.palette) == INVERTING


def _palette(file: ImageFile.ImageFile) -> NDArray[np.uint8]:
    palette = np.zeros((256, 3), np.uint8)  # what it leaves out is black
    colours = np.array(file.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette[: len(colours)] = colours
    return palette


def _check_end(data: bytes, form: str, name: str) -> None:
    """Decoders stop at the last pixel, and some of them fill what is missing."""
    content = data.rstrip(b"\0")
    zeros = len(data) - len(content)
    if form == "WEBP" and zeros > max(MIN_ZERO_TAIL, len(data) // ZERO_SHARE):  # it has neither checksum nor end mark
        raise damaged(name, f"its last {zeros} bytes are zeros")
    if (form == "PNG" and PNG_END not in data) or (form == "GIF" and not content.endswith(GIF_END)):
        raise damaged(name, "its end is missing")
