"""Signs of mode collapse, by value."""

from pathlib import Path

import pytest
import torch

from mleg_ray.catalog.codec import checked
from mleg_ray.catalog.dataset import PREPARED, Dataset, DatasetManifest
from mleg_ray.catalog.shards import write_shard
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.events import Events
from mleg_ray.run import RunConfig
from mleg_ray.storage import write_json
from mleg_ray.training.collapse import ImageWatch, nearest, signs_of_collapse
from mleg_ray.training.trainee import Trainee


def images(*cells: tuple[float, float], weights: tuple[float, ...] = ()) -> Events:
    """Return images of 1 x 2 cells."""
    weight = torch.tensor(weights or (1.0,) * len(cells)).double()
    return Events({"image": torch.tensor(cells).double()[:, None]}, {}, weight)


TRUTH = images((0, 0), (3, 4), (3, 10))  # 5, 5 and 6 from the nearest


def test_the_nearest_neighbour_is_another_event() -> None:
    assert nearest(TRUTH.columns["image"]) == 5
    assert nearest(torch.zeros(1, 2)) == 0


def test_figures_of_two_snapshots() -> None:
    watch = ImageWatch(TRUTH, ["image"])
    watch.add(images((2, 0)))
    watch.add(images((2, 1), (2, 3)))
    # The mean of six cells that sum up to 10; medians of 1, 1 and 2; five.
    assert watch.figures() == pytest.approx({"mean.image": 10 / 6, "diversity.image": 1 / 5})
    watch.add(images((6, 0), (0, 10), weights=(1, 0.2)))
    # Shares (0.6, 0.4), then of 6 and 2 (0.75, 0.25), which are 0.15 apart.
    found = watch.figures()
    assert found["moved.image"] == pytest.approx(0.15)
    assert found["mean.image"] == pytest.approx((6 + 2) / 2 / 1.2)
    assert found["diversity.image"] == pytest.approx((6**2 + 10**2) ** 0.5 / 5)


def test_without_energy_nothing_moves() -> None:
    watch = ImageWatch(TRUTH, ["image"])
    watch.add(images((0, 0), (0, 0)))
    assert watch.figures() == {"mean.image": 0, "diversity.image": 0}
    watch.add(images((1, 0), (0, 1)))
    assert "moved.image" not in watch.figures()


def test_true_images_without_any_difference_judge_nothing() -> None:
    watch = ImageWatch(images((1, 1), (1, 1)), ["image"])
    watch.add(images((2, 0), (1, 1)))
    assert watch.figures() == {}


def snapshots(*figures: tuple[float, float]) -> list[dict[str, float]]:
    return [
        {"step": float(step), "diversity.image": diversity, "moved.image": moved}
        for step, (diversity, moved) in enumerate(figures)
    ]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (snapshots((0.1, 0.9), (0.9, 0.1), (0.9, 0.1)), []),
        (snapshots((0.9, 0.1), (0.4, 0.1)), ["images are 0.40 times as far from each other"]),
        (snapshots((0.9, 0.0), (0.9, 0.3), (0.9, 0.1), (0.9, 0.3)), ["30% of the mean image's"]),
        (snapshots((0.9, 0.9), (0.1, 0.9)), ["0.10 times", "90% of the mean"]),
        ([{"step": 1.0}], []),
    ],
)
def test_signs_are_of_the_kept_snapshot_and_of_the_latest_moves(
    history: list[dict[str, float]], expected: list[str]
) -> None:
    kept = len(history) - 1
    signs = signs_of_collapse(history, kept)
    assert len(signs) == len(expected)
    for sign, part in zip(signs, expected, strict=True):
        assert part in sign


@pytest.fixture
def toy_images(tmp_path: Path) -> Dataset:
    """Forty toy images in each split."""
    spec = DatasetSpec.load("toy-images", ("source.events=120", "shard_events=40"))
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    shards = []
    for i, split in enumerate(("train", "validation", "test")):
        columns, _ = checked(source.shard(i), spec.stored, split)
        shards.append(
            write_shard(str(tmp_path), f"{i}.parquet", columns, spec.stored, {}, split=split)
        )
    manifest = DatasetManifest(
        name=spec.name,
        fields=spec.fields,
        groups=spec.groups,
        conditions={},
        **dict(spec.definitions),
        provenance={},
        shards=tuple(shards),
    )
    write_json(str(tmp_path / PREPARED), manifest.model_dump(mode="json"))
    return Dataset.open(str(tmp_path))


def test_a_training_follows_its_images_also_when_it_resumes(
    toy_images: Dataset, tmp_path: Path
) -> None:
    few = ("model.encoder.widths=[4]", "model.decoder.widths=[4]", "training.batch_size=20")
    run = RunConfig.load("dense-vae-toy-images", (*few, "training.steps=4", "selection.every=2"))
    whole, interrupted, again = (
        Trainee.alone(run, toy_images, {}, torch.device("cpu")) for _ in range(3)
    )
    moments = [moment.snapshot for moment in whole.train() if moment.snapshot]
    first, second = (snapshot.images for snapshot in moments)
    assert set(first) == {"mean.image", "diversity.image"}
    assert set(second) == {*first, "moved.image"}
    assert second["moved.image"] > 0
    assert second.items() <= moments[1].flat().items()
    next(moment for moment in interrupted.train() if moment.snapshot)
    interrupted.save(str(tmp_path / "state"))
    again.resume(str(tmp_path / "state"))
    assert [moment.snapshot.images for moment in again.train() if moment.snapshot] == [second]
