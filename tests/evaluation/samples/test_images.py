"""Images of samples, by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mleg_ray.catalog.codec import of_events
from mleg_ray.catalog.dataset import PREPARED, Dataset, DatasetManifest
from mleg_ray.catalog.shards import write_shard
from mleg_ray.definitions import Observable
from mleg_ray.errors import DataError
from mleg_ray.evaluation.samples import datasets
from mleg_ray.evaluation.samples.datasets import from_dataset
from mleg_ray.evaluation.samples.images import Images, images_of
from mleg_ray.evaluation.samples.sample import comparable, from_arrays
from mleg_ray.events import Events, EventSchema, Field
from mleg_ray.storage import write_json

CELLS = np.array([[[0, 2.0], [0.5, 0]], [[0, 0], [0, 0]], [[1, 4], [0, -3]]])
IMAGES = Images.of(torch.from_numpy(CELLS))


def test_images_are_kept_whole():
    assert len(IMAGES) == 3
    assert IMAGES.shape == (2, 2)
    assert IMAGES.cells.nnz == 5
    assert IMAGES.dense.tolist() == CELLS.tolist()
    assert IMAGES.owner.tolist() == [0, 0, 2, 2, 2]
    assert IMAGES.take(np.array([2, 0])).dense.tolist() == CELLS[[2, 0]].tolist()
    joined = Images.concatenate([IMAGES, IMAGES.take(np.array([1]))])
    assert joined.dense.tolist() == CELLS[[0, 1, 2, 1]].tolist()


def test_cells_up_to_a_threshold_are_empty():
    above = IMAGES.above(1)
    assert above.dense.tolist() == [[[0, 2], [0, 0]], [[0, 0], [0, 0]], [[0, 4], [0, 0]]]
    assert above.cells.nnz == 2
    assert IMAGES.cells.nnz == 5


def test_mean_image_by_hand():
    weights = np.array([1.0, 1.0, -1.0]) * 3
    assert IMAGES.mean(weights).tolist() == [[-1, -2], [0.5, 3]]
    assert IMAGES.mean(weights, power=2).tolist() == [[-1, -12], [0.25, -9]]


def test_images_are_columns_that_no_group_owns():
    columns = {"image": torch.ones(2, 3, 4), "jet.pt": torch.ones(2, 3), "x": torch.ones(2)}
    events = Events(columns, {"jet": torch.ones(2, 3).bool()}, torch.ones(2))
    assert list(images_of(events)) == ["image"]


def test_samples_of_arrays_have_images_in_the_order_of_their_events():
    x = np.array([3.0, 1.0, 2.0])
    sample = from_arrays({"x": x, "image": CELLS})
    assert list(sample.axes) == ["x"]
    assert sample.columns["x"].values.tolist() == [1, 2, 3]
    assert sample.images["image"].dense.tolist() == CELLS[[1, 2, 0]].tolist()


def test_images_of_another_shape_are_refused():
    truth = from_arrays({"x": np.ones(3), "image": CELLS})
    other = from_arrays({"x": np.ones(3), "image": CELLS[:, :1]})
    with pytest.raises(
        DataError, match=r"'image' has the shape \(2, 2\) in the truth but \(1, 2\)"
    ):
        comparable(truth, other)


def test_as_many_images_as_other_columns_are_needed():
    with pytest.raises(DataError, match=r"column 'image' has shape \(2, 2, 2\), not \(3,\)"):
        from_arrays({"x": np.ones(3), "image": CELLS[:2]})


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Fifty events of two shards, whose cells hold the energy once or twice."""
    fields = (
        Field(name="image", unit="GeV", shape=(4, 4), storage="sparse"),
        Field(name="energy", unit="GeV", role="condition"),
    )
    schema = EventSchema(fields)
    rng = np.random.default_rng(0)
    shards = []
    for number in range(2):
        energy = rng.uniform(1, 2, 25)
        image = np.zeros((25, 4, 4), dtype=np.float32)
        image[:, number, 1] = energy
        image[:, 3, 3] = energy * (rng.random(25) < 0.5)
        columns = {"image": torch.from_numpy(image), "energy": torch.from_numpy(energy)}
        stored = of_events(Events(columns, {}, torch.ones(25).double()), schema)
        shards.append(
            write_shard(str(tmp_path), f"{number}.parquet", stored, schema, {}, split="test")
        )
    total = Observable(expression="images.total(image)")
    manifest = DatasetManifest(
        name="cells",
        fields=fields,
        observables={"total": total},
        provenance={},
        shards=shards,
    )
    write_json(str(tmp_path / PREPARED), manifest.model_dump(mode="json"))
    return Dataset.open(str(tmp_path))


def test_images_of_a_dataset_stay_with_their_events(dataset: Dataset):
    sample = from_dataset(dataset, "test", seed=0, max_events=40)
    assert len(sample) == len(sample.images["image"]) == 40
    assert sample.axes["energy"].condition
    assert not sample.axes["total"].condition
    dense = sample.images["image"].dense
    assert dense.sum(axis=(1, 2)) == pytest.approx(sample.columns["total"].values, rel=1e-6)
    assert dense.max(axis=(1, 2)) == pytest.approx(sample.columns["energy"].values, rel=1e-6)


def test_of_large_images_fewer_events_are_drawn(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    """An event has sixteen cells of four bytes and an energy of four."""
    monkeypatch.setattr(datasets, "IMAGE_BYTES", 68 * 30)
    assert len(from_dataset(dataset, "test", seed=0)) == 30
