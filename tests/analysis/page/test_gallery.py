"""The pages kept in docs/gallery say what the kept tables with a champion say: `make gallery` writes them anew."""

import re
from pathlib import Path

import pytest
from conftest import ROOT

from analysis.claims.claims import check_claims
from analysis.evidence import snapshot

KEPT = sorted(path.parent for path in (ROOT / "analysis" / "measured").glob("*/champion.json"))
MOST = 1_500_000  # bytes
TOURNAMENT = ("tournament", "tournament_live")  # pages of another kind: tests/analysis/replays/test_kept_tournament.py


def test_every_kept_table_with_a_champion_has_its_page_and_every_page_its_table() -> None:
    pages = sorted((ROOT / "docs" / "gallery").glob("*.html"))
    assert [page.stem for page in pages if page.stem not in TOURNAMENT] == [folder.name for folder in KEPT] != []
    assert max(page.stat().st_size for page in pages) <= MOST


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_a_page_has_the_verdicts_and_the_champion_of_its_table(folder: Path) -> None:
    page = (ROOT / "docs" / "gallery" / f"{folder.name}.html").read_text()
    found = snapshot.from_files(folder, "")
    verdicts = {
        code: re.findall(r'<span class="badge (\w+)">', card)
        for code, card in re.findall(r'<article class="claim".*?<code>([\w.]+)</code>(.*?)</article>', page, re.DOTALL)
    }
    assert {code: words[1] for code, words in verdicts.items()} == {
        code: one.verdict for code, one in check_claims(found.trials).items()
    }
    assert {"data", "digest of the data", "device", "commit", "trained or reused", "command"} <= set(found.provenance)
    assert found.champion is not None
    assert f"The champion reaches test Dice {float(found.champion.tags['test_dice']):.3f}" in page


def test_no_page_needs_anything_beside_it() -> None:
    for page in (ROOT / "docs" / "gallery").glob("*.html"):
        assert not re.findall(r'(?:src|href)="(?!data:|#|https://)[^"]+"', page.read_text())
