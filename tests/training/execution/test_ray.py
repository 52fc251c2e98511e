"""The same study as tasks of a Ray cluster, against an MLflow server on PostgreSQL, and with a worker killed."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from servers import TrackingServer, postgresql, tracking_server
from studies import Studies, wait_until

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="Ray is not installed (requirements-ray.txt): this executor was not tried")

EPOCHS = ("--epochs", "16")  # so that they are not done before they are disturbed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    folder = tmp_path_factory.mktemp("server")
    with postgresql(folder) as backend, tracking_server(folder, backend) as server:
        yield server


def ray_workers() -> list[psutil.Process]:
    """The processes of Ray that train now."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ray::_train" in " ".join(process.info["cmdline"] or []):
                found.append(process)
    return found


@pytest.mark.thorough
def test_the_same_study_gives_the_same_results_and_a_killed_worker_s_trial_is_taken_up(
    server: TrackingServer, discs: Path, tmp_path: Path
) -> None:
    for name in ("processes", "ray"):
        (tmp_path / name).mkdir()
    processes = Studies(tmp_path / "processes", discs)
    assert processes.run("mask_equalization", *EPOCHS)[0] == 0

    ray = Studies(tmp_path / "ray", discs, server.url)
    process = ray.start("mask_equalization", *EPOCHS, "--executor", "ray")
    wait_until(lambda: bool(ray.training()), process)
    victim = ray.training()[0]
    psutil.Process(int(victim.data.tags["process"].split(":")[1])).kill()
    said = process.communicate(timeout=900)[0]
    assert process.returncode == 0, said
    assert ray.scores() == processes.scores()
    assert sorted(ray.times_trained().values()) == [1, 1]
    (ended,) = ray.runs("attributes.status = 'KILLED'")
    assert ended.info.run_id == victim.info.run_id
    wait_until(lambda: not ray_workers())


def test_a_store_that_other_machines_cannot_reach_is_refused(discs: Path, tmp_path: Path) -> None:
    studies = Studies(tmp_path, discs)
    status, said = studies.run("mask_equalization", *EPOCHS, "--executor", "ray")
    assert status == 2
    assert "every node must reach the store" in said
    assert studies.runs() == []
