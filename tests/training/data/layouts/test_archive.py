"""A zip given as data is unpacked once and safely; what is no zip is refused with the cure."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from training.data.layouts.archive import open_archive
from training.data.layouts.layouts import find_layout
from training.data.prepared import cache_folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def cells(folder: Path) -> Path:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for name in "ab":
            Image.new("L", (8, 6)).save(folder / part / f"{name}.png")
    return folder


def zipped(path: Path, folder: Path, within: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for inner in sorted(folder.rglob("*")):
            file.write(inner, Path(within) / inner.relative_to(folder))
        file.writestr("__MACOSX/._a.png", b"")
    return path


@pytest.mark.parametrize("within", ["", "cells", "export/cells v2"])
@pytest.mark.parametrize("given", ["zip", "folder"])
def test_a_zip_is_read_as_the_folder_that_it_holds(tmp_path: Path, within: str, given: str) -> None:
    path = zipped(tmp_path / "given" / "cells.zip", cells(tmp_path / "source"), within)
    (tmp_path / "given" / ".DS_Store").write_bytes(b"")
    folder = open_archive(path if given == "zip" else path.parent)
    layout = find_layout(folder)
    assert ([pair.stem for pair in layout.pairs], layout.problems) == (["a", "b"], ())
    assert folder.is_relative_to(cache_folder())
    assert sorted(path.parent.iterdir()) == [tmp_path / "given/.DS_Store", path]


@pytest.mark.parametrize("name", ["cells", "cells v1.2", "cells.bin", "cells.zip"])
@pytest.mark.parametrize("beside", ["README", "LICENSE.md", "about.pdf", "files.txt", ".DS_Store"])
def test_a_folder_with_a_zip_of_any_name_and_texts_is_read_as_the_zip(tmp_path: Path, name: str, beside: str) -> None:
    path = zipped(tmp_path / "given" / name, cells(tmp_path / "source"))
    (tmp_path / "given" / beside).write_text("how these cells were made")
    assert [pair.stem for pair in find_layout(open_archive(path.parent)).pairs] == ["a", "b"]


@pytest.mark.parametrize("beside", ["a.png", "notes/", "b.json"])
def test_an_archive_beside_other_things_is_named_where_nothing_is_recognized(tmp_path: Path, beside: str) -> None:
    folder = tmp_path / "given"
    path = zipped(folder / "set.zip", cells(tmp_path / "source"))
    (folder / beside).mkdir() if beside.endswith("/") else Image.new("L", (4, 4)).save(folder / beside, "png")
    if beside.endswith("json"):
        (folder / beside).write_text("{}")
    with pytest.raises(ValueError, match=rf"it holds archives \(set\.zip\); give it as data={path};"):
        find_layout(open_archive(folder))


def test_a_zip_is_unpacked_once_whatever_its_name_and_again_when_it_changes(tmp_path: Path) -> None:
    source = cells(tmp_path / "source")
    first = open_archive(zipped(tmp_path / "one.zip", source))
    inode = (first / "images/a.png").stat().st_ino
    (tmp_path / "two.zip").write_bytes((tmp_path / "one.zip").read_bytes())
    assert open_archive(tmp_path / "two.zip") == first
    assert (first / "images/a.png").stat().st_ino == inode
    Image.new("L", (9, 9)).save(source / "images/a.png")
    assert open_archive(zipped(tmp_path / "one.zip", source)) != first


def test_the_oldest_unpacked_zip_goes_when_all_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = cells(tmp_path / "source")
    first = open_archive(zipped(tmp_path / "one.zip", source))
    os.utime(first, (0, 0))
    monkeypatch.setattr("training.data.layouts.archive.MAX_BYTES", 100)
    second = open_archive(zipped(tmp_path / "two.zip", source, "within"))
    assert (first.exists(), second.exists()) == (False, True)


@pytest.mark.parametrize("name", ["images", "pairs.csv", "notes"])
def test_a_folder_or_a_csv_is_returned_as_it_is(tmp_path: Path, name: str) -> None:
    cells(tmp_path / "data")
    (tmp_path / "data/pairs.csv").write_text("image,mask\n")
    (tmp_path / "data/masks.zip").write_bytes(b"beside other files")
    data = tmp_path / "data" / name
    assert open_archive(data) == data
    assert open_archive(tmp_path / "data") == tmp_path / "data"


def encrypted(path: Path) -> Path:
    data = bytearray(zipped(path, cells(path.parent / "source")).read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := data.find(mark, start + 1)) >= 0:
            data[start + offset] |= 1
    path.write_bytes(data)
    return path


def leading_out(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../../evil.png", b"x")
    return path


def bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", bytes(50_000_000))
    return path


def truncated(path: Path) -> Path:
    zipped(path, cells(path.parent / "source"))
    path.write_bytes(path.read_bytes()[:-60])
    return path


def tar(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as file:
        file.add(cells(path.parent / "source"), "cells")
    return path


def plain(path: Path) -> Path:
    path.write_bytes(b"no archive at all")
    return path


REFUSED = {
    "encrypted.zip": (encrypted, "is encrypted.*unpack it yourself"),
    "evil.zip": (leading_out, "leads out of the folder"),
    "bomb.zip": (bomb, "brings more bytes than an archive of this size may hold"),
    "cut.zip": (truncated, "the zip is damaged.*copy or download it again"),
    "text.zip": (plain, "this is no zip, or its beginning is lost"),
    "cells.tar.gz": (tar, "of archives only zip is read; unpack it and give the folder"),
    "cells.7z": (plain, "of archives only zip is read"),
    "cells.rar": (plain, "of archives only zip is read"),
    "cells.xlsx": (plain, "this is a document; save the table as csv"),
    "cells.npz": (plain, "arrays are not read"),
    "cells.json": (plain, "give the folder that holds cells.json and its images"),
    "cells.png": (plain, "give a folder of images and masks, a zip of one, or a csv of paths"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_good_zip_is_refused_with_the_cure_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    build, message = REFUSED[name]
    path = build(tmp_path / name)
    with pytest.raises(ValueError, match=rf"(?s)^data={path}: .*{message}") as error:
        open_archive(path)
    assert "\n" not in str(error.value)
    unpacked = cache_folder() / "unpacked"
    assert not unpacked.exists() or not list(unpacked.iterdir())
    assert not list(tmp_path.parent.rglob("evil.png"))


def test_a_folder_with_nothing_but_another_archive_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    tar(tmp_path / "cells.tar.gz").rename(tmp_path / "given/cells.tar.gz")
    with pytest.raises(ValueError, match="of archives only zip is read"):
        open_archive(tmp_path / "given")


def test_a_folder_of_several_archives_is_said(tmp_path: Path) -> None:
    for name in ("images.zip", "masks.zip"):
        (tmp_path / name).write_bytes(b"")
    cure = "unpack them into one folder, and give that; or give the one that holds all"
    with pytest.raises(ValueError, match=rf"data={tmp_path}: it holds archives \(images\.zip, masks\.zip\); {cure}"):
        find_layout(open_archive(tmp_path))
    (tmp_path / "c.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no image with a mask was found; it holds archives"):
        find_layout(open_archive(tmp_path))
