"""Public sets arrive whole or not at all: transfers, checks and archives, against a real server on this machine."""

import hashlib
import io
import re
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from training import check_data
from training.command import options
from training.data.public.catalogue import CATALOGUE, PublicSet, RemoteFile
from training.data.public.unpack import SOURCE
from training.download import AGAIN, RETRIES, TransferFailed, fetch, main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PICTURE = np.random.default_rng(0).bytes(600_000)  # no archive makes it smaller


@dataclass
class Site:
    """A server of files, and how it misbehaves."""

    files: dict[str, bytes] = field(default_factory=dict)
    drops: list[int] = field(default_factory=list)  # bytes after which each next answer breaks off
    statuses: list[int] = field(default_factory=list)  # of the next answers, instead of the file
    claimed: int = 0  # Content-Length, where not the true one
    requested: list[str] = field(default_factory=list)  # path of every request
    port: int = 0

    def file(self, name: str, sha256: str = "") -> RemoteFile:
        return RemoteFile(address=f"http://127.0.0.1:{self.port}/{name}", sha256=sha256)


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site = self.site
        site.requested.append(self.path)
        body = site.files.get(self.path.strip("/"))
        status = site.statuses.pop(0) if site.statuses else 404 if body is None else 200
        if status != 200 or body is None:
            self.send_error(status)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(site.claimed or len(body)))
        self.end_headers()
        self.wfile.write(body[: site.drops.pop(0)] if site.drops else body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OurHandler", (Handler,), {"site": made}))
    made.port = server.server_port
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def make_zip(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as opened:
        for name, data in files.items():
            opened.writestr(zipfile.ZipInfo(name) if name.endswith("/") else name, data)
    return archive.getvalue()


def make_set(*files: RemoteFile, name: str = "discs") -> PublicSet:
    return PublicSet(
        name=name,
        title="Bright discs",
        home="https://example.org/discs",
        licence="CC0 1.0",
        citation="Disc et al. 2026",
        files=files,
        options=("--fit", "tile"),
        advice="discs are round",
    )


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def get(dataset: PublicSet, out: Path) -> str:
    said = io.StringIO()
    fetch(dataset, out, said)
    return said.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def discs(site: Site) -> PublicSet:
    """A set of one archive, discs.zip, of 600 kB, whose SHA-256 is known."""
    site.files["discs.zip"] = make_zip({"discs/images/a.png": PICTURE, "discs/masks/a.png": b"mask"})
    return make_set(site.file("discs.zip", sha256(site.files["discs.zip"])))


def test_a_set_arrives_whole_and_nothing_else_stays(discs: PublicSet, site: Site, tmp_path: Path) -> None:
    said = get(discs, tmp_path / "deep" / "data")
    got = contents(tmp_path / "deep" / "data")
    assert got.pop(SOURCE)
    assert got == {"discs/images/a.png": PICTURE, "discs/masks/a.png": b"mask"}, "the top folder is kept"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["data"]
    assert site.requested == ["/discs.zip"]
    assert f"python -m training.check_data --data {tmp_path / 'deep' / 'data'} --fit tile" in said


def test_address_size_checksum_licence_and_citation_are_shown_and_kept(
    discs: PublicSet, site: Site, tmp_path: Path
) -> None:
    said, kept = get(discs, tmp_path / "data"), (tmp_path / "data" / SOURCE).read_text()
    digest = sha256(site.files["discs.zip"])
    for fact in (discs.files[0].address, digest, discs.home, discs.licence, discs.citation):
        assert fact in said, "shown"
        assert fact in kept, "kept"
    assert f"{len(site.files['discs.zip']):,} bytes, SHA-256: {digest}, as expected" in kept
    assert "2 files, 600,004 bytes unpacked" in kept
    assert "--data FOLDER --fit tile" in kept


def test_without_a_published_checksum_the_computed_one_is_kept(site: Site, tmp_path: Path) -> None:
    site.files["a.zip"] = make_zip({"a.png": b"a"})
    said = get(make_set(site.file("a.zip")), tmp_path / "data")
    assert "no published checksum; computed after the transfer" in said
    kept = (tmp_path / "data" / SOURCE).read_text()
    assert f"no published checksum; computed {sha256(site.files['a.zip'])}" in kept


def test_two_archives_fill_one_folder_and_a_mac_s_own_files_are_left_out(site: Site, tmp_path: Path) -> None:
    site.files["images.zip"] = make_zip({"images/": b"", "images/a.tif": b"a", "__MACOSX/images/._a.tif": b"x"})
    site.files["masks.zip"] = make_zip({"masks/a.png": b"m", "masks/.DS_Store": b"x"})
    get(make_set(site.file("images.zip"), site.file("masks.zip")), tmp_path / "data")
    assert set(contents(tmp_path / "data")) == {"images/a.tif", "masks/a.png", SOURCE}


def test_after_a_dropped_connection_the_file_is_fetched_again(discs: PublicSet, site: Site, tmp_path: Path) -> None:
    site.drops = [200_000, 0]
    get(discs, tmp_path / "data")
    assert len(site.requested) == 3
    assert contents(tmp_path / "data")["discs/images/a.png"] == PICTURE


def test_it_gives_up_after_a_few_tries_and_leaves_nothing_half(discs: PublicSet, site: Site, tmp_path: Path) -> None:
    site.drops = [70_000] * (RETRIES + 1)
    with pytest.raises(TransferFailed, match=f"70000 bytes read, .* more expected.* 5 tries failed; {AGAIN}"):
        get(discs, tmp_path / "data")
    assert len(site.requested) == RETRIES + 1
    assert not contents(tmp_path)


def test_an_archive_that_came_whole_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    site.files["a.zip"] = make_zip({"a.png": b"a"})
    dataset = make_set(site.file("a.zip"), site.file("b.zip"))
    with pytest.raises(TransferFailed, match="404"):
        get(dataset, tmp_path / "data")
    site.files["b.zip"] = make_zip({"b.png": b"b"})
    get(dataset, tmp_path / "data")
    assert site.requested == ["/a.zip", "/b.zip", "/b.zip"]


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(discs: PublicSet, site: Site, tmp_path: Path) -> None:
    site.statuses = [503]
    get(discs, tmp_path / "data")
    assert len(site.requested) == 2
    with pytest.raises(TransferFailed, match=r"gone\.zip: the server answers 404 Not Found; look at the home page"):
        get(make_set(site.file("gone.zip")), tmp_path / "other")
    assert len(site.requested) == 3


def test_a_server_that_is_not_there_is_a_failed_transfer(tmp_path: Path) -> None:
    with pytest.raises(TransferFailed, match=r"Connection refused.* 5 tries failed"):
        get(make_set(RemoteFile(address="http://127.0.0.1:9/a.zip", sha256="")), tmp_path / "data")


def test_a_full_disk_is_seen_before_the_transfer(discs: PublicSet, site: Site, tmp_path: Path) -> None:
    site.claimed = 10**18
    with pytest.raises(
        TransferFailed, match=r"discs.zip needs 1,000,000,000,000 MB, but .* MB free; make room there, or"
    ):
        get(discs, tmp_path / "data")


def test_a_wrong_checksum_stops_and_removes_the_file(site: Site, tmp_path: Path) -> None:
    site.files["a.zip"] = make_zip({"a.png": b"a"})
    wrong = make_set(site.file("a.zip", "0" * 64))
    with pytest.raises(TransferFailed, match=f"SHA-256 is {sha256(site.files['a.zip'])}, but {'0' * 64} is known"):
        get(wrong, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "data.download" / "a.zip").exists()


def test_a_second_call_finds_the_data_and_does_nothing(discs: PublicSet, site: Site, tmp_path: Path) -> None:
    get(discs, tmp_path / "data")
    before = contents(tmp_path / "data")
    (tmp_path / "data" / "index.csv").write_text("a person's own")
    assert "2 files are there, fetched and verified before; nothing to do" in get(discs, tmp_path / "data")
    assert len(site.requested) == 1
    assert contents(tmp_path / "data") == {**before, "index.csv": b"a person's own"}


def test_files_that_went_missing_are_told(discs: PublicSet, tmp_path: Path) -> None:
    get(discs, tmp_path / "data")
    (tmp_path / "data" / "discs" / "masks" / "a.png").unlink()
    with pytest.raises(ValueError, match=r"holds 1 files and 600,000 bytes, but 2 files .* delete all but SOURCE\.md"):
        get(discs, tmp_path / "data")


def test_a_repeated_download_is_compared_with_the_recorded_checksum(site: Site, tmp_path: Path) -> None:
    site.files["a.zip"] = make_zip({"a.png": b"first"})
    dataset = make_set(site.file("a.zip"))
    get(dataset, tmp_path / "data")
    (tmp_path / "data" / "a.png").unlink()
    get(dataset, tmp_path / "data")
    assert contents(tmp_path / "data")["a.png"] == b"first"
    (tmp_path / "data" / "a.png").unlink()
    site.files["a.zip"] = make_zip({"a.png": b"second"})
    with pytest.raises(TransferFailed, match=r"is recorded in SOURCE\.md; the file was removed"):
        get(dataset, tmp_path / "data")


def test_a_folder_that_is_not_ours_is_refused_untouched(discs: PublicSet, site: Site, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / SOURCE).write_text("mine")
    with pytest.raises(ValueError, match="is not an empty folder, and this command did not fill it"):
        get(discs, tmp_path / "data")
    assert contents(tmp_path) == {f"data/{SOURCE}": b"mine"}
    with pytest.raises(ValueError, match="is not an empty folder"):
        get(discs, tmp_path / "data" / SOURCE)
    get(discs, tmp_path / "new")
    with pytest.raises(ValueError, match="holds discs; choose a new or empty one"):
        get(make_set(*discs.files, name="other"), tmp_path / "new")
    assert len(site.requested) == 1


def test_an_empty_folder_is_filled(discs: PublicSet, tmp_path: Path) -> None:
    get(discs, tmp_path)
    assert (tmp_path / "discs" / "masks" / "a.png").read_bytes() == b"mask"


def link(kind: int) -> bytes:
    archive, member = io.BytesIO(), zipfile.ZipInfo("link")
    member.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(member, "/etc/passwd")
    return archive.getvalue()


def encrypted() -> bytes:
    data = bytearray(make_zip({"a.png": b"a"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (make_zip({"good.png": b"a", "../evil": b"x"}), "member '../evil' leads out of the folder"),
        (make_zip({"a/..\\..\\evil": b"x"}), "leads out of the folder"),
        (make_zip({"/evil": b"x"}), "member '/evil' has an absolute name"),
        (make_zip({"C:evil": b"x"}), "has an absolute name"),
        (make_zip({"\\\\server\\share\\evil": b"x"}), "has an absolute name"),
        (link(stat.S_IFLNK), "member 'link' is a link or a device"),
        (link(stat.S_IFIFO), "is a link or a device"),
        (encrypted(), "member 'a.png' is encrypted"),
        (make_zip({"a": b"x", "a/b": b"x"}), "member 'a/b' is there twice"),
        (make_zip({"bomb": bytes(16_000_000)}, zipfile.ZIP_DEFLATED), "'bomb' brings more bytes than an archive of"),
        (make_zip({"empty/": b""}), "it holds no file"),
    ],
)
def test_an_archive_that_is_not_safe_is_not_used(archive: bytes, said: str, site: Site, tmp_path: Path) -> None:
    site.files["a.zip"] = archive
    with pytest.raises(ValueError, match=re.escape(said)):
        get(make_set(site.file("a.zip")), tmp_path / "folder" / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert set(contents(tmp_path)) <= {"folder/data.download/a.zip"}


@pytest.mark.parametrize(("limit", "said"), [("MAX_FILES", "3 members; at most 2"), ("MAX_BYTES", "at most 2 are")])
def test_an_archive_of_too_much_is_refused_by_what_it_claims(
    limit: str, said: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"training.data.public.unpack.{limit}", 2)
    site.files["a.zip"] = make_zip({"a": b"a", "b": b"b", "c": b"c"})
    with pytest.raises(ValueError, match=said):
        get(make_set(site.file("a.zip")), tmp_path / "data")


@pytest.mark.parametrize("broken", ["truncated", "altered", "squeezed"])
def test_a_damaged_zip_is_removed_so_that_the_next_call_fetches_it_anew(
    broken: str, site: Site, tmp_path: Path
) -> None:
    whole = make_zip({"a.txt": b"hello hello hello"}, zipfile.ZIP_DEFLATED if broken == "squeezed" else 0)
    place = whole.index(b"a.txt") + 5
    site.files["a.zip"] = whole[:-30] if broken == "truncated" else whole[:place] + b"\xff" + whole[place + 1 :]
    dataset = make_set(site.file("a.zip"))
    with pytest.raises(TransferFailed, match=r"a\.zip: the zip is damaged .* run the same command again to fetch it"):
        get(dataset, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    site.files["a.zip"] = whole
    get(dataset, tmp_path / "data")
    assert contents(tmp_path / "data")["a.txt"] == b"hello hello hello"


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_entry_has_licence_citation_home_and_secure_addresses(name: str) -> None:
    entry = CATALOGUE[name]
    assert entry.name == name
    assert entry.title
    assert entry.advice
    assert entry.licence.startswith("CC")
    assert re.search(r"20\d\d", entry.citation)
    assert "doi:10." in entry.citation
    for address in (entry.home, *(file.address for file in entry.files)):
        assert address.startswith("https://")
    for file in entry.files:
        assert file.name.endswith(".zip")
        assert not file.sha256 or re.fullmatch(r"[0-9a-f]{64}", file.sha256)


@pytest.mark.parametrize("name", CATALOGUE)
def test_check_data_and_a_study_take_the_options_that_are_advised(name: str) -> None:
    arguments = ["--data", "folder", *CATALOGUE[name].options]
    assert check_data.parse(arguments).data == options.parse(["learning_rate", *arguments]).data == Path("folder")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "cells"], "name='cells' is no public set known here; it must be one of dsb2018, bbbc039,"),
        ([], "the following arguments are required: --name; --help lists what can be given"),
        (["--name", "tnbc", "--speed", "9"], "speed=9: there is no such parameter; the parameters are name, out"),
    ],
)
def test_a_bad_value_ends_with_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert f"error: {said}" in capsys.readouterr().err


def test_a_set_that_is_handed_out_by_hand_says_where_and_what_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--name", "monuseg", "--out", str(tmp_path / "data")]) == 2
    said = capsys.readouterr()
    assert "CC BY-NC-SA 4.0" in said.out
    assert "doi:10.1109/TMI.2017.2677499" in said.out
    assert "download it by hand from https://monuseg.grand-challenge.org/Data/" in said.err
    assert '"Tissue Images" beside "Annotations"' in said.err
    assert f"python -m training.check_data --data {tmp_path / 'data'}" in said.err
    assert not list(tmp_path.iterdir())


def test_the_command_fills_data_name_and_its_status_tells_what_happened(
    discs: PublicSet,
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(CATALOGUE, "discs", discs)
    assert main(["--name", "discs"]) == 0
    assert (tmp_path / "data" / "discs" / "discs" / "masks" / "a.png").read_bytes() == b"mask"
    monkeypatch.setitem(CATALOGUE, "gone", make_set(site.file("gone.zip"), name="gone"))
    assert main(["--name", "gone"]) == 1
    assert "answers 404" in capsys.readouterr().err
    assert main(["--name", "discs", "--out", "data/discs/SOURCE.md/deeper"]) == 2
    assert "it cannot be written" in capsys.readouterr().err


def test_the_module_runs_without_torch_mlflow_or_numpy() -> None:
    code = "import sys, training.download; assert not {'torch', 'mlflow', 'numpy', 'cv2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
