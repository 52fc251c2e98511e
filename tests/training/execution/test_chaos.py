"""kill -9 at random moments, the runner and its workers: then the study is as if nothing had happened.

Twelve times; as often as KILLS says, fifty under `make thorough`.
"""

import os
import random
import time
from pathlib import Path

import pytest
from studies import Studies, workers_of

pytestmark = pytest.mark.slow

STUDY, TRIALS = "mask_equalization", ("--seeds", "4", "--epochs", "6")  # eight of them
KILLS = int(os.environ.get("KILLS", "12"))
RUNNERS = max(2, KILLS // 10)  # of these kills hit the runner itself; the others hit workers
MANY = str(KILLS)  # retries: a killed worker is a failure of its trial


def test_a_study_that_is_killed_again_and_again_ends_like_an_undisturbed_one(discs: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    for name in ("calm", "killed"):
        (tmp_path / name).mkdir()
    calm = Studies(tmp_path / "calm", discs)
    assert calm.run(STUDY, *TRIALS)[0] == 0

    killed = Studies(tmp_path / "killed", discs, UNET_STUDIES_CHECKPOINT_SECONDS="0.2")
    hits = 0
    for runner in range(RUNNERS):
        process = killed.start(STUDY, *TRIALS, "--retries", MANY)
        for _ in range((KILLS - RUNNERS) // RUNNERS + (runner < (KILLS - RUNNERS) % RUNNERS)):
            while process.poll() is None and not workers_of(process):
                time.sleep(0.05)
            time.sleep(rng.uniform(0.0, 0.6))
            if workers := workers_of(process):
                rng.choice(workers).kill()
                hits += 1
        time.sleep(rng.uniform(0.0, 1.0))
        process.kill()
        hits += 1
        process.communicate()
    status, said = killed.run(STUDY, *TRIALS, "--retries", MANY)
    assert status == 0, said
    assert hits >= KILLS - RUNNERS, "they were killed for real"

    assert killed.scores() == calm.scores()
    assert len(killed.scores()) == 8
    assert set(killed.times_trained().values()) == {1}, "none twice"
    assert "RUNNING" not in {run.info.status for run in killed.runs()}
    assert not list((tmp_path / "killed" / "mlruns" / "checkpoints").glob("*"))
