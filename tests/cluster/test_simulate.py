"""The rehearsal of a large sample: nothing is kept, and all shards are accounted for."""

from pathlib import Path

import pytest

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.simulate import simulate
from mleg_ray.errors import ConfigError
from mleg_ray.sampling.job import SampleJob, plan_sample
from tests.checkpoints import small_checkpoint


@pytest.fixture
def job(tmp_path: Path) -> SampleJob:
    checkpoint: Checkpoint = small_checkpoint(tmp_path / "checkpoint")
    out = str(tmp_path / "samples" / "out")
    return plan_sample(checkpoint, 40_000, out, seed=1, shard_events=1000, conditions={})


def test_many_workers_sleep(
    ray_cluster: None, job: SampleJob, capsys: pytest.CaptureFixture[str]
) -> None:
    found = simulate(job, 8, shard_seconds=0.2)
    assert (found.shards, found.workers, found.shard_seconds) == (40, 8, 0.2)
    assert found.seconds >= 1.0  # 40 shards of 0.2 s for 8 workers
    assert found.shards_per_second == pytest.approx(40 / found.seconds)
    assert 0 < found.busy <= 1
    assert found.driver_cpu_seconds_per_shard > 0
    assert not list(Path(job.folder.uri).parent.iterdir())
    told = capsys.readouterr().err
    assert "4e+04 events in 40 shards" in told
    assert "Nothing was kept" in told


def test_somebody_must_work(job: SampleJob) -> None:
    with pytest.raises(ConfigError, match="--simulate 0: at least one worker"):
        simulate(job, 0)
