"""Preparing on a real local Ray: the same dataset as without it, through kills and restarts."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import ray

from mleg_ray.catalog.prepare import finish, make_shard, plan_dataset
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.session import bounded, ray_session, require_cpus
from mleg_ray.errors import DataError, ResourceError
from tests.catalog.specs import pythia_spec, table_spec, write_tape

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture
def spec(tmp_path):
    write_tape(tmp_path)
    return table_spec(tmp_path)


def test_dataset_is_the_one_made_without_ray(spec, tmp_path, capsys):
    plan = plan_dataset(spec, str(tmp_path / "alone"))
    alone = finish(plan, {shard.index: make_shard(plan, shard.index) for shard in plan.shards})
    dataset = prepare(spec, str(tmp_path / "ray"))
    assert dataset.digest == alone.digest
    said = capsys.readouterr().err
    assert "Preparing small" in said
    assert "400 events" in said
    assert "constraints: 5 of 5 hold in all 400 events" in said


def test_manifest_does_not_tell_which_shard_was_made_first(spec, tmp_path):
    plan = plan_dataset(spec, str(tmp_path))
    records = {shard.index: make_shard(plan, shard.index) for shard in plan.shards}
    # As a shard without photons, say, whose fields then come last.
    first, *others = records[0].ranges.items()
    records[0] = records[0].model_copy(update={"ranges": dict(others)})
    assert first[0] in records[1].ranges
    told = []
    for order in (records, dict(reversed(records.items()))):
        content = finish(plan, order).manifest.model_dump(mode="json")
        del content["provenance"]["created"]
        told.append(json.dumps(content))
    assert told[0] == told[1]


def test_pythia_gives_the_same_dataset_again(tmp_path):
    pytest.importorskip("pythia8mc")
    spec = pythia_spec("source.events=200", "shard_events=20")
    datasets = [prepare(spec, str(tmp_path / name)) for name in ("first", "second")]
    assert datasets[0].digest == datasets[1].digest
    assert datasets[0].rows() == 200


def test_whole_dataset_needs_no_ray(spec, tmp_path, monkeypatch):
    first = prepare(spec, str(tmp_path))

    def refuse(*_, **__):
        raise AssertionError("Ray must not be started")

    monkeypatch.setattr("mleg_ray.cluster.session.ray_session", refuse)
    assert prepare(spec, str(tmp_path)).digest == first.digest


def test_only_missing_shards_are_made(spec, tmp_path):
    dataset = prepare(spec, str(tmp_path))
    times = {place: os.stat(place).st_mtime_ns for place in shards(dataset)}
    lost = shards(dataset)[4]
    os.remove(lost)
    assert prepare(spec, str(tmp_path)).digest == dataset.digest
    again = {place: os.stat(place).st_mtime_ns for place in shards(dataset)}
    assert {place for place in times if times[place] != again[place]} == {lost}


def test_a_tasks_error_comes_as_itself(spec, tmp_path):
    plan = plan_dataset(spec, str(tmp_path))
    os.remove(tmp_path / "fat-gan" / "tape2.txt")

    @ray.remote
    def make(shard):
        return make_shard(plan, shard.index)

    with pytest.raises(ResourceError, match=r"tape2.txt: no such file") as caught:
        list(bounded(make.remote, plan.shards, in_flight=2))
    assert type(caught.value) is ResourceError
    assert "Traceback" not in str(caught.value)
    assert not list(tmp_path.glob("datasets/*/shards/*"))


def test_a_killed_worker_is_replaced(tmp_path):
    @ray.remote(max_retries=3)
    def work(item):
        if item == 3 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    assert sorted(bounded(work.remote, range(8), in_flight=4)) == list(range(8))
    assert (tmp_path / "died").exists()


def test_no_more_tasks_than_asked_are_in_flight():
    @ray.remote
    def work(item):
        time.sleep(0.01)
        return item

    submitted, most = 0, 0

    def submit(item):
        nonlocal submitted
        submitted += 1
        return work.remote(item)

    for done, _ in enumerate(bounded(submit, range(20), in_flight=3)):
        most = max(most, submitted - done)
    assert submitted == 20
    assert most <= 3


def test_bad_input_is_refused_before_ray(tmp_path):
    with open(write_tape(tmp_path), "a") as stream:
        stream.write("1,2,3\n")
    with pytest.raises(DataError, match="line 401 has 3 columns, not 4"):
        prepare(table_spec(tmp_path), str(tmp_path / "storage"))


def test_too_many_workers_are_refused():
    with pytest.raises(ResourceError, match="1000 CPUs for workers are asked for, Ray has 4"):
        require_cpus(1000)


def test_a_running_ray_is_used_and_left_running():
    with ray_session(2):
        assert ray.is_initialized()
    assert ray.is_initialized()


@pytest.mark.slow
def test_a_private_ray_is_guarded_and_leaves_nothing(tmp_path):
    program = (
        "import os\n"
        "from mleg_ray.cluster.session import ray_session, possible_cpus\n"
        "from mleg_ray.errors import ResourceError\n"
        "with ray_session(1):\n"
        "    print(possible_cpus(), os.environ['RAY_AUTH_MODE'])\n"
        "try:\n"
        "    with ray_session(10_000): pass\n"
        "except ResourceError as error: print(error)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "RAY_AUTH_MODE"}
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    cpus, refusal = result.stdout.splitlines()
    assert cpus == "2 token"  # one for the worker, one spare
    assert refusal.startswith("10000 CPUs for workers are asked for, this machine has")
    assert not (tmp_path / ".ray").exists()


def shards(dataset):
    return [f"{dataset.uri}/{shard.file}" for shard in dataset.manifest.shards]
