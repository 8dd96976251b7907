"""Labels are columns of events and go no further: no card and no comparison has them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mleg_ray.catalog.dataset import Dataset, DatasetManifest
from mleg_ray.catalog.shards import write_shard
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import DatasetCard
from mleg_ray.errors import ConfigError
from mleg_ray.evaluation.samples.datasets import compared_axes, judged_by
from mleg_ray.events import EventSchema, Field

LABELLED = (Field(name="x"), Field(name="channel", role="label"))
PLAIN = LABELLED[:1]


def dataset(folder: Path, fields: tuple[Field, ...]) -> Dataset:
    """Two shards of ten events with x = 0 ... 19, labelled by x modulo 3."""
    schema, shards = EventSchema(fields), []
    for k in range(2):
        x = np.arange(10.0) + 10 * k
        columns = {"x": x, "channel": x % 3}
        file = f"shards/{k}.parquet"
        shards.append(write_shard(str(folder), file, columns, schema, {}, split="test"))
    manifest = DatasetManifest(
        name="toy", fields=fields, conditions={}, provenance={}, shards=tuple(shards)
    )
    return Dataset(str(folder), manifest)


def test_labels_are_in_the_order_of_the_events(tmp_path: Path) -> None:
    whole = dataset(tmp_path, LABELLED)
    for part in (whole, whole.selecting(("x > 12",))):
        events = part.load("test")
        assert events.columns["x"].shape == (part.rows("test"),)
        assert torch.equal(events.columns["channel"], events.columns["x"] % 3)
    assert part.rows("test") == 7
    assert set(dataset(tmp_path / "plain", PLAIN).load().columns) == {"x"}


def test_models_and_comparisons_know_no_labels(tmp_path: Path) -> None:
    truth, sample = dataset(tmp_path / "t", LABELLED), dataset(tmp_path / "s", PLAIN)
    assert DatasetCard.of(truth).fields == PLAIN
    assert list(compared_axes(truth.manifest, {})) == ["x"]
    assert judged_by(truth, sample).schema.labels == ()


def test_a_label_that_the_source_does_not_make_is_refused() -> None:
    fields = "[{name='particle.x'}, {name='channel', role='label'}]"
    source = "{kind='toy', distribution='normal', events=10, seed=1}"
    assignments = (
        f"source={source}",
        f"fields={fields}",
        "observables={}",
        "planes=[]",
        "groups={ particle = {} }",
    )
    with pytest.raises(
        ConfigError,
        match=r"source.kind: toy makes particle.x .*; .* declares channel \[1\] \(label\)",
    ):
        DatasetSpec.load("folding-toy-normal", assignments)
