"""What is measured of a trained generator."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.errors import DataError
from mleg_ray.events import Events
from mleg_ray.study.measures import c2st_auc, flops, require_comparable_events
from tests.checkpoints import small_checkpoint
from tests.prepared import prepared_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepared_dataset(tmp_path_factory.mktemp("dataset"), shard_rows=1500)


class Repeating:
    """Generates the events it was given, as a checkpoint would."""

    def __init__(self, events: Events) -> None:
        self.model = nn.Linear(1, 1)
        self._events = events

    def generate(self, given: Events, *, generator: torch.Generator) -> Events:
        return self._events[: len(given)]


def test_auc_of_truth_itself_is_a_half(dataset: Dataset) -> None:
    true = Repeating(dataset.load("train"))
    assert c2st_auc(true, dataset) == pytest.approx(0.5, abs=0.08)  # type: ignore[arg-type]


def test_auc_of_noise_is_one(dataset: Dataset, tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path, recipe="bvae-dis")
    auc = c2st_auc(checkpoint, dataset)
    assert auc > 0.9
    assert c2st_auc(checkpoint, dataset) == auc


def test_auc_of_values_that_are_no_numbers_is_one(dataset: Dataset) -> None:
    events = dataset.load("train")
    events.columns["electron.px"][0] = torch.nan
    assert c2st_auc(Repeating(events), dataset) == 1.0  # type: ignore[arg-type]


def test_too_few_validation_events(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="c2st_auc needs 500 validation events, there are"):
        require_comparable_events(prepared_dataset(tmp_path, shard_rows=100))


def test_flops_count_matrix_products(dataset: Dataset, tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path, recipe="bvae-dis")
    given = dataset.load("validation", 10)
    products = sum(
        layer.weight.numel() for layer in checkpoint.model.modules() if isinstance(layer, nn.Linear)
    )
    assert 0 < flops(checkpoint, given) <= 2 * products
