"""An option that an endpoint does not have, or would not read, is refused by name: no answer looks like another one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from served import asking, encode, make_image, make_serving, post
from starlette.testclient import TestClient

pytestmark = pytest.mark.slow

IMAGE = encode(make_image(40, 30, 3), ".png")
WITH_FORMS = ("/segment", "/objects", "/segment_batch", "/jobs")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with asking(make_serving(tmp_path_factory)) as client:
        yield client


def refusal(response: Any) -> str:
    assert response.status_code == 400, response.text
    return str(response.json()["detail"])


@pytest.mark.parametrize("path", WITH_FORMS)
def test_a_misspelt_option_is_refused_with_the_one_that_was_meant(client: TestClient, path: str) -> None:
    said = refusal(post(client, IMAGE, path, treshold=0.1))
    assert said.startswith(f"treshold='0.1': there is no such field; did you mean threshold? POST {path} has image")
    for name in ("threshold", "min_size", "split", "tta", "page", "image_max", "channels"):
        assert f", {name}" in said
    assert "did you mean min_size?" in refusal(post(client, IMAGE, path, **{"Min-Size": 5}))
    assert "did you mean" not in refusal(post(client, IMAGE, path, colour="red"))


@pytest.mark.parametrize("path", WITH_FORMS)
def test_an_option_in_the_address_is_refused_and_told_where_it_belongs(client: TestClient, path: str) -> None:
    said = refusal(post(client, IMAGE, f"{path}?threshold=0.9"))
    assert said.startswith(
        "threshold='0.9' is part of the address, where it is not read; options are fields of the form"
    )
    assert "curl -F image=@photo.png -F threshold=0.9 URL" in said
    assert "treshold='0.9': there is no such field" in refusal(
        post(client, IMAGE, f"{path}?treshold=0.9", threshold=0.9)
    )


@pytest.mark.parametrize("path", ["/model", "/jobs/x", "/jobs/x/result"])
def test_a_question_without_options_refuses_all_of_them(client: TestClient, path: str) -> None:
    assert "verbose='1': GET /" in refusal(client.get(f"{path}?verbose=1"))


@pytest.mark.parametrize("path", WITH_FORMS)
def test_an_option_that_is_given_twice_is_refused(client: TestClient, path: str) -> None:
    field = "images" if path == "/segment_batch" else "image"
    response = client.post(path, files={field: ("a.png", IMAGE)}, data={"threshold": ["0.2", "0.8"]})
    assert refusal(response) == "threshold is given 2 times ('0.2', '0.8'); give it once"


def test_two_files_for_one_image_are_refused_and_for_a_batch_they_are_two(client: TestClient) -> None:
    two = [("a.png", IMAGE), ("b.png", IMAGE)]
    said = refusal(client.post("/segment", files=[("image", file) for file in two]))
    assert said == "image is given 2 times (files); give it once"
    assert client.post("/segment_batch", files=[("images", file) for file in two]).status_code == 200


def test_an_empty_option_is_refused_as_the_default_is_not_what_was_given(client: TestClient) -> None:
    assert refusal(post(client, IMAGE, threshold="")) == (
        "threshold='': the field is empty; give it a value, or leave it out"
    )


def test_an_image_in_a_field_of_another_name_is_refused_with_the_field_s_name(client: TestClient) -> None:
    said = refusal(client.post("/segment", files={"file": ("a.png", IMAGE)}))
    assert said.startswith("file: there is no such field")
    assert "curl -F image=@photo.png" in said


def test_a_file_that_is_sent_as_the_body_itself_is_told_to_be_a_field_of_a_form(client: TestClient) -> None:
    """As `curl --data-binary @photo.png` does: curl calls it a form."""
    head = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.post("/segment", content=b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", headers=head)
    assert refusal(answer) == (
        "the body is no form of fields; send the file as a field of a form, such as `curl -F image=@photo.png URL`"
    )


def test_a_file_where_a_value_belongs_and_no_file_where_one_does_are_refused(client: TestClient) -> None:
    said = refusal(client.post("/segment", files={"image": ("a.png", IMAGE), "threshold": ("t.txt", b"0.5")}))
    assert said == "threshold: this is a file, where a value belongs; send it as text: -F threshold=VALUE"
    for path, field in (("/segment", "image"), ("/segment_batch", "images")):
        said = refusal(client.post(path, files=[(field, ("a.png", IMAGE)), (field, ("", b""))][path == "/segment" :]))
        assert said.startswith(f"{field}='': the field is empty; send the file as a field of a form"), said


def test_options_outside_of_a_form_are_refused(client: TestClient) -> None:
    for body in ({"json": {"threshold": 0.1}}, {"content": IMAGE, "headers": {"content-type": "image/png"}}):
        assert "curl -F image=@photo.png" in refusal(client.post("/segment", **body))  # type: ignore[arg-type]
    assert "threshold='0.1': there" not in refusal(client.post("/segment", data={"threshold": "0.1"}))


def test_the_description_says_so(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    for path in WITH_FORMS:
        (content,) = described["paths"][path]["post"]["requestBody"]["content"].items()
        schema = described["components"]["schemas"][content[1]["schema"]["$ref"].rsplit("/", 1)[1]]
        assert content[0] == "multipart/form-data"
        assert schema["additionalProperties"] is False
        assert schema["properties"]["threshold"]["type"] == "number"
        assert schema["properties"]["image_max"]["description"].startswith("the value that stands for white")
    for operations in described["paths"].values():
        for operation in operations.values():
            assert "400" in operation["responses"]
            assert "422" not in operation["responses"], "never answered"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nothing"), ("POST", "/model"), ("GET", "/segment"), ("POST", "/segment/")]
)
def test_an_endpoint_that_is_not_there_is_named_and_not_redirected(client: TestClient, method: str, path: str) -> None:
    response = client.request(method, path, follow_redirects=False)
    assert response.status_code in (404, 405)
    assert response.json()["detail"] == f"{method} {path}: there is no such endpoint; GET /openapi.json lists them all"


def test_numbers_out_of_range_are_refused(client: TestClient) -> None:
    for name, value in [
        ("threshold", "nan"),
        ("threshold", "inf"),
        ("min_size", "1.5"),
        ("page", -1),
        ("image_max", 0),
    ]:
        assert refusal(post(client, IMAGE, **{name: value})).startswith(f"{name}=")
    assert np.count_nonzero(list(post(client, IMAGE, threshold=1).content)) > 0
