"""Learned weights by closed forms; reweighted shards: whole, repeatable, or refused."""

import math
from pathlib import Path

import numpy as np
import pytest

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.shards import ShardRecord
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.evaluation.samples.datasets import from_dataset
from mleg_ray.evaluation.samples.sample import EventSample, from_arrays
from mleg_ray.folder import SealedFolder
from mleg_ray.sampling.reweight import (
    Reweighting,
    ReweightSpec,
    Weigher,
    learn_weights,
)
from tests.dis_events import momenta
from tests.prepared import prepared_dataset

SHIFT = 0.3


def normal(mean: float, seed: int, n: int = 20_000) -> EventSample:
    rng = np.random.default_rng(seed)
    return from_arrays({"x": rng.normal(mean, 1, n), "y": rng.normal(0, 1, n)})


@pytest.fixture(scope="module")
def weigher() -> Weigher:
    return learn_weights(normal(SHIFT, 1), normal(0.0, 2), seed=1)


def test_weights_are_the_density_ratio(weigher: Weigher) -> None:
    x = np.linspace(-2, 2, 41)
    found = weigher(from_arrays({"x": x, "y": np.zeros_like(x)}).features)
    np.testing.assert_allclose(np.log(found), SHIFT * x - SHIFT**2 / 2, atol=0.15)


def test_efficiency_is_that_of_the_ratio(weigher: Weigher) -> None:
    assert weigher.efficiency == pytest.approx(math.exp(-(SHIFT**2)), abs=0.03)


def test_weighted_events_have_the_truths_mean(weigher: Weigher) -> None:
    fresh = normal(0.0, 3)
    weight = weigher(fresh.features)
    assert weight.mean() == pytest.approx(1, abs=0.02)
    assert np.average(fresh.numbers["x"], weights=weight) == pytest.approx(SHIFT, abs=0.05)


def test_negative_weights_of_the_truth_are_taken() -> None:
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(0, 1, 20_000), rng.normal(2, 0.3, 2000)])
    weight = np.concatenate([np.ones(20_000), -0.2 * np.ones(2000)])
    truth = from_arrays({"x": x, "y": rng.normal(0, 1, len(x))}, weight)
    assert np.isfinite(learn_weights(truth, normal(0.0, 2), seed=1).efficiency)


def test_too_few_events_are_refused() -> None:
    with pytest.raises(DataError, match="100 generated events are too few"):
        learn_weights(normal(0.0, 1), normal(0.0, 2, 100), seed=1)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepared_dataset(tmp_path_factory.mktemp("generated"))


def work(generated: Dataset, folder: Path, mode: str) -> Reweighting:
    spec = ReweightSpec(sample=generated.digest, truth="0" * 64, mode=mode, seed=1)
    place = SealedFolder(str(folder), spec)
    with place.work():
        pass
    events = from_dataset(generated, seed=1)
    weigher = Weigher(tuple(events.axes), lambda x: -0.01 * x[:, 3], 1.0, 2.0, 0.9)
    return Reweighting(place, generated, weigher)


def run(generated: Dataset, folder: Path, mode: str) -> Dataset:
    job = work(generated, folder, mode)
    return job.finish({k: job.make(k) for k in range(len(generated.manifest.shards))}, {})


def test_weights_become_a_column(generated: Dataset, tmp_path: Path) -> None:
    made = run(generated, tmp_path, "weights")
    events, before = made.load(), generated.load()
    assert made.schema.weight == "weight"
    np.testing.assert_array_equal(momenta(events), momenta(before))
    expected = np.exp(0.01 * from_dataset(generated, seed=1).numbers["electron.energy"]).clip(max=2)
    np.testing.assert_allclose(np.sort(events.weight), np.sort(expected), rtol=1e-6)


def test_accepted_events_are_as_many_as_their_weights(generated: Dataset, tmp_path: Path) -> None:
    made = run(generated, tmp_path, "accept")
    assert made.schema.weight is None
    weight = np.exp(0.01 * from_dataset(generated, seed=1).numbers["electron.energy"]).clip(max=2)
    expected, spread = weight.sum() / 2, math.sqrt((weight / 2 * (1 - weight / 2)).sum())
    assert abs(made.rows() - expected) < 4 * spread
    assert made.rows() < generated.rows()


def test_whole_shards_are_found_and_damaged_ones_are_not(
    generated: Dataset, tmp_path: Path
) -> None:
    job = work(generated, tmp_path, "weights")
    first = job.make(0)
    job.make(1)
    files = {index: shard.file for index, shard in enumerate(generated.shards())}
    assert set(job.folder.whole(files, ShardRecord)) == {0, 1}
    assert job.make(0) == first
    (tmp_path / first.entry.file).write_bytes(b"half")
    assert set(job.folder.whole(files, ShardRecord)) == {1}


def test_folders_of_others_are_refused(generated: Dataset, tmp_path: Path) -> None:
    work(generated, tmp_path / "own", "weights")
    with pytest.raises(
        ConfigError, match=r"another reweighted sample \(mode is weights there, accept is"
    ):
        work(generated, tmp_path / "own", "accept")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match=r"no plan.json"):
        work(generated, tmp_path / "other", "weights")
