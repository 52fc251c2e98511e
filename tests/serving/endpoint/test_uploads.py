"""What an upload leaves open is asked, never guessed: its page, its range, its channels. And nobody sees another's."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from picture_files import PictureFile, all_pictures
from PIL import Image
from served import asking, encode, make_image, make_serving, post
from starlette.testclient import TestClient

pytestmark = pytest.mark.slow

PICTURE = make_image(40, 60, 1)  # grey, 8 bits
TWELVE_BITS = PICTURE[..., 0].astype(np.uint16) * 16  # up to 2,700 or so


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A model whose training images had 8 bits."""
    with asking(make_serving(tmp_path_factory)) as client:
        yield client


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A model whose training images came from a 12-bit camera."""
    with asking(make_serving(tmp_path_factory, image_max=4095)) as client:
        yield client


def tiff(pixels: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def seen(client: TestClient, data: bytes, **fields: object) -> NDArray[np.uint8]:
    """(h, w, 3) RGB: what was read, for no probability is above 1."""
    response = post(client, data, output="overlay", threshold=1, **fields)
    assert response.status_code == 200, response.text
    with Image.open(io.BytesIO(response.content)) as image:
        return np.asarray(image.convert("RGB"))


def refusal(client: TestClient, data: bytes, status: int = 400, **fields: object) -> str:
    response = post(client, data, **fields)
    assert response.status_code == status, response.text
    return str(response.json()["detail"])


def stack(suffix: str, levels: tuple[int, ...] = (10, 120, 240)) -> bytes:
    pages = [Image.new("L", (24, 16), level) for level in levels]
    file = io.BytesIO()
    lossless = {"lossless": True} if suffix == "webp" else {}
    pages[0].save(file, suffix, save_all=True, append_images=pages[1:], **lossless)
    return file.getvalue()


def test_nobody_sees_the_picture_of_the_request_before(client: TestClient) -> None:
    """OpenCV left a 16-bit RGB TIFF's pixels as the memory was: with those of whoever asked last."""
    pattern = np.indices((512, 512)).sum(axis=0) % 251
    secret = cv2.imencode(".png", np.dstack([pattern, pattern // 2, 255 - pattern]).astype(np.uint8))[1].tobytes()
    flat = cv2.imencode(".tif", np.full((512, 512, 3), 30000, np.uint16))[1].tobytes()
    for _ in range(4):
        assert len(np.unique(seen(client, secret))) > 200
        assert np.unique(seen(client, flat)).tolist() == [117]


@pytest.mark.parametrize("picture", all_pictures(), ids=lambda picture: picture.name)
def test_every_format_is_read_as_another_reader_shows_it(client: TestClient, picture: PictureFile) -> None:
    """One server for all of them, one after the other: each finds the memory that the ones before it left."""
    fields: dict[str, object] = {"page": 0} if picture.name.endswith("-animated") else {}
    if picture.image_max:
        fields["image_max"] = picture.image_max
    for _ in range(2):
        shown = seen(client, picture.data, **fields)
        assert shown.shape[:2] == picture.seen.shape[:2]
        assert np.abs(shown.astype(int) - picture.seen).max() <= picture.tolerance


@pytest.mark.parametrize("suffix", ["tiff", "gif", "webp", "png"])
def test_a_file_of_several_pages_asks_which_one(client: TestClient, suffix: str) -> None:
    data = stack(suffix)
    assert refusal(client, data) == "image: the file has 3 pages; say which one: page=0 to page=2"
    assert refusal(client, data, page=3) == "page=3: image has pages 0 to 2; give one of these"
    for page, level in enumerate((10, 120, 240)):
        assert seen(client, data, page=page).mean() == pytest.approx(level, abs=1)


def test_a_single_page_needs_no_number_and_has_no_second(client: TestClient) -> None:
    data = encode(PICTURE, ".png")
    assert np.array_equal(seen(client, data), seen(client, data, page=0))
    assert refusal(client, data, page=1) == "page=1: image has one page; leave page out"


@pytest.mark.parametrize("path", ["/segment", "/objects", "/jobs"])
def test_every_endpoint_asks_at_once(client: TestClient, path: str) -> None:
    response = post(client, stack("gif"), path)
    assert (response.status_code, "say which one: page=0 to page=2" in response.text) == (400, True)


def test_a_batch_says_which_of_its_files_have_a_question(client: TestClient) -> None:
    files = [("images", ("one.png", encode(PICTURE, ".png"))), ("images", ("many.gif", stack("gif")))]
    archive = zipfile.ZipFile(io.BytesIO(client.post("/segment_batch", files=files).content))
    assert archive.namelist() == ["001_one.png", "errors.json"]
    assert "page=0 to page=2" in json.loads(archive.read("errors.json"))["002_many"]


def test_channels_are_asked_for_where_there_are_five_and_chosen_where_one_likes(client: TestClient) -> None:
    stains = np.stack([np.full((16, 24), level, np.uint8) for level in (10, 60, 110, 160, 210)])
    data = tiff(stains, photometric="minisblack", planarconfig="separate")
    said = refusal(client, data)
    assert said.startswith("image: it has 5 channels, and the file does not say which of them make the picture")
    assert said.endswith("say which: channels=0,2 (one to three, counted from 0) or channels=mean")
    assert seen(client, data, channels="0,2")[0, 0].tolist() == [10, 110, 0]
    assert seen(client, data, channels="mean")[0, 0].tolist() == [110, 110, 110]
    assert "channels=0,9 is asked for, but it has 5" in refusal(client, data, channels="0,9")
    assert refusal(client, data, channels="red").startswith("channels='red' is no choice")
    red = np.zeros((16, 24, 3), np.uint8)
    red[..., 0] = 200
    assert seen(client, encode(red, ".png"), channels="0")[0, 0].tolist() == [200, 200, 200]


@pytest.mark.parametrize("data", [tiff(TWELVE_BITS), cv2.imencode(".png", TWELVE_BITS)[1].tobytes()])
def test_twelve_bits_of_unknown_range_are_asked_about_and_never_an_empty_mask(client: TestClient, data: bytes) -> None:
    said = refusal(client, data)
    assert "the file does not say which value is white; say it: image_max=4095 for 12 bits" in said
    assert np.abs(seen(client, data, image_max=4095)[..., 0].astype(int) - PICTURE[..., 0]).max() <= 1


def test_a_model_of_a_twelve_bit_camera_reads_twelve_bits_by_its_own_range(camera: TestClient) -> None:
    assert np.abs(seen(camera, tiff(TWELVE_BITS))[..., 0].astype(int) - PICTURE[..., 0]).max() <= 1
    assert np.array_equal(seen(camera, encode(PICTURE, ".png"))[..., 0], PICTURE[..., 0]), "8 bits have one range"


def test_an_upload_s_own_range_comes_before_the_model_s_and_the_request_s_before_both(camera: TestClient) -> None:
    ten_bits = np.full((16, 24), 512, np.uint16)
    assert seen(camera, tiff(ten_bits))[0, 0, 0] == 32
    stated = tiff(ten_bits, extratags=[(281, "H", 1, 1023, True)])  # MaxSampleValue
    assert seen(camera, stated)[0, 0, 0] == 128
    assert seen(camera, stated, image_max=2047)[0, 0, 0] == 64


def test_a_value_above_the_range_is_refused_and_whose_range_it_is(camera: TestClient) -> None:
    said = refusal(camera, tiff(np.full((16, 24), 60000, np.uint16)))
    assert "a pixel is 60000, but image_max=4095 is meant to be the highest" in said
    assert said.endswith("image_max=4095 is the range of the model's training images")
    assert "a pixel is 2" in refusal(camera, tiff(np.full((16, 24), 2000, np.uint16)), image_max=1000)


@pytest.mark.parametrize("pixels", [np.full((16, 24), 0.7, np.float32), np.full((16, 24), 200, np.uint16)])
def test_a_range_that_leaves_a_picture_black_is_asked_about(camera: TestClient, pixels: NDArray[Any]) -> None:
    """Such as numbers from 0 to 1, where the training images went up to 4095."""
    said = refusal(camera, tiff(pixels))
    assert "almost black; say which value is white, such as image_max=4095" in said
    assert seen(camera, tiff(pixels), image_max=1 if pixels.dtype == np.float32 else 255)[0, 0, 0] > 170
    assert seen(camera, tiff(pixels), image_max=4095)[0, 0, 0] < 16, "confirmed"


def test_a_black_picture_is_black_whatever_its_range(client: TestClient, camera: TestClient) -> None:
    for service in (client, camera):
        assert seen(service, tiff(np.zeros((16, 24), np.uint16))).max() == 0


def test_a_range_for_eight_bits_is_refused_as_it_would_do_nothing(client: TestClient) -> None:
    said = refusal(client, encode(PICTURE, ".png"), image_max=100)
    assert said == "image_max=100: image has 8 bits a channel, so its highest value is known; leave image_max out"


def test_the_model_says_how_uploads_are_read(client: TestClient, camera: TestClient) -> None:
    assert (client.get("/model").json()["image_max"], camera.get("/model").json()["image_max"]) == (None, 4095)
    assert client.get("/model").json()["read_channels"] == "auto"


def test_a_model_that_was_trained_on_some_channels_reads_these(tmp_path_factory: pytest.TempPathFactory) -> None:
    rgb = encode(np.dstack([np.full((16, 24), level, np.uint8) for level in (10, 60, 110)]), ".png")
    with asking(make_serving(tmp_path_factory, read_channels="2")) as client:
        assert client.get("/model").json()["read_channels"] == "2"
        assert seen(client, rgb)[0, 0].tolist() == [110, 110, 110]
        assert seen(client, rgb, channels="auto")[0, 0].tolist() == [10, 60, 110]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpeg", "png", "tiff", "webp"])
def test_the_answer_has_the_size_as_seen(client: TestClient, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :16] = 255  # white top left
    file = io.BytesIO()
    Image.fromarray(stored).save(file, suffix, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    picture = seen(client, file.getvalue())
    assert picture.shape == ((64, 32, 3) if orientation >= 5 else (32, 64, 3))
    top, left = {1: (1, 1), 2: (1, 0), 3: (0, 0), 4: (0, 1), 5: (1, 1), 6: (1, 0), 7: (0, 0), 8: (0, 1)}[orientation]
    corner = picture[:8] if top else picture[-8:]
    assert (corner[:, :8] if left else corner[:, -8:]).mean() > 250
    assert post(client, file.getvalue(), "/objects").json()["height"] == picture.shape[0]


def test_half_of_a_file_is_refused_and_so_are_zeros_in_its_middle(client: TestClient) -> None:
    whole = encode(make_image(200, 200, 3), ".jpg")
    half = len(whole) // 2
    for damaged in (whole[:half], whole[:half] + bytes(len(whole) - half)):
        refusal(client, damaged, 415)
