"""Public image sets: where each comes from, under which licence, whom to cite, and how our loader should read it.

A new set is a new entry. Nothing here knows the network, archives or the loader; and nothing of a set is copied into
this project: its licence stays its publisher's.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

CC0 = "CC0 1.0 (public domain): https://creativecommons.org/publicdomain/zero/1.0/"
CC_BY = "CC BY 4.0 (name the source): https://creativecommons.org/licenses/by/4.0/"
CC_BY_NC_SA = (
    "CC BY-NC-SA 4.0 (name the source, no commercial use, share alike): "
    "https://creativecommons.org/licenses/by-nc-sa/4.0/"
)


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    address: str
    sha256: str  # known before the transfer; "" where none is published

    @property
    def name(self) -> str:
        return Path(urlparse(self.address).path).name


@dataclass(frozen=True, kw_only=True)
class PublicSet:
    name: str
    title: str
    home: str  # the page that a person should read
    licence: str
    citation: str
    files: tuple[RemoteFile, ...]  # zip archives; none where the publisher hands them out by hand only
    options: tuple[str, ...]  # of training.check_data and training.runner
    advice: str  # why these options, or what the layout is


def find_set(name: str) -> PublicSet:
    """Raises ValueError for a name that the catalogue does not hold."""
    if name not in CATALOGUE:
        raise ValueError(f"name={name!r} is no public set known here; it must be one of {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def describe_set(dataset: PublicSet) -> list[str]:
    """What a person should know before anything is fetched."""
    lines = [f"{dataset.name}: {dataset.title}", f"  home      {dataset.home}", f"  licence   {dataset.licence}"]
    lines.append(f"  citation  {dataset.citation}")
    for file in dataset.files:
        lines.append(f"  file      {file.address}")
        lines.append(f"  SHA-256   {file.sha256 or 'no published checksum; computed after the transfer'}")
    return lines


def check_command(dataset: PublicSet, folder: Path) -> str:
    return shlex.join(["python", "-m", "training.check_data", "--data", str(folder), *dataset.options])


_BROAD = "https://data.broadinstitute.org/bbbc"

CATALOGUE: dict[str, PublicSet] = {
    entry.name: entry
    for entry in (
        PublicSet(
            name="dsb2018",
            title="2018 Data Science Bowl, stage 1: nuclei under many kinds of light microscopes (BBBC038v1)",
            home="https://bbbc.broadinstitute.org/BBBC038",
            licence=CC0,
            citation=(
                "Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl, Nature "
                "Methods 2019, doi:10.1038/s41592-019-0612-7"
            ),
            files=(RemoteFile(address=f"{_BROAD}/BBBC038/stage1_train.zip", sha256=""),),
            options=(),
            advice="one folder per image: <id>/images holds it, <id>/masks one file per object; this is recognized",
        ),
        PublicSet(
            name="bbbc039",
            title="Nuclei of U2OS cells in a chemical screen (BBBC039v1)",
            home="https://bbbc.broadinstitute.org/BBBC039",
            licence=CC0,
            citation=(
                "image set BBBC039v1, Caicedo et al. 2018, available from the Broad Bioimage Benchmark Collection "
                "(Ljosa et al., Nature Methods 2012, doi:10.1038/nmeth.2083)"
            ),
            files=(  # SHA-256 as other projects recorded them
                RemoteFile(
                    address=f"{_BROAD}/BBBC039/images.zip",
                    sha256="6f30a5d4fe38c928ded972704f085975f8dc0d65d9aa366df00e5a9d449fddd7",
                ),
                RemoteFile(
                    address=f"{_BROAD}/BBBC039/masks.zip",
                    sha256="f9e6043d8ca56344a4886f96a700d804d6ee982f31e2b2cd3194af2a053c2710",
                ),
            ),
            options=("--mask-threshold", "0"),
            advice="masks give each object a colour, and all above 0 is foreground; images have 16 bits, and "
            "check_data says whether they use them all (else image_max)",
        ),
        PublicSet(
            name="chase_db1",
            title="CHASE_DB1: vessels of the retina, both eyes of 14 children",
            home="https://researchdata.kingston.ac.uk/96/",
            licence=CC_BY,
            citation=(
                "Fraz et al., An ensemble classification-based approach applied to retinal blood vessel segmentation, "
                "IEEE Transactions on Biomedical Engineering 2012, doi:10.1109/TBME.2012.2205687"
            ),
            files=(RemoteFile(address="https://researchdata.kingston.ac.uk/96/1/CHASEDB1.zip", sha256=""),),
            options=("--group", r"Image_(\d+)", "--fit", "tile"),
            advice="both eyes of a child belong together; vessels are too thin to be shrunk, so images are tiled",
        ),
        PublicSet(
            name="tnbc",
            title="TNBC: nuclei of triple-negative breast cancer, H&E, 11 patients",
            home="https://zenodo.org/records/1175282",
            licence=CC_BY,
            citation=(
                "Naylor et al., Segmentation of nuclei in histopathology images by deep regression of the distance "
                "map, IEEE Transactions on Medical Imaging 2018/2019, doi:10.1109/TMI.2018.2865709"
            ),
            files=(
                RemoteFile(  # SHA-256 as other projects recorded it
                    address="https://zenodo.org/records/1175282/files/TNBC_NucleiSegmentation.zip",
                    sha256="da708c3a988f4ad4b9bbb9283b387faf703f0bc0e5e689927306bd27ea13a57f",
                ),
            ),
            options=(),
            advice="Slide_01 beside GT_01, and so on; this layout is recognized, and a slide is a group",
        ),
        PublicSet(
            name="monuseg",
            title="MoNuSeg: nuclei of several organs, H&E",
            home="https://monuseg.grand-challenge.org/Data/",
            licence=CC_BY_NC_SA,
            citation=(
                "Kumar et al., A dataset and a technique for generalized nuclear segmentation for computational "
                "pathology, IEEE Transactions on Medical Imaging 2017, doi:10.1109/TMI.2017.2677499; and Kumar et al., "
                "A multi-organ nucleus segmentation challenge, the same journal 2020, doi:10.1109/TMI.2019.2947628"
            ),
            files=(),
            options=(),
            advice='"Tissue Images" beside "Annotations"; this layout is recognized',
        ),
    )
}
