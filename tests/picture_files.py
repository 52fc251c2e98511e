"""Small pictures in every format x mode x depth x compression that is claimed to be read, and what they show.

Where a file is written from known pixels, these are the truth; where the format changes them (JPEG, palettes, inks),
it is what a reader shows that the project does not use for that format.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

HEIGHT, WIDTH = 40, 56
ORIENTATION = 0x0112


@dataclass(frozen=True)
class PictureFile:
    name: str
    data: bytes
    seen: NDArray[np.uint8]  # (h, w, c), c = 1 or 3: what a viewer shows
    image_max: float | None = None  # to be given, where the file does not state its range
    tolerance: int = 0  # levels by which readers may differ: two roundings of inks, two decoders of JPEG


def _make_colour() -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    return np.asarray(smooth, np.uint8)


COLOUR = _make_colour()
GREY = np.ascontiguousarray(COLOUR[..., :1])
ALPHA = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
ALPHA[:5] = 90
OPAQUE = np.concatenate([COLOUR, np.full_like(ALPHA, 255)], axis=2)
TRANSPARENT = np.concatenate([COLOUR, ALPHA], axis=2)


def all_pictures() -> list[PictureFile]:
    return [*tiffs(), *tiffs_of_others(), *special_tiffs(), *turned(), *pngs(), *others()]


def by_tifffile(pixels: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def by_pillow(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def by_opencv(suffix: str, pixels: Any, *flags: int) -> bytes:
    """pixels: RGB or RGBA order."""
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[2]]
    return cv2.imencode(suffix, np.ascontiguousarray(pixels[..., order]), flags)[1].tobytes()


def shown_by_pillow(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as file:
        seen = ImageOps.exif_transpose(file)
        return collapse(np.asarray((seen.convert("RGBA") if seen.mode == "P" else seen).convert("RGB")))


def shown_by_opencv(data: bytes) -> NDArray[np.uint8]:
    """Of 8-bit files that are not TIFF."""
    return collapse(np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]))


def collapse(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = (pixels == pixels[..., :1]).all()
    return np.ascontiguousarray(pixels[..., :1] if grey else pixels)


def deep(pixels: NDArray[np.uint8], dtype: str) -> tuple[NDArray[Any], float | None]:
    """The same picture in another type, and its highest value where it has to be given. Values do not divide evenly."""
    kind = np.dtype(dtype)
    if kind == np.uint8:
        return pixels, None
    if kind.kind == "f":
        return (pixels / 255).astype(kind), 1.0
    max_value = int(np.iinfo(kind).max)
    return np.rint(pixels.astype(np.float64) * (max_value / 255)).astype(kind), None if kind == np.uint16 else max_value


def tiffs() -> Iterator[PictureFile]:
    """Written by tifffile from known pixels."""
    layouts: dict[str, dict[str, Any]] = {
        "thumbnails": {"rowsperstrip": 7},
        "tiles": {"tile": (16, 32)},
        "bigtiff": {"bigtiff": True},
        "big-endian": {"byteorder": ">"},
    }
    codecs: dict[str, dict[str, Any]] = {
        "plain": {},
        "lzw": {"compression": "lzw"},
        "deflate": {"compression": "zlib"},
        "zstd": {"compression": "zstd"},
        "packbits": {"compression": "packbits"},
        "lzw+predictor": {"compression": "lzw", "predictor": True},
        "deflate+predictor": {"compression": "zlib", "predictor": True},
        "zstd+predictor": {"compression": "zstd", "predictor": True},
    }
    for dtype in ("uint8", "uint16", "uint32", "int16", "int32", "float16", "float32", "float64"):
        for mode, pixels in (("grey", GREY), ("rgb", COLOUR)):
            samples, max_value = deep(pixels, dtype)
            flat = samples[..., 0] if mode == "grey" else samples
            photometric = {"photometric": "rgb" if mode == "rgb" else "minisblack"}
            for codec, options in codecs.items():
                yield PictureFile(
                    f"tiff-{dtype}-{mode}-{codec}", by_tifffile(flat, **options, **photometric), pixels, max_value
                )
            for layout, options in layouts.items():
                data = by_tifffile(flat, compression="zlib", predictor=True, **options, **photometric)
                yield PictureFile(f"tiff-{dtype}-{mode}-{layout}", data, pixels, max_value)
        planes = np.moveaxis(deep(COLOUR, dtype)[0], 2, 0)
        for codec in ("plain", "lzw+predictor"):
            data = by_tifffile(planes, photometric="rgb", planarconfig="separate", **codecs[codec])
            yield PictureFile(f"tiff-{dtype}-planar-{codec}", data, COLOUR, max_value)
    for dtype in ("uint8", "uint16"):
        alpha = deep(TRANSPARENT, dtype)[0]
        for kind in ("unassalpha", "assocalpha"):
            yield PictureFile(
                f"tiff-{dtype}-{kind}", by_tifffile(alpha, photometric="rgb", extrasamples=[kind]), COLOUR
            )


def tiffs_of_others() -> Iterator[PictureFile]:
    """Written by OpenCV and by Pillow, both with libtiff."""
    for dtype in ("uint8", "uint16", "float32"):
        for mode, pixels in (("grey", GREY), ("rgb", COLOUR), ("rgba", OPAQUE)):
            if (dtype, mode) == ("float32", "rgba"):
                continue
            samples, max_value = deep(pixels, dtype)
            for codec, number in (("plain", 1), ("lzw", 5), ("deflate", 8), ("packbits", 32773)):
                data = by_opencv(".tif", samples, cv2.IMWRITE_TIFF_COMPRESSION, number)
                yield PictureFile(f"opencv-tiff-{dtype}-{mode}-{codec}", data, pixels[..., :3], max_value)
    picture = Image.fromarray(COLOUR)
    for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr"):
        for codec in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            data = by_pillow(picture.convert(mode), "tiff", compression=codec)
            tolerance = 1 if mode in ("CMYK", "YCbCr") else 0
            yield PictureFile(f"pillow-tiff-{mode}-{codec}", data, shown_by_pillow(data), tolerance=tolerance)
    for codec in ("group3", "group4", "tiff_ccitt"):
        data = by_pillow(picture.convert("1"), "tiff", compression=codec)
        yield PictureFile(f"pillow-tiff-1-{codec}", data, shown_by_pillow(data))
    for mode in ("L", "RGB"):
        data = by_pillow(picture.convert(mode), "tiff", compression="jpeg", quality=90)
        yield PictureFile(f"pillow-tiff-{mode}-jpeg", data, shown_by_pillow(data), tolerance=2)
    sixteen = deep(GREY, "uint16")[0][..., 0]
    yield PictureFile("pillow-tiff-I;16", by_pillow(Image.fromarray(sixteen), "tiff"), GREY)
    data = by_pillow(Image.fromarray(deep(GREY, "int32")[0][..., 0]), "tiff")
    yield PictureFile("pillow-tiff-I", data, GREY, float(2**31 - 1))
    yield PictureFile("pillow-tiff-F", by_pillow(Image.fromarray(deep(GREY, "float32")[0][..., 0]), "tiff"), GREY, 1.0)


def special_tiffs() -> Iterator[PictureFile]:
    """Microscopes' files, inverted levels, odd depths, palettes, JPEG inside."""
    grey = GREY[..., 0]
    for dtype in ("uint8", "uint16"):
        samples = deep(grey, dtype)[0]
        inverted = np.iinfo(dtype).max - samples
        yield PictureFile(f"tiff-{dtype}-miniswhite", by_tifffile(inverted, photometric="miniswhite"), GREY)
        yield PictureFile(f"ome-{dtype}", by_tifffile(samples, ome=True), GREY)
        yield PictureFile(f"ome-{dtype}-rgb", by_tifffile(deep(COLOUR, dtype)[0], ome=True, photometric="rgb"), COLOUR)
        yield PictureFile(f"imagej-{dtype}", by_tifffile(samples, imagej=True), GREY)
    yield PictureFile("imagej-uint8-rgb", by_tifffile(COLOUR, imagej=True), COLOUR)
    yield PictureFile("imagej-float32", by_tifffile(deep(grey, "float32")[0], imagej=True), GREY, 1.0)
    for bits in (1, 2, 4):
        levels = grey >> (8 - bits)
        shown = (levels * (255 // ((1 << bits) - 1)))[..., None].astype(np.uint8)
        black = levels.astype(bool) if bits == 1 else levels
        options: dict[str, Any] = {} if bits == 1 else {"bitspersample": bits}
        yield PictureFile(f"tiff-{bits}-bit", by_tifffile(black, photometric="minisblack", **options), shown)
        inverted = ~black if bits == 1 else ((1 << bits) - 1 - levels).astype(np.uint8)
        yield PictureFile(
            f"tiff-{bits}-bit-miniswhite", by_tifffile(inverted, photometric="miniswhite", **options), shown
        )
    for bits in (10, 12, 14):
        samples = np.rint(grey * (((1 << bits) - 1) / 255)).astype(np.uint16)
        yield PictureFile(f"tiff-{bits}-bit", by_tifffile(samples, photometric="minisblack", bitspersample=bits), GREY)
    twelve = np.rint(grey * (4095 / 255)).astype(np.uint16)
    yield PictureFile("tiff-12-in-16-asked", by_tifffile(twelve), GREY, 4095)
    yield PictureFile("tiff-12-in-16-stated", by_tifffile(twelve, extratags=[(281, "H", 1, 4095, True)]), GREY)
    stated = by_tifffile(deep(grey, "float32")[0], extratags=[(341, "f", 1, 1.0, True)])
    yield PictureFile("tiff-float32-stated", stated, GREY)
    colours = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    colormap = colours.T.astype(np.uint16) * 257
    data = by_tifffile(grey, photometric="palette", colormap=colormap, compression="lzw")
    yield PictureFile("tiff-palette", data, colours[grey])
    data = by_tifffile(COLOUR, photometric="rgb", compression="jpeg")
    yield PictureFile("tiff-jpeg-rgb", data, shown_by_pillow(data), tolerance=2)
    data = by_tifffile(COLOUR, photometric="ycbcr", compression="jpeg", tile=(16, 16))
    yield PictureFile("tiff-jpeg-ycbcr-tiles", data, shown_by_pillow(data), tolerance=2)
    sixteen = deep(255 - COLOUR, "uint16")[0]
    inks = np.concatenate([sixteen, np.zeros_like(sixteen[..., :1])], axis=2)
    yield PictureFile("tiff-uint16-cmyk", by_tifffile(inks, photometric="separated"), COLOUR)


def turned() -> Iterator[PictureFile]:
    """Each orientation tag in each format that has it."""
    forms: dict[str, dict[str, Any]] = {"jpeg": {}, "png": {}, "webp": {"lossless": True}}
    for tag in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = tag
        for form, options in forms.items():
            data = by_pillow(Image.fromarray(COLOUR), form, exif=exif, **options)
            yield PictureFile(f"{form}-orientation-{tag}", data, shown_by_pillow(data))
        data = by_tifffile(COLOUR, photometric="rgb", extratags=[(274, "H", 1, tag, True)])
        yield PictureFile(f"tiff-orientation-{tag}", data, shown_by_pillow(data))


def pngs() -> Iterator[PictureFile]:
    picture = Image.fromarray(COLOUR)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        data = by_pillow(Image.fromarray(TRANSPARENT if "A" in mode else COLOUR).convert(mode), "png")
        yield PictureFile(f"png-{mode}", data, shown_by_pillow(data))
    for colours in (2, 4, 16):  # 1, 2 and 4 bits a pixel
        data = by_pillow(picture.quantize(colours), "png")
        yield PictureFile(f"png-palette-{colours}", data, shown_by_pillow(data))
    for key in ({"transparency": 0}, {"transparency": bytes(range(256))}):
        data = by_pillow(picture.convert("P"), "png", **key)
        yield PictureFile(f"png-palette-transparency-{len(data)}", data, shown_by_pillow(data))
    data = by_pillow(picture.convert("L"), "png", transparency=7)
    yield PictureFile("png-L-transparency", data, np.asarray(picture.convert("L"))[..., None])
    data = by_pillow(picture, "png", transparency=(1, 2, 3))
    yield PictureFile("png-RGB-transparency", data, COLOUR)
    for mode, pixels in (("grey", GREY), ("rgb", COLOUR), ("rgba", TRANSPARENT)):
        yield PictureFile(f"png-16-{mode}", by_opencv(".png", deep(pixels, "uint16")[0]), pixels[..., :3])
    twelve = np.rint(COLOUR * (4095 / 255)).astype(np.uint16)
    yield PictureFile("png-16-rgb-12-asked", by_opencv(".png", twelve), COLOUR, 4095)


def others() -> Iterator[PictureFile]:
    picture = Image.fromarray(COLOUR)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        data = by_pillow(picture.convert(mode), "bmp")
        yield PictureFile(f"bmp-{mode}", data, shown_by_opencv(data))
    for mode in ("1", "L", "P"):
        data = by_pillow(picture.convert(mode), "gif")
        yield PictureFile(f"gif-{mode}", data, shown_by_opencv(data))
    data = by_pillow(picture, "gif", save_all=True, append_images=[picture.rotate(180)])
    yield PictureFile("gif-animated", data, shown_by_pillow(data))
    for mode in ("L", "RGB", "RGBA"):
        for options in ({"quality": 80}, {"lossless": True}):
            source = Image.fromarray(TRANSPARENT) if mode == "RGBA" else picture.convert(mode)
            data = by_pillow(source, "webp", exact=True, **options)
            yield PictureFile(f"webp-{mode}-{next(iter(options))}", data, shown_by_opencv(data))
    data = by_pillow(picture, "webp", save_all=True, append_images=[picture.rotate(180)], lossless=True)
    yield PictureFile("webp-animated", data, COLOUR)
    jpegs: dict[str, dict[str, Any]] = {
        "420": {},
        "444": {"subsampling": 0},
        "422": {"subsampling": 1},
        "progressive": {"progressive": True},
        "optimized": {"optimize": True},
        "rgb-inside": {"keep_rgb": True},
        "restarts": {"restart_marker_rows": 1},
    }
    for kind, options in jpegs.items():
        data = by_pillow(picture, "jpeg", **options)
        yield PictureFile(f"jpeg-{kind}", data, shown_by_opencv(data))
    data = by_pillow(picture.convert("L"), "jpeg")
    yield PictureFile("jpeg-L", data, shown_by_opencv(data))
    data = by_pillow(picture.convert("CMYK"), "jpeg")
    yield PictureFile("jpeg-CMYK", data, shown_by_opencv(data), tolerance=1)
