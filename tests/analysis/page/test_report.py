"""The page: complete, self-contained, and honest about what is missing. Its runs are made up; the store is real."""

import dataclasses
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from made_up import DIGEST, experiment, made_up_store
from mlflow_runs import made_by_mlflow

from analysis import report
from analysis.claims.claims import ALL_CLAIMS
from analysis.evidence import evidence, runs, snapshot, store
from analysis.evidence.schema import load_published, tidy
from analysis.page import chapters, exports
from analysis.page.page import PROMOTE, compose
from training.study.studies import STUDIES
from training.tracking.store import connect

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("judged_once")]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a store with two made-up studies, written once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", made_up_store(tmp_path_factory.getbasetemp()))
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        connect()
        run_id = made_by_mlflow("report", experiment())
        patch.setenv("MLFLOW_RUN_ID", run_id)
        out = tmp_path_factory.mktemp("report")
        assert report.main(["--out", str(out)]) == 0
        after = connect().get_run(run_id)
        assert after.data.tags["role"] == "report"
        assert after.info.status == "RUNNING"  # `mlflow run` ends its own
        kept = {file.path for file in connect().list_artifacts(run_id)}
        assert kept == {"index.html", "report.md", "tables"}
    return out / "index.html"


@pytest.fixture
def store_of_page(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store of made-up runs; the parent run of its study `losses`."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made_up_store(tmp_path_factory.getbasetemp()))
    trials = runs.load_trials(DIGEST)
    return str(trials[trials["study"] == "losses"]["parent_run_id"].iloc[0])


@pytest.fixture(scope="module")
def published_only() -> str:
    """The page before anything was run."""
    return exports.render("report.html", compose(load_published(), evidence.nothing()))


def test_the_page_asks_for_nothing_from_outside(page: Path) -> None:
    html = page.read_text().replace("http://www.w3.org", "")
    assert "http" not in html
    assert not re.findall(r'(?:src|href)="(?!data:image/(?:png|jpeg|webp)|#)', html)
    assert not re.search(r"<script[^>]|https?://(?!www.w3.org)|@import|fetch\(", html)


def test_every_study_and_every_claim_is_on_the_page_once(page: Path) -> None:
    html = page.read_text()
    for anchor in [*STUDIES, *(claim.code.replace(".", "-") for claim in ALL_CLAIMS)]:
        assert html.count(f'id="{anchor}"') == 1


def test_no_id_is_used_twice(page: Path) -> None:
    ids = re.findall(r'<(?:section|article|main)[^>]* id="([^"]+)"', page.read_text())
    assert len(ids) == len(set(ids))


def test_measured_chapters_have_curves_predictions_and_their_command(page: Path) -> None:
    chapter = page.read_text().split('id="losses"')[1].split("</section>")[0]
    assert "24 runs on made_up" in chapter
    assert "Validation Dice by epoch" in chapter
    assert "data:image/webp;base64," in chapter
    assert "mlflow run . -e losses -P data=path/to/made_up -P preset=demo -P precision=fp32 -P seeds=2" in chapter
    assert "repeat Fig. 2" in chapter


def test_of_runs_far_shorter_than_the_reports_it_says_how_short(page: Path) -> None:
    chapter = page.read_text().split('id="losses"')[1].split("</section>")[0]
    assert "At most 6 of the report" in chapter
    assert "200 epochs: verdicts are about trainings of this length" in chapter


def test_chapters_without_runs_say_so_and_show_the_published_side(page: Path) -> None:
    chapter = page.read_text().split('id="dropout"')[1].split("</section>")[0]
    assert "Not measured yet" in chapter
    assert "0.266" in chapter  # Fig. 16: 80 %, 0.2
    assert "mlflow run . -e dropout -P data=FOLDER" in chapter


def test_without_a_champion_the_page_prints_the_cure(page: Path) -> None:
    assert "Nothing is promoted yet" in page.read_text()
    assert PROMOTE in page.read_text()


def test_before_anything_is_run_the_published_side_stands_alone(published_only: str) -> None:
    assert "Nothing is measured yet" in published_only
    assert published_only.count("Not measured yet") == len(STUDIES)


def test_the_champion_comes_first_with_otsus_floor_beside_it() -> None:
    images = pd.DataFrame({"image": ["a", "b"], "dice": [0.7, 0.83]})
    tags = {"run_id": "0", "val_dice": "0.8", "test_dice": "0.7654", "otsu_dice": "0.321", "test_images": "24"}
    tags |= {"test_dice_low": "0.70", "test_dice_high": "0.83"}
    champion = store.Champion("3", tags | {"data": "<b>cells</b>"}, {}, "", images, b"")
    found = dataclasses.replace(evidence.nothing(), champion=champion)
    html = exports.render("report.html", compose(tidy([]), found))
    assert html.index("0.765") < html.index("0.321") < html.index("37 conclusions")
    assert "test Dice, 95 % 0.700 to 0.830" in html
    assert "The champion, test image by test image" in html
    assert "&lt;b&gt;cells" in html  # names are escaped


def test_the_champion_is_compared_and_its_test_images_are_counted_where_the_promotion_says_so() -> None:
    images = pd.DataFrame({"image": ["a", "b"], "dice": [0.7, 0.83]})
    otsu = {"name": "otsu", "run_id": "", "differs": "", "dice": 0.5, "gain": 0.25, "low": 0.2, "high": 0.3}
    wide = otsu | {"name": "full_width", "differs": "width=64", "gain": -0.012, "low": math.nan, "high": math.nan}
    old = {"run_id": "0", "val_dice": "0.8", "test_dice": "0.75", "otsu_dice": "0.5", "test_images": "24"}
    new = old | {"test_reads": "3", "chosen_by": "consistent", "test_dice_ceiling": "0.915", "test_hd95": "4.25"}
    new |= {"comparisons": json.dumps([otsu, wide])}
    pages = {}
    for name, tags in (("old", old), ("new", new)):
        champion = store.Champion("3", tags, {}, "", images, b"")
        found = dataclasses.replace(evidence.nothing(), champion=champion)
        pages[name] = [exports.render(template, compose(tidy([]), found)) for template in ("report.html", "report.md")]
    for text in pages["new"]:
        assert "the 24 test images had been read 2 times before; scores looked at before choosing flatter" in text
        for cell in ("threshold", "+0.250", "+0.200 to +0.300"):
            assert cell in text
        assert "the full width (width=64)" in text
        assert "0.915" in text
        assert "4.2" in text
    assert "varies least over its seeds" in pages["new"][0]
    for text in pages["old"]:
        assert "how often the 24 test images were read was not counted then" in text
        assert "95 % interval |" not in text
        assert "HD95" not in text


def test_a_champion_of_mostly_empty_images_says_what_its_dice_leaves_out() -> None:
    images = pd.DataFrame({"image": ["a", "b", "c"], "dice": [0.7, None, None], "false_alarm": [None, True, False]})
    tags = {"test_dice": "0.7", "otsu_dice": "0.3", "test_images": "3", "test_foreground_images": "1"}
    tags |= {"test_empty_images": "2", "test_false_alarms": "1", "otsu_false_alarms": "2", "test_dice_low": "nan"}
    champion = store.Champion("3", tags, {}, "", images, b"")
    found = dataclasses.replace(evidence.nothing(), champion=champion)
    html, markdown = (
        exports.render(name, compose(tidy([]), found)) for name in ("report.html", "report.md")
    )  # fmt: skip
    assert "test Dice, mean of 1 test image with foreground<" in html, "and no interval of one image"
    assert "False alarms on 1 of 2 images without (Otsu: 2)." in html
    assert "The champion, test image by test image (those with foreground)" in html
    for text in (html, markdown):
        assert "A mean of 1 test image with foreground says little." in text
    assert "mean of 1 test image with foreground; false alarms on 1 of 2 images without (Otsu: 2))" in markdown


def test_a_broken_setting_is_flagged_wherever_it_is_shown() -> None:
    """A learning rate a hundred times too high: one seed diverges, the other predicts nothing."""
    settled = {"study": "augmentation", "loss": "switching", "optimizer": "adam", "lr": 1e-3, "source": "measured"}
    settled |= {"train_percent": 80, "epochs": 20, "seconds": 9.0, "weight_decay": 0.01, "scheduler": "plateau"}
    rows = [settled | {"augment": "none", "seed": seed, "val_dice": 0.8, "run_id": f"a{seed}"} for seed in (0, 1)]
    broken = settled | {"augment": "train", "lr": 0.1}
    rows += [broken | {"seed": 0, "diverged": True, "run_id": "b0"}]
    rows += [broken | {"seed": 1, "collapsed": True, "val_dice": 0.0, "run_id": "b1"}]
    found = dataclasses.replace(evidence.nothing(), trials=tidy(rows))
    content = compose(load_published(), found)
    (chapter,) = (chapter for chapter in content["chapters"] if chapter.study.name == "augmentation")
    (row,) = (row for row in chapter.rows if row.cells == ("training only",))
    assert (row.n, row.note) == ("1", "1 collapsed, 1 diverged")
    (judged,) = chapter.claims
    assert "1 of 4 runs diverged: as Dice it counts 0" in judged.measured.caveats
    assert "1 run collapsed: no better than a mask that is all foreground or none" in judged.measured.caveats
    assert all("training only" not in choice["trial"] for choice in content["choices"]["Measured"])
    assert chapters.describe(broken).endswith("weight decay 0.01, 80 % data, augmentation in training only")


def test_the_losses_chapter_says_how_often_switching_led_with_dice_where_the_curves_know() -> None:
    settled = {"study": "losses", "optimizer": "adam", "lr": 1e-3, "source": "measured", "train_percent": 80}
    settled |= {"epochs": 20, "seconds": 9.0, "val_dice": 0.8}
    rows = [settled | {"loss": "switching", "seed": seed, "run_id": f"s{seed}"} for seed in (0, 1)]
    rows.append(settled | {"loss": "bce", "seed": 0, "run_id": "b0"})
    shares = {"s0": (30, 32), "s1": (60, 72), "b0": (100, 100)}
    curves = pd.DataFrame(
        [
            {"run_id": run_id, "epoch": epoch, "val_dice": 0.8, "train_loss": 0.3, "val_loss": 0.3, "train_dice": 0.8}
            | {"switched_percent": percent}
            for run_id, percents in shares.items()
            for epoch, percent in enumerate(percents, start=1)
        ]
    )
    sentence = "Switching led with Dice in 48 % of the batches (31 to 66 % over trials)."
    found = dataclasses.replace(evidence.nothing(), trials=tidy(rows), curves=curves)
    content = compose(load_published(), found)
    assert [chapter.switched for chapter in content["chapters"] if chapter.switched] == [sentence]
    for name in ("report.html", "report.md"):
        assert exports.render(name, content).count(sentence) == 1
    assert chapters.describe_switching(found.trials, curves.drop(columns="switched_percent")) == ""
    assert chapters.describe_switching(found.trials, curves[curves["run_id"] == "b0"]) == ""


def test_the_tables_hold_what_the_page_shows(page: Path) -> None:
    tables = page.parent / "tables"
    assert {path.stem for path in tables.glob("*.csv")} == {*STUDIES, "claims", "comparisons", "trials"}
    assert {path.stem for path in tables.glob("*.tex")} == {*STUDIES}
    assert {path.name for path in tables.glob("*.parquet")} == {
        "trials.parquet",
        "curves.parquet",
        "predictions.parquet",
        "runs.parquet",
    }
    assert len(pd.read_csv(tables / "claims.csv")) == 2 * len(ALL_CLAIMS)
    assert set(pd.read_csv(tables / "trials.csv")["data_digest"]) == {DIGEST}


def test_a_table_for_a_paper_is_latex_with_the_numbers_of_the_page(page: Path) -> None:
    text = (page.parent / "tables" / "losses.tex").read_text()
    assert all(word in text for word in (r"\toprule", r"\bottomrule", r"\caption{Which loss", "inverse Dice BCE"))
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + 12
    assert "0.815" in rows[1]


def test_the_page_can_be_made_again_from_its_tables_without_a_store(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody answers there
    assert report.main(["--out", str(tmp_path), "--tables", str(page.parent / "tables")]) == 0
    for name in ("losses.csv", "claims.csv", "comparisons.csv", "trials.csv", "provenance.json"):
        assert (tmp_path / "tables" / name).read_text() == (page.parent / "tables" / name).read_text()
    assert (tmp_path / "index.html").read_text() == page.read_text(), "curves, predictions and provenance as well"


def test_what_a_report_rests_on_is_kept_in_a_folder_of_its_own_with_the_champion(tmp_path: Path) -> None:
    nan = float("nan")
    images = pd.DataFrame({"image": ["a", "007", "empty"], "dice": [0.7, 0.83, nan], "false_alarm": [nan, nan, True]})
    tags = {"run_id": "0", "val_dice": "0.8", "test_dice": "0.7654", "otsu_dice": "0.321"}
    worst = cv2.imencode(".png", np.full((40, 60, 3), 90, np.uint8))[1].tobytes()
    champion = store.Champion("3", tags, {}, "1", images, worst)
    trials = tidy([{"study": "losses", "run_id": "0", "data": "cells", "val_dice": 0.8, "source": "measured"}])
    found = dataclasses.replace(evidence.nothing(), champion=champion, trials=trials)
    snapshot.write_files(tmp_path, found, [])
    again = snapshot.from_files(tmp_path, "")
    assert again.champion is not None
    for name in ("version", "tags", "params", "experiment_id"):
        assert getattr(again.champion, name) == getattr(champion, name)
    pd.testing.assert_frame_equal(again.champion.test_images, images)
    assert again.champion.worst_images.startswith(b"RIFF")
    pd.testing.assert_frame_equal(again.trials, trials)


def test_the_page_says_where_its_numbers_come_from(page: Path) -> None:
    html = page.read_text()
    assert "Where the numbers come from: made_up; 30 trials in 2 studies; cpu" in html
    for name, value in (("digest of the data", DIGEST), ("torch", "0.0"), ("commit", "c0ffee"), ("preset", "demo")):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in html


def test_tables_that_are_none_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["--out", str(tmp_path / "out"), "--tables", str(tmp_path)]) == 2
    assert "it has no trials.parquet; it must be the tables/ folder beside a report" in capsys.readouterr().err


def test_the_published_numbers_alone_make_a_page_without_any_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert report.main(["--published", "--out", str(tmp_path)]) == 0
    assert "Nothing is measured yet" in (tmp_path / "report.md").read_text()


def test_every_measured_number_links_to_its_run_where_the_server_is_known(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made_up_store(tmp_path_factory.getbasetemp()))
    found = evidence.from_store("", "http://mlflow.example:5000/")
    html = exports.render("report.html", compose(load_published(), found))
    (parent,) = found.trials[found.trials["study"] == "losses"]["parent_run_id"].unique()
    link = f"http://mlflow.example:5000/#/experiments/{experiment()}/runs/{parent}?workflowType=machine_learning"
    assert html.count(f'href="{link}"') == 12 + 1, "12 cells of two seeds each, and the study itself"


def test_a_study_s_run_in_mlflow_says_what_became_of_its_claims_once(page: Path, store_of_page: str) -> None:
    client = connect()
    for _ in range(2):
        store.describe_verdicts(store_of_page, "- **losses.1**")
    note = client.get_run(store_of_page).data.tags["mlflow.note.content"]
    assert note.count(store.VERDICTS.strip()) == 1
    assert note.endswith("- **losses.1**")


def test_the_verdicts_stay_whole_under_a_long_list_of_trials(page: Path, store_of_page: str) -> None:
    client = connect()
    rows = [f"| trial {number} | 0.8 |" for number in range(1000)]
    client.set_tag(store_of_page, "mlflow.note.content", "\n".join(rows)[:7990])
    for verdicts in ("- **losses.1**", "- **losses.1**" + 500 * "!"):
        store.describe_verdicts(store_of_page, verdicts)
        note = client.get_run(store_of_page).data.tags["mlflow.note.content"]
        assert note.startswith("\n".join(rows[:100]))
        assert note.count(store.MORE) == 1
        assert note.endswith(f"|{store.MORE}{store.VERDICTS}{verdicts}")
        assert 7900 < len(note) <= 8000


def test_no_half_written_file_is_left(page: Path) -> None:
    assert not list(page.parent.rglob("*.tmp"))


def test_an_unknown_digest_stops_with_the_cure(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made_up_store(tmp_path_factory.getbasetemp()))
    assert report.main(["--out", str(tmp_path), "--data-digest", "nowhere"]) == 2
    said = "data_digest='nowhere': no finished trial has it; studies were run on made-up-digest"
    assert said in capsys.readouterr().err
    assert report.main(["--out", str(tmp_path), "--data-digest", f"{DIGEST},nowhere"]) == 2, "one of several, too"
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_answers_in_under_a_second() -> None:
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "analysis.report", "--help"], check=True, capture_output=True)
    assert time.monotonic() - start < 1
