"""The champion's package, read by bioimageio.core as other programs do: its own tests pass, its masks are ours."""

import dataclasses
import io
import json
import math
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bioimageio.core
import cv2
import numpy as np
import onnx
import pytest
import torch
import yaml
from bioimageio.core.prediction import create_prediction_pipeline, create_sample_for_model
from bioimageio.spec import ValidationContext
from bioimageio.spec._internal import io_packaging
from bioimageio.spec.model import v0_4, v0_5
from chain import Chain, make_chain
from conftest import ROOT
from numpy.typing import NDArray
from served import asking, encode, make_image, make_serving, post

from serving import export
from serving.inference.network import FACTS, PACKAGE
from serving.inference.segmenter import Segmenter
from serving.promotion.candidate import Candidate, find_candidate
from serving.promotion.card import preprocessing_json
from serving.promotion.description import describe_model, describe_usage, halo_of
from serving.promotion.export import ExportedModel, export_onnx
from serving.promotion.model_scores import ModelScores
from serving.promotion.package import write_package
from training.data.framing import Frame, frame_image, join
from training.data.images import Pixels
from training.data.public.catalogue import CATALOGUE
from training.data.public.unpack import write_source
from training.data.reading import load_folder
from training.network.unet import UNet

pytestmark = pytest.mark.slow

LOWER_PRECISION = 0.03  # of a probability: what bf16 may change
PROMOTED, TILES, COLOURS = "promoted", "tiles", "colours"


def _serialize_file(value: Any, handler: Any, info: Any) -> Any:
    found = handler(value)
    found["source"] = _package(value.source, info, sha256=value.sha256)  # type: ignore[name-defined]
    return found


def _serialize_weights(value: Any, handler: Any, info: Any) -> Any:
    return handler(value)


# bioimageio.spec 0.5.12, the one that core 0.11 takes, hands pydantic `info` as an index, which pydantic 2.14 refuses:
# beside it, no package at all can be read. Its 0.5.14 has lines like these.
io_packaging.package_file_descr_serializer.__code__ = _serialize_file.__code__
v0_4.package_weights.__code__ = _serialize_weights.__code__


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The promoted model's files."""
    (folder,) = (p for p in (make_chain(tmp_path_factory).bentoml_home / "models" / "unet").iterdir() if p.is_dir())
    return folder


@pytest.fixture(scope="module")
def scores(stored: Path) -> ModelScores:
    card = json.loads((stored / "card.json").read_text())
    known = {field.name: card[field.name] for field in dataclasses.fields(ModelScores)}
    return ModelScores(
        **{name: math.nan if value is None else value for name, value in known.items()} | {"comparisons": ()}
    )


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """What was promoted."""
    chain: Chain = make_chain(tmp_path_factory)
    return find_candidate(chain.client, chain.data)


@pytest.fixture(scope="module")
def packages(
    tmp_path_factory: pytest.TempPathFactory, stored: Path, candidate: Candidate, scores: ModelScores
) -> dict[str, Path]:
    """By name, folders as a promotion leaves them: the promoted one; its network on tiles; one of colours that learned
    nothing, of wide images in a folder with an odd name."""
    chain: Chain = make_chain(tmp_path_factory)
    tiled = dataclasses.replace(
        candidate,
        images=load_folder(chain.data, 32, "tile"),
        trial=candidate.trial.replace(fit="tile", image_size=32),
    )
    colourful = tmp_path_factory.mktemp("data") / "Zellen & Gewebe (µ), 2"
    for part in ("images", "masks"):
        (colourful / part).mkdir(parents=True)
    for index in range(4):
        colours = cv2.cvtColor(make_image(48, 100, 3), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(colourful / "images" / f"{index}.png"), np.roll(colours, index, axis=1))
        cv2.imwrite(str(colourful / "masks" / f"{index}.png"), 255 * (np.roll(colours, index, axis=1)[..., 1] > 100))
    coloured = dataclasses.replace(candidate, images=load_folder(colourful, 64), val=(2, 3))
    torch.manual_seed(0)
    made = {name: tmp_path_factory.mktemp(name) for name in (TILES, COLOURS)}
    shutil.copy(stored / "model.onnx", made[TILES])
    make_package(made[TILES], tiled, scores, ExportedModel(chain.model(tmp_path_factory.mktemp("model"))))
    export_onnx(untrained := ExportedModel(UNet(3)).eval(), 3, made[COLOURS] / "model.onnx")
    make_package(made[COLOURS], coloured, scores, untrained)
    return {PROMOTED: stored, **made}


def make_package(folder: Path, candidate: Candidate, scores: ModelScores, exported: ExportedModel) -> None:
    """As promotion does, served in fp32; the ONNX file is there."""
    (folder / FACTS).write_text(preprocessing_json(candidate.images, candidate.reading, "fp32"))
    write_package(folder, exported.eval(), candidate, scores, "# Model card")


@pytest.mark.parametrize("weights", ["onnx", "torchscript"])
@pytest.mark.parametrize("name", [PROMOTED, TILES, COLOURS])
def test_bioimageio_core_finds_nothing_wrong_with_either_file(
    packages: dict[str, Path], name: str, weights: Any
) -> None:
    """It compares the test tensors, and tries batches and, of tiles, three sizes."""
    summary = bioimageio.core.test_description(packages[name] / PACKAGE, weight_format=weights)
    assert summary.status == "passed", summary.format()
    run = [detail.name for detail in summary.details if detail.name.startswith(f"Run {weights} inference")]
    assert len(run) == (6 if name == TILES else 2)


def predict(package: Path, pixels: Pixels, **options: Any) -> NDArray[np.float32]:
    """(h, w, c) -> (h, w), by bioimageio.core."""
    tensor = pixels.transpose(2, 0, 1)[None].astype(np.float32)
    found = bioimageio.core.predict(model=package, inputs={"pixels": tensor}, **options)
    return np.asarray(found.members["probability"].data.data)[0, 0]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (150, 90), (40, 64)])
def test_its_mask_is_the_endpoint_s(
    tmp_path_factory: pytest.TempPathFactory, stored: Path, height: int, width: int
) -> None:
    """Exactly where the endpoint computes in fp32, too; the frame is made as the package says."""
    image = make_image(height, width, 1)
    facts = json.loads((stored / FACTS).read_text())
    frame = Frame(**facts["frame"])
    framed = predict(stored / PACKAGE, frame_image(image, frame)[0])
    ours = join(framed[None], frame, height, width)
    for precision, differs in (("fp32", 1e-5), (facts["precision"], LOWER_PRECISION)):
        with asking(make_serving(tmp_path_factory, precision=precision)) as client:
            answer = post(client, encode(image, ".png")).content
        mask = cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_UNCHANGED) > 0
        clear = np.abs(ours - 0.5) > differs
        assert np.array_equal(mask[clear], ours[clear] > 0.5)
        assert clear.mean() > (0.8 if differs == LOWER_PRECISION else 0.999)
        assert 0 < mask.mean() < 1


def test_a_tile_is_the_endpoint_s_and_blocks_of_a_large_image_nearly(packages: dict[str, Path]) -> None:
    folder = packages[TILES]
    segmenter, image = Segmenter(folder), make_image(96, 160, 1)
    tile = np.ascontiguousarray(image[:32, 40:72])
    described = bioimageio.core.load_model_description(folder / PACKAGE)
    with create_prediction_pipeline(described) as pipeline:
        sample = create_sample_for_model(described, inputs={"pixels": tile.transpose(2, 0, 1)[None].astype(np.float32)})
        found = pipeline.predict_sample_without_blocking(sample, skip_input_padding=True, skip_output_cropping=True)
    alone = np.asarray(found.members["probability"].data.data)[0, 0]
    assert np.abs(alone - segmenter.probability(tile)).max() < 1e-5
    blocks = predict(folder / PACKAGE, image, blocksize_parameter=4)
    assert blocks.shape == image.shape[:2]
    assert ((blocks > 0.5) == (segmenter.probability(image) > 0.5)).mean() > 0.97


@pytest.mark.parametrize("size", [32, 48, 64, 240, 256, 512, 4096])
def test_a_block_s_halo_is_an_eighth_of_a_tile_and_keeps_whole_images_computable(size: int) -> None:
    halo = halo_of(Frame(fit="tile", image_size=size, height=size, width=size))
    assert size / 8 <= halo < size / 8 + 8
    assert 2 * halo % 16 == 0
    assert size - 2 * halo > 0


def test_colours_of_wide_images_are_three_channels_of_one_size(packages: dict[str, Path]) -> None:
    described = bioimageio.core.load_model_description(packages[COLOURS] / PACKAGE)
    assert [axis.size for axis in described.inputs[0].axes] == [None, 3, 32, 64]
    assert described.name == "U-Net for Zellen _ Gewebe (_)_ 2"


def test_it_says_what_the_run_knows(packages: dict[str, Path], scores: ModelScores) -> None:
    fields, readme = read(packages[PROMOTED] / PACKAGE)
    training, known = fields["config"]["bioimageio"]["training"], fields["config"]["unet_studies"]
    trial = json.loads((packages[PROMOTED] / "card.json").read_text())["trial"]
    assert known["trial"] == trial
    assert (training["optimizer"], training["initial_learning_rate"]) == (trial["optimizer"], trial["lr"])
    assert [(one["dataset_role"], one["sample_count"], one["results"]) for one in known["evaluations"]] == [
        ("validation", 4, [[scores.val_dice]]),
        ("test", 2, [[scores.test_dice]]),
    ]
    assert f"| validation | {scores.val_dice:.3f} | 4 images |" in readme
    assert f"| test | {scores.test_dice:.3f} | 2 images |" in readme
    assert "## Validation" in readme
    assert "whole image, scaled and framed to 64 x 64 pixels" in readme
    assert "The unet-studies authors: unet-studies: which hyper-parameters" in readme


def test_a_public_set_is_named_with_address_and_licence(
    candidate: Candidate, scores: ModelScores, tmp_path: Path
) -> None:
    public = CATALOGUE["chase_db1"]
    write_source(dataclasses.replace(public, files=()), tmp_path, [])
    downloaded = dataclasses.replace(candidate, images=dataclasses.replace(candidate.images, path=tmp_path))
    with ValidationContext(perform_io_checks=False):  # which would ask that address
        known = describe_model(downloaded, scores)["config"]["bioimageio"]["evaluations"]
        found = [v0_5.Evaluation(**one) for one in known]
    assert [(one.dataset_role, one.results) for one in found] == [
        ("validation", [[scores.val_dice]]),
        ("test", [[scores.test_dice]]),
    ]
    assert {(one.dataset_id, str(one.dataset_source)) for one in found} == {("chase_db1", public.home)}
    assert f"Licence: {public.licence}. {public.citation}" in describe_usage(downloaded, scores, "# Model card")


def read(package: Path) -> tuple[dict[str, Any], str]:
    """Its description, and its words."""
    with zipfile.ZipFile(package) as archive:
        return yaml.safe_load(archive.read("bioimageio.yaml")), archive.read("README.md").decode()


def test_its_onnx_file_is_the_served_one_and_old_runtimes_read_it(packages: dict[str, Path]) -> None:
    with zipfile.ZipFile(packages[PROMOTED] / PACKAGE) as archive:
        written = archive.read("model.onnx")
    assert written == (packages[PROMOTED] / "model.onnx").read_bytes()
    model = onnx.load_from_string(written)
    assert ([one.version for one in model.opset_import], model.ir_version) == ([17], 8)


def test_no_file_in_it_names_a_folder_of_this_machine(packages: dict[str, Path]) -> None:
    for folder in packages.values():
        for name, content in files_in((folder / PACKAGE).read_bytes()):
            for place in (ROOT, Path(torch.__file__).parent, folder):
                assert str(place).encode() not in content, name


def files_in(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Those of archives in it, too, as a TorchScript file is one."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for name in opened.namelist():
            content = opened.read(name)
            yield name, content
            if zipfile.is_zipfile(io.BytesIO(content)):
                yield from files_in(content)


def test_the_server_and_the_registry_have_the_same_file(
    chain: Chain, stored: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = (stored / PACKAGE).read_bytes()
    (logged,) = chain.folder.glob(f"mlruns/**/artifacts/extra_files/{PACKAGE}")
    assert logged.read_bytes() == made
    serving = make_serving(tmp_path_factory)
    with asking(serving) as client:
        answer = client.get("/model.zip")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        assert answer.content == made
        (serving.segmenter.folder / PACKAGE).unlink()
        earlier = client.get("/model.zip")
        assert (earlier.status_code, "promote it again" in earlier.json()["detail"]) == (404, True)


@pytest.fixture
def in_chain(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.chdir(chain.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", chain.uri)
    return chain


def test_export_writes_it_under_another_licence_and_name(in_chain: Chain, stored: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.zip"
    given = ["--format", "bioimageio", "--out", str(out), "--licence", "CC-BY-4.0", "--author", "Ada Lovelace"]
    assert export.main(given) == 0
    fields, readme = read(out)
    before, same = read(stored / PACKAGE)
    assert readme == same
    assert fields == before | {"license": "CC-BY-4.0", "authors": [{"name": "Ada Lovelace"}]}
    assert bioimageio.core.load_model_description(out).license == "CC-BY-4.0"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--format", "onnx"], "format='onnx' is unknown; it must be one of bioimageio"),
        (["--licence", "mine"], "licence='mine' is no identifier of https://spdx.org/licenses"),
        (["--licence", "apache-2.0"], "give one as it is written there, such as Apache-2.0"),
        (["--licence", "MIT OR Apache-2.0"], "is no identifier"),
        (["--licence", "LicenseRef-mine"], "is no identifier"),
        (["--author", " "], "author=' ' is no name"),
        (["--out", "nowhere/champion.zip"], "out=nowhere/champion.zip cannot be written"),
    ],
)
@pytest.mark.usefixtures("in_chain")
def test_what_export_cannot_use_is_refused(given: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main(given) == 2
    assert words in capsys.readouterr().err


def test_a_champion_without_a_package_is_refused_with_the_cure(
    in_chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (logged,) = in_chain.folder.glob(f"mlruns/**/artifacts/extra_files/{PACKAGE}")
    shutil.move(logged, tmp_path)
    try:
        assert export.main(["--out", str(tmp_path / "champion.zip")]) == 2
    finally:
        shutil.move(tmp_path / PACKAGE, logged)
    assert "models:/unet@champion has no package" in (said := capsys.readouterr().err)
    assert "mlflow run . -e promote" in said
    assert not (tmp_path / "champion.zip").exists()
