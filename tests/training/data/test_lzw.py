"""A damaged LZW stream is refused before the decoder sees it, whose process it would end; a whole one is not."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.data.formats.lzw import CLEAR, END, is_sound
from training.data.images import decode_image


def stream(*codes: int) -> bytes:
    """Of nine bits each, the most significant first."""
    bits = "".join(f"{code:09b}" for code in codes)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


@given(st.binary(max_size=400), st.integers(1, 60))
@settings(deadline=None)
def test_what_an_encoder_wrote_is_sound(data: bytes, repeats: int) -> None:
    assert is_sound(imagecodecs.lzw_encode(data * repeats))


@pytest.mark.parametrize("size", [3_000, 300_000])  # the table fills, and is cleared, many times
def test_long_noise_is_sound_too_and_ends_where_it_is_cut(size: int) -> None:
    encoded = imagecodecs.lzw_encode(np.random.default_rng(0).bytes(size))
    assert is_sound(encoded)
    assert is_sound(encoded[: len(encoded) // 2])


@pytest.mark.parametrize(
    ("codes", "sound"),
    [
        ((CLEAR, 65, 66, END), True),
        ((CLEAR, 65, 258, END), True),  # the entry that this very code makes
        ((CLEAR, 65, 259, END), False),
        ((CLEAR, 300, 65, END), False),  # what ends imagecodecs' process
        ((CLEAR, 65, 66, CLEAR, 259, END), False),
        ((CLEAR, 65, END, 511, 511), True),  # nobody reads behind the end
        ((65, 66, END), False),
        ((CLEAR, END), True),
    ],
)
def test_a_code_is_sound_that_its_table_holds(codes: tuple[int, ...], sound: bool) -> None:
    assert is_sound(stream(*codes)) is sound


def test_an_image_with_such_a_stream_is_refused_by_name() -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 24), np.uint8)).save(
        file, "TIFF", compression="tiff_lzw"
    )
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        begin = tiff.pages.first.dataoffsets[0]
    data[begin : begin + 4] = stream(CLEAR, 300, 65)[:4]
    with pytest.raises(ValueError, match="a part of its pixels is missing"):
        decode_image(bytes(data), "cells.tif")
