"""Workers with a GPU: the same pipeline, whose events come back to the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.sample import complete
from mleg_ray.sampling.job import plan_sample
from mleg_ray.sampling.sampler import Sampler
from mleg_ray.sampling.spectra import UniformSpectrum
from tests.checkpoints import small_checkpoint

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]
SPECTRUM = {"beam_energy": UniformSpectrum(low=10, high=50)}


@pytest.mark.parametrize("compiled", [False, True])
def test_shards_are_made_again_bit_by_bit(tmp_path: Path, compiled: bool) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint", conditional=True)
    job = plan_sample(
        checkpoint, 200_000, str(tmp_path / "out"), seed=1, shard_events=100_000,
        conditions=SPECTRUM, compiled=compiled, device="cuda",
    )  # fmt: skip
    made = []
    for _ in range(2):
        sampler = Sampler(Checkpoint.load(checkpoint.uri, "cuda"), job.spec, job.folder.uri)
        made.append(sampler.generate(job.shards[1]).columns)
    for name, column in made[0].items():
        assert column.device.type == "cpu"
        np.testing.assert_array_equal(column.numpy(), made[1][name].numpy())
    assert (made[0]["electron.energy"] <= made[0]["beam_energy"] * (1 + 1e-6)).all()
    assert np.isclose(made[0]["beam_energy"].double().mean(), 30, atol=0.2)


def test_two_workers_share_one(ray_cluster: None, tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint", conditional=True)
    job = plan_sample(
        checkpoint, 40_000, str(tmp_path / "out"), seed=1, shard_events=10_000,
        conditions=SPECTRUM, device="cuda",
    )  # fmt: skip
    assert complete(job, workers=2, gpus=0.5).rows() == 40_000
