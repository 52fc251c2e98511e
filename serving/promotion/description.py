"""What a bioimage.io package says of itself: axes, training, scores, and how to use it in words.

Pixels in, probability out. Under fit=resize it takes the whole image, already scaled, in one size; under fit=tile any
size from a tile on, which readers may cut into blocks. Nothing is typed by a person: the run knows it all.

Of format 0.5, in plain values: bioimageio.spec 0.5.12, which would write it, cannot beside pydantic 2.14. The tests
read it with bioimageio.core.
"""

import re
from dataclasses import asdict
from typing import Any

import yaml

from serving.inference.network import MODEL as ONNX
from serving.inference.tiles import OVERLAP
from serving.promotion.candidate import Candidate
from serving.promotion.card import HOW_FRAMED, finite
from serving.promotion.export import OPSET
from serving.promotion.licence import AUTHOR, LICENCE
from serving.promotion.model_scores import ModelScores, describe_interval, describe_scored
from training import ROOT
from training.data.checks.foreground import has_foreground
from training.data.framing import STRIDE, Frame
from training.data.own_size import THRESHOLD
from training.data.public.catalogue import CATALOGUE, PublicSet
from training.data.public.unpack import read_source
from training.network.unet import LEVELS
from training.study.words import pluralize
from training.tracking.provenance import now, version

FORMAT = "0.5.12"
TORCHSCRIPT, USAGE, COVER = "model.pt", "README.md", "cover.png"  # the files of a package, with ONNX
TEST_INPUT, TEST_OUTPUT = "test_input.npy", "test_output.npy"
INPUT, OUTPUT = "pixels", "probability"
CHANNELS = {1: ["grey"], 3: ["red", "green", "blue"]}
UNET = {
    "text": "Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI 2015",
    "doi": "10.1007/978-3-319-24574-4_28",
}
USE = {
    "resize": "Give it the whole image, scaled and framed to {height} x {width} pixels (height x width), not cut into "
    "blocks: unscaled objects have another size than those it was trained on. In training {framed}.",
    "tile": "Give it an image as it is, at the scale it was trained on: sides of at least {height} pixels, in steps of "
    "{stride}. A reader that cuts it into blocks throws away {halo} pixels at each of their edges, where the network "
    "sees too little.",
}

Fields = dict[str, Any]  # of YAML


def describe_model(candidate: Candidate, scores: ModelScores) -> Fields:
    """The whole description, of a package with the files named above."""
    images, trial, public = candidate.images, candidate.trial, find_public(candidate)
    evaluations = describe_evaluations(candidate, scores)
    return {
        "type": "model",
        "format_version": FORMAT,
        "name": re.sub(r"[^\w+() -]", "_", f"U-Net for {images.name}", flags=re.ASCII)[:64],
        "description": f"Marks the foreground of images like those of {images.name[:200]}. Test Dice "
        f"{scores.test_dice:.3f} over {describe_scored(scores)}.",
        "timestamp": now(),
        "authors": [{"name": AUTHOR}],
        "license": LICENCE,
        "cite": [UNET],
        "tags": ["unet", "semantic-segmentation", "2d", "pytorch", "unet-studies"],
        "documentation": {"source": USAGE},
        "covers": [{"source": COVER}],
        "inputs": [describe_input(images.frame, images.channels)],
        "outputs": [describe_output(images.frame)],
        "weights": {
            "torchscript": {"source": TORCHSCRIPT, "pytorch_version": version("torch")},
            "onnx": {"source": ONNX, "opset_version": OPSET, "parent": "torchscript"},
        },
        "config": {
            "bioimageio": {
                "architecture_type": "2D U-Net",
                "architecture_description": f"{LEVELS} levels, {trial.width} channels in the first",
                "task": "semantic segmentation",
                "training": {
                    "training_preprocessing": f"{how_framed(images.frame)}; augment={trial.augment}",
                    "training_epochs": trial.epochs,
                    "training_batch_size": trial.batch_size,
                    "initial_learning_rate": trial.lr,
                    "learning_rate_schedule": trial.scheduler,
                    "loss_function": trial.loss,
                    "optimizer": trial.optimizer,
                    "regularization": f"weight_decay={trial.weight_decay} dropout={trial.dropout}",
                },
                "evaluations": [
                    {**one, "dataset_id": public.name, "dataset_source": public.home} for one in evaluations if public
                ],
            },
            "unet_studies": finite(
                {
                    "trial": asdict(trial),
                    "frame": asdict(images.frame),
                    "threshold": THRESHOLD,
                    "scores": asdict(scores),
                    "evaluations": evaluations,
                }
            ),
        },
    }


def describe_input(frame: Frame, channels: int) -> Fields:
    def side(name: str, length: int) -> Fields:
        blocks = {"size": {"min": length, "step": STRIDE}, "concatenable": True}
        return {"type": "space", "id": name, **(blocks if frame.fit == "tile" else {"size": length})}

    return {
        "id": INPUT,
        "description": "0 is black, 255 is white; normalization is inside the model",
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": CHANNELS[channels]},
            side("y", frame.height),
            side("x", frame.width),
        ],
        "data": {"type": "float32", "range": [0, 255]},
        "pad": {"mode": "reflect"},
        "test_tensor": {"source": TEST_INPUT},
    }


def describe_output(frame: Frame) -> Fields:
    def side(name: str) -> Fields:
        cropped = {"halo": halo_of(frame)} if frame.fit == "tile" else {}
        return {"type": "space", "id": name, "size": {"tensor_id": INPUT, "axis_id": name}, **cropped}

    return {
        "id": OUTPUT,
        "description": f"of the foreground, which is where it exceeds {THRESHOLD}",
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["foreground"]}, side("y"), side("x")],
        "data": {"type": "float32", "range": [0, 1]},
        "test_tensor": {"source": TEST_OUTPUT},
    }


def find_public(candidate: Candidate) -> PublicSet | None:
    """The public set that `download` put into the folder; None for a folder of one's own."""
    record = read_source(candidate.images.path)
    return CATALOGUE.get(record.name) if record else None


def how_framed(frame: Frame) -> str:
    return HOW_FRAMED[frame.fit].replace("frame.image_size", f"{frame.image_size} pixels")


def halo_of(frame: Frame) -> int:
    """Pixels at a block's edge that do not count: half of what the endpoint's tiles overlap by.

    Twice as many are a multiple of STRIDE, because readers put them around whole images, too.
    """
    half = STRIDE // 2
    return half * -(-frame.image_size // (2 * OVERLAP * half))


def describe_evaluations(candidate: Candidate, scores: ModelScores) -> list[Fields]:
    """As of config.bioimageio, but for the address of the data set, which a folder of one's own has not."""
    return [
        {
            "dataset_id": candidate.images.name,
            "dataset_role": role,
            "sample_count": count,
            "evaluation_factors": ["overall"],
            "evaluation_factors_long": ["all images with foreground"],
            "metrics": ["Dice"],
            "metrics_long": ["mean Dice coefficient over the images, each at its own size"],
            "results": [[dice]],
            "results_summary": said,
        }
        for role, count, dice, said in evaluate(candidate, scores)
    ]


def evaluate(candidate: Candidate, scores: ModelScores) -> list[tuple[str, int, float, str]]:
    """The role of images, how many have foreground, their mean Dice, and what to think of it."""
    num_val = sum(has_foreground(candidate.images, index) for index in candidate.val)
    return [
        ("validation", num_val, scores.val_dice, "the trial was chosen by it, so it flatters"),
        ("test", scores.test_foreground_images, scores.test_dice, describe_interval(scores, digits=3)),
    ]


def describe_usage(candidate: Candidate, scores: ModelScores, card: str) -> str:
    """How to use the model, how good it is, and its card (Markdown). In Markdown."""
    frame = candidate.images.frame
    facts = {"framed": how_framed(frame), "stride": STRIDE, "halo": halo_of(frame), **asdict(frame)}
    rows = "\n".join(
        f"| {role} | {dice:.3f} | {pluralize(count, 'image')} | {note} |"
        for role, count, dice, note in evaluate(candidate, scores)
    )
    public = find_public(candidate)
    source = (
        f"{public.title}, {public.home}. Licence: {public.licence}. {public.citation}" if public else "not published"
    )
    return f"""# How to use it

{USE[frame.fit].format(**facts)}

Pixels are {", ".join(CHANNELS[candidate.images.channels])}, 0 to 255, as float32. The answer is the probability of the
foreground; foreground is above {THRESHOLD}. Here the network computes in fp32, at the endpoint in {scores.precision}.

## Validation

| images | mean Dice | of | |
| --- | --- | --- | --- |
{rows}

To validate it on your images: draw masks of some, predict the same images, and compare the two by their Dice,
2 |A and B| / (|A| + |B|). Count the images on which it finds what is not there, too. A few images say little.

{card.replace("# ", "## ")}
## Source of the images, one of which is in this package

{source}

## Made by

{describe_software()}
"""


def describe_software() -> str:
    """As CITATION.cff has it; installed as a package, the project is without that file."""
    file = ROOT / "CITATION.cff"
    if not file.is_file():
        return "unet-studies"
    cited = yaml.safe_load(file.read_text(encoding="utf-8"))
    authors = ", ".join(author["name"] for author in cited["authors"])
    return f"{authors}: {cited['title']} Version {cited['version']}, {cited['license']}."
