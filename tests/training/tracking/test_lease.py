"""One trial, one trainer: processes that race for the same trials, and runs whose process is gone."""

import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from training.tracking import lease
from training.tracking.lease import Heartbeat, LeaseLost, claim, end_stale_runs, is_alive, look_up
from training.tracking.provenance import this_process
from training.tracking.runs import begin_run, connect, end_all_stale_runs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
RACERS, TRIALS = 4, 5
RACE = """
import sys, time
from training.tracking.runs import begin_run, connect
from training.tracking.lease import claim
client, experiment = connect()
while not client.get_experiment(experiment).tags.get("go"):
    time.sleep(0.01)
won = []
for trial in sys.argv[1:]:
    tags = {"result_hash": trial, "lease": "asked"}
    run = begin_run(client, experiment, trial, tags)
    if claim(client, trial, run):
        won.append(trial)
    else:
        client.set_terminated(run, "KILLED")
        client.delete_run(run)
print(*won)
sys.stdout.flush()
sys.stdin.read()  # alive until the others are done, too
"""


@pytest.fixture
def store(new_store: Path) -> tuple[MlflowClient, str]:
    return connect()


def ask(client: MlflowClient, experiment: str, lease: str = "asked") -> str:
    return begin_run(client, experiment, "t", {"result_hash": "t", "lease": lease})


def gone_process() -> str:
    """The name of a process of this machine that has ended."""
    code = "from training.tracking.provenance import this_process; print(this_process())"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_of_processes_that_ask_at_once_exactly_one_gets_each_trial(store: tuple[MlflowClient, str]) -> None:
    client, experiment = store
    trials = [f"trial-{number}" for number in range(TRIALS)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen([sys.executable, "-c", RACE, *trials], cwd=ROOT, **pipes) for _ in range(RACERS)]
    client.set_experiment_tag(experiment, "go", "yes")
    won: Counter[str] = Counter()
    for racer in racers:
        won.update(racer.stdout.readline().split())
    for racer in racers:
        racer.communicate("")
    assert won == dict.fromkeys(trials, 1)
    runs = client.search_runs([experiment], run_view_type=ViewType.ACTIVE_ONLY)
    assert Counter(run.data.tags["result_hash"] for run in runs) == dict.fromkeys(trials, 1)


def test_a_trial_that_is_held_or_finished_is_not_given_again(store: tuple[MlflowClient, str]) -> None:
    client, experiment = store
    held = ask(client, experiment, lease="held")
    client.set_tag(held, "process", "elsewhere:1:2")
    mine = ask(client, experiment)
    assert not claim(client, "t", mine)
    client.set_terminated(held, "FINISHED")
    assert not claim(client, "t", mine)
    finished = look_up(client, "t").finished
    assert finished is not None
    assert finished.info.run_id == held


def test_a_run_whose_process_is_gone_is_ended_and_its_trial_free(store: tuple[MlflowClient, str]) -> None:
    client, experiment = store
    dead = begin_run(client, experiment, "t", {"result_hash": "t", "lease": "held"})
    client.set_tag(dead, "process", gone_process())
    mine = ask(client, experiment)
    assert [run.info.run_id for run in look_up(client, "t").dead] == [dead]
    assert claim(client, "t", mine)
    assert end_all_stale_runs(client) == [dead]
    assert client.get_run(dead).info.status == "KILLED"
    assert "killed, out of memory" in client.get_run(dead).data.tags["failure"]
    assert client.get_run(mine).info.status == "RUNNING"


def test_a_run_that_is_not_ours_is_left_alone(store: tuple[MlflowClient, str]) -> None:
    client, experiment = store
    foreign = client.create_run(experiment)
    assert end_stale_runs(client, [client.get_run(foreign.info.run_id)]) == []


def test_a_process_of_this_machine_is_looked_up_and_one_of_another_judged_by_its_beat() -> None:
    def beat(seconds: float) -> str:
        return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds")

    assert is_alive({"process": this_process(), "heartbeat": beat(10_000)})
    assert not is_alive({"process": gone_process(), "heartbeat": beat(0)})
    host, pid, started, place = this_process().split(":")
    assert not is_alive({"process": f"{host}:{pid}:{float(started) - 1000}:{place}", "heartbeat": beat(0)}), (
        "its number was reused"
    )
    assert is_alive({"process": "elsewhere:1:2", "heartbeat": beat(lease.STALE_SECONDS - 30)})
    assert not is_alive({"process": "elsewhere:1:2", "heartbeat": beat(lease.STALE_SECONDS + 30)})


def test_a_host_name_says_nothing_of_who_lives_here_the_place_does() -> None:
    """Two containers with one host name, a machine started anew, and names that an older version wrote."""
    host, pid, started, _ = this_process().split(":")
    fresh, old = datetime.now(UTC), datetime.now(UTC) - timedelta(seconds=lease.STALE_SECONDS + 30)
    for name in (f"{host}:{pid}:{started}:another-place", f"{host}:999999:1.00:another-place", f"{host}:999999:1.00"):
        assert is_alive({"process": name, "heartbeat": fresh.isoformat()}), name
        assert not is_alive({"process": name, "heartbeat": old.isoformat()}), name


CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc"]


@pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode != 0,
    reason="no pid namespace can be made here: two containers with one host name were not tried",
)
def test_containers_of_one_host_name_do_not_take_each_other_s_runs_for_dead() -> None:
    code = "from training.tracking.provenance import this_process; print(this_process(), flush=True); input()"
    container = [*CONTAINER, sys.executable, "-c", code]
    with subprocess.Popen(container, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as inside:
        name = inside.stdout.readline().strip()
        inside_fresh = is_alive({"process": name, "heartbeat": datetime.now(UTC).isoformat()})
        looks = "from training.tracking.lease import is_alive; import sys; print(is_alive(dict(process=sys.argv[1], "
        looks += f"heartbeat={datetime.now(UTC).isoformat()!r})))"
        other = [*container[:-1], looks, this_process()]
        seen_from_inside = subprocess.run(other, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
        inside.communicate("\n")
    assert name.split(":")[0] == this_process().split(":")[0], "the same host name"
    assert inside_fresh
    assert seen_from_inside == "True"


def test_whoever_lost_a_run_is_told(store: tuple[MlflowClient, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    client, experiment = store
    run = ask(client, experiment)
    with Heartbeat(client, run) as heartbeat:
        heartbeat.check()
        client.set_terminated(run, "KILLED")
        heartbeat._thread.join(10)
        with pytest.raises(LeaseLost):
            heartbeat.check()
