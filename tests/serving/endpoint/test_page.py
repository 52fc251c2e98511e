"""The page at / in a real browser: an image is dropped, its mask is seen, its objects are downloaded."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import tifffile
from chain import Chain
from playwright.sync_api import ConsoleMessage, Error, Page, Route, expect, sync_playwright
from served import encode, listening, make_serving, make_touching, post, strip

from serving.endpoint import objects
from serving.endpoint.answers import Serving
from serving.endpoint.api import make_app

pytestmark = pytest.mark.slow

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Serving:
    return make_serving(tmp_path_factory)


@pytest.fixture(scope="module")
def address(serving: Serving) -> Iterator[str]:
    """The endpoints on loopback; under /seg/ too, as behind a reverse proxy."""
    with listening(strip(make_app(lambda: serving))) as url:
        yield url


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    """The page, at the width of a phone; whatever the browser complains about fails the test."""
    installed = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        except Error:
            pytest.skip("no Chromium here: the page was not tried in a browser")
        page = browser.new_page(viewport={"width": 400, "height": 900})
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
        page.goto(address)
        yield page
        browser.close()
        assert not complaints


def is_complaint(message: ConsoleMessage) -> bool:
    """Chromium notes every answer that is an error; 400, a question about a file, and 415, a damaged one, are none."""
    return message.type == "error" and not re.search("status of 4(00|15)", message.text)


def upload(page: Page, path: Path) -> None:
    page.set_input_files("#file", path)
    expect(page.locator("#say")).to_contain_text("answered in", timeout=20_000)


def test_it_shows_the_model_card(page: Page) -> None:
    expect(page.locator("#model")).to_contain_text("test Dice, mean of")
    expect(page.locator("#card")).to_contain_text("circles")


def test_an_uploaded_image_is_shown_with_its_mask_and_objects(page: Page, chain: Chain) -> None:
    upload(page, chain.data / "images" / "00.png")
    expect(page.locator("#say")).to_contain_text(re.compile("64 . 64 pixels"))
    page.locator("#threshold").fill("1")
    everything = float(page.inner_text("#count").split(", ")[1].split(" %")[0])
    page.locator("#threshold").fill("99")
    assert float(page.inner_text("#count").split(", ")[1].split(" %")[0]) < everything, "the threshold acts at once"
    page.locator("#threshold").fill("50")


def test_small_objects_vanish_as_the_limit_rises(page: Page, chain: Chain) -> None:
    upload(page, chain.data / "images" / "00.png")
    page.locator("#threshold").fill("1")
    page.locator("#size").fill("100")
    expect(page.locator("#size-is")).to_have_text("10000")
    expect(page.locator("#count")).to_contain_text("0 objects")
    page.locator("#size").fill("0")
    page.locator("#threshold").fill("50")


def test_mask_and_objects_are_downloaded(page: Page, chain: Chain) -> None:
    upload(page, chain.data / "images" / "00.png")
    with page.expect_download() as mask:
        page.click("#png")
    assert mask.value.suggested_filename == "00_mask.png"
    assert cv2.imread(str(mask.value.path()), cv2.IMREAD_GRAYSCALE).shape == (64, 64)
    with page.expect_download() as listed:
        page.click("#geojson")
    found = json.loads(Path(listed.value.path()).read_text())
    assert found["type"] == "FeatureCollection"
    shown = page.locator("#rows tr").count()
    assert len(found["features"]) == shown


def test_how_well_a_mask_is_likely_to_fit_is_asked_of_the_other_networks(
    page: Page, address: str, chain: Chain
) -> None:
    image = chain.data / "images" / "00.png"
    upload(page, image)
    page.locator("#threshold").fill("70")  # the mask that is told of is that of the model's own
    page.get_by_role("button", name="Ask other networks").click()
    answer = post(httpx.Client(base_url=address), image.read_bytes(), confidence="true")
    told = float(answer.headers["predicted-dice"])
    expect(page.locator("#predicted")).to_have_text(f"Dice about {told:.2f}, at threshold 0.50")
    page.locator("#threshold").fill("50")
    expect(page.locator("#card")).to_contain_text("a predicted Dice is off by")
    upload(page, chain.data / "images" / "01.png")
    expect(page.locator("#predicted")).to_have_text("")


def test_a_model_without_other_seeds_says_why_it_predicts_no_dice(page: Page, address: str, serving: Serving) -> None:
    alone = replace(serving, ensemble=None, card=serving.card | {"confidence": "no other seed was there"})
    with listening(make_app(lambda: alone)) as other:
        page.goto(other)
        expect(page.locator("#card")).to_contain_text("circles")
        expect(page.locator("#predict")).not_to_be_visible()
        expect(page.locator("#why")).to_have_text("It cannot be told: no other seed was there.")
    page.goto(address)


def test_the_model_is_downloaded_as_a_package(page: Page, address: str) -> None:
    with page.expect_download() as package:
        page.get_by_role("button", name="Model, bioimage.io zip").click()
    assert package.value.suggested_filename == "model.zip"
    assert Path(package.value.path()).read_bytes() == httpx.get(f"{address}/model.zip").content


def test_touching_objects_are_parted_by_the_server_and_downloaded_so(page: Page, address: str, tmp_path: Path) -> None:
    image = encode(make_touching(), ".png")
    (tmp_path / "touching.png").write_bytes(image)

    def on_server(threshold: str) -> re.Pattern[str]:
        fields = {"threshold": threshold, "split": "true"}
        listed = httpx.post(f"{address}/objects", files={"image": image}, data=fields).json()
        return re.compile(f"^{len(listed['features'])} objects?,")

    upload(page, tmp_path / "touching.png")
    together = page.inner_text("#count")
    page.get_by_label("Part objects that touch").check()
    expect(page.locator("#count")).to_have_text(on_server("0.5"))
    assert page.inner_text("#count") != together
    with page.expect_download() as listed:
        page.click("#geojson")
    found = json.loads(Path(listed.value.path()).read_text())
    assert len(found["features"]) == page.locator("#rows tr").count()
    for percent in ("40", "50"):  # a new threshold is parted anew
        page.locator("#threshold").fill(percent)
        expect(page.locator("#count")).to_have_text(on_server(f"0.{percent}"))
    page.get_by_label("Part objects that touch").uncheck()
    expect(page.locator("#count")).to_have_text(together)


def test_an_image_too_large_to_part_stays_as_it_is_and_the_reason_is_said(
    page: Page, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(page, chain.data / "images" / "00.png")
    together = page.inner_text("#count")
    monkeypatch.setattr(objects, "MAX_SPLIT", 1000)
    page.get_by_label("Part objects that touch").click()
    expect(page.locator("#say")).to_contain_text("the image has 4,096 pixels; at most 1,000 are split at once")
    expect(page.get_by_label("Part objects that touch")).not_to_be_checked()
    expect(page.locator("#count")).to_have_text(together)


def is_look(route: Route) -> bool:
    return route.request.method == "GET"


def test_a_large_image_shows_how_far_it_is_and_can_be_cancelled(page: Page, address: str, tmp_path: Path) -> None:
    """More bytes than the page waits for: it goes the way of long jobs."""
    noise = np.random.default_rng(0).integers(0, 256, (2400, 2400), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), noise)
    assert (tmp_path / "large.png").stat().st_size > 4e6
    upload(page, tmp_path / "large.png")
    expect(page.locator("#say")).to_contain_text(re.compile("2400 . 2400 pixels.*Shown at 83 % of its size"))
    expect(page.locator("#long")).to_be_hidden()
    with page.expect_download() as overlay:
        page.click("#overlay")
    assert cv2.imread(str(overlay.value.path())).shape == (2400, 2400, 3)
    with page.expect_response(lambda response: response.request.method == "DELETE") as forgotten:
        looks: list[Route] = []  # the page's, at its job: they wait here, so that there is time to press a button
        page.route("**/jobs/*", lambda route: looks.append(route) if is_look(route) else route.continue_())
        page.set_input_files("#file", tmp_path / "large.png")
        page.get_by_role("button", name="Cancel").click()
        while not looks:
            page.wait_for_timeout(20)
        looks[0].continue_()
        expect(page.locator("#say")).to_have_text("large.png: Cancelled.")
    page.unroute("**/jobs/*")
    assert forgotten.value.status == 204
    assert httpx.get(forgotten.value.url).status_code == 404


def test_an_object_is_marked_in_the_image_when_its_row_is_pointed_at(page: Page, chain: Chain) -> None:
    upload(page, chain.data / "images" / "00.png")
    page.locator("#threshold").fill("1")
    before = page.evaluate("() => document.getElementById('mask').toDataURL()")
    page.locator("#rows tr").first.hover()
    assert page.evaluate("() => document.getElementById('mask').toDataURL()") != before
    page.locator("h1").hover()
    page.locator("#threshold").fill("50")


def test_a_sample_needs_no_file(page: Page) -> None:
    page.click("#sample")
    expect(page.locator("#say")).to_contain_text(re.compile("256 . 256 pixels"), timeout=20_000)


def level(page: Page, x: int, y: int) -> list[int]:
    """Red, green and blue of the image that is shown."""
    script = f"() => [...document.getElementById('image').getContext('2d').getImageData({x}, {y}, 1, 1).data]"
    return [int(value) for value in page.evaluate(script)[:3]]


def test_a_stack_asks_for_its_page_and_shows_the_one_that_was_read(page: Page, tmp_path: Path) -> None:
    levels = np.stack([np.full((40, 60), level, np.uint8) for level in (10, 120, 240)])
    tifffile.imwrite(tmp_path / "stack.tif", levels, photometric="minisblack")
    page.set_input_files("#file", tmp_path / "stack.tif")
    expect(page.locator("#say")).to_contain_text("the file has 3 pages; say which one: page=0 to page=2")
    expect(page.locator("#say")).to_contain_text("Say it under “How the file is read”.")
    expect(page.locator("#page")).to_be_visible()
    expect(page.locator("#page")).to_be_focused()
    page.get_by_label("Page of a stack").fill("1")
    page.get_by_role("button", name="Read it so").click()
    expect(page.locator("#say")).to_contain_text(re.compile("60 . 40 pixels"), timeout=20_000)
    assert level(page, 5, 5) == [120, 120, 120]
    with page.expect_download() as overlay:
        page.locator("#threshold").fill("99")
        page.click("#overlay")
    assert cv2.imread(str(overlay.value.path())).max() == 120, "a download is of the page that is shown"
    page.locator("#threshold").fill("50")


def test_a_refused_file_is_named_and_nothing_of_the_one_before_it_stays(
    page: Page, chain: Chain, tmp_path: Path
) -> None:
    upload(page, chain.data / "images" / "00.png")
    expect(page.locator("#say")).to_contain_text("00.png: ")
    expect(page.locator("#list")).to_be_visible()
    half = (chain.data / "images" / "01.png").read_bytes()
    (tmp_path / "half.png").write_bytes(half[: len(half) // 2])
    page.set_input_files("#file", tmp_path / "half.png")
    expect(page.locator("#say")).to_contain_text("half.png: ", timeout=20_000)
    expect(page.locator("#view")).not_to_be_visible()
    expect(page.locator("#list")).not_to_be_visible()
    expect(page.locator("#png")).to_be_disabled()
    page.locator("#threshold").fill("60")
    page.locator("#threshold").fill("50")


def test_twelve_bits_ask_for_their_range_and_keep_it_for_the_next_file(page: Page, tmp_path: Path) -> None:
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((40, 60), 2048, np.uint16))
    page.set_input_files("#file", tmp_path / "a.tif")
    expect(page.locator("#say")).to_contain_text("image_max=4095 for 12 bits")
    page.get_by_label("Value that stands for white").fill("4095")
    page.keyboard.press("Enter")
    expect(page.locator("#say")).to_contain_text("answered in", timeout=20_000)
    assert level(page, 5, 5) == [128, 128, 128]
    upload(page, tmp_path / "b.tif")
    assert level(page, 5, 5) == [128, 128, 128]
    page.get_by_label("Value that stands for white").fill("")


def test_under_the_path_of_a_reverse_proxy_nothing_is_asked_outside_of_it(
    page: Page, address: str, chain: Chain, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2400, 2400), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), noise)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(f"{address}/seg/")
    expect(page.locator("#card")).to_contain_text("circles")
    upload(page, chain.data / "images" / "00.png")
    upload(page, tmp_path / "large.png")
    ours = [url.removeprefix(address) for url in requested if url.startswith(address)]
    assert {"/seg/", "/seg/model", "/seg/segment", "/seg/jobs"} <= set(ours)
    assert all(path.startswith("/seg/") for path in ours)


def test_nothing_is_wider_than_a_phone(page: Page) -> None:
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 400


def test_every_control_has_a_name_for_those_who_do_not_see_it(page: Page) -> None:
    page.locator("#reading").evaluate("fold => fold.open = true")
    for role, names in {
        "slider": ["Opacity", "Threshold", "Smallest object"],
        "checkbox": ["Part objects that touch"],
        "textbox": ["Page of a stack", "Value that stands for white", "Channels"],
        "button": [
            "Read it so",
            "Take a sample",
            "Mask, PNG",
            "Overlay, PNG",
            "Objects, GeoJSON",
            "Ask other networks",
        ],
    }.items():
        for name in names:
            assert page.get_by_role(role, name=name).count() == 1, name  # type: ignore[arg-type]
    assert page.get_by_label("Choose an image").count() == 1
