"""A part of a dataset under one value of a condition; files that are no manifests."""

from pathlib import Path

import pytest

from mleg_ray.catalog.codec import of_events
from mleg_ray.catalog.dataset import (
    SAMPLED,
    Bound,
    Dataset,
    DatasetManifest,
    Worth,
    note_worth,
    seal,
)
from mleg_ray.catalog.shards import write_shard
from mleg_ray.config import parse
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.storage import read_json
from tests.dis_events import FIELDS, GROUPS, SCHEMA, electrons


class TestPartAtACondition:
    """Three beam energies, a shard each, and one shard that holds two of them."""

    @pytest.fixture
    def dataset(self, tmp_path):
        entries = []
        for k, beams in enumerate(((10.0,), (30.0,), (7.3,), (10.0, 30.0))):
            columns = of_events(electrons(100, k, beams), SCHEMA)
            file = f"shards/{k}.parquet"
            entries.append(write_shard(str(tmp_path), file, columns, SCHEMA, {}, split="test"))
        manifest = DatasetManifest(
            name="toy", fields=FIELDS, groups=GROUPS, provenance={}, shards=tuple(entries)
        )
        return Dataset(str(tmp_path), manifest)

    def test_holds_the_shards_of_that_value_alone(self, dataset):
        part = dataset.at({"beam_energy": 7.3})
        assert part.rows("test") == 100
        assert part.manifest.name == "toy-beam_energy7.3"
        assert part.digest == dataset.digest
        assert part.schema.varying(part.manifest.conditions) == ()
        assert (part.load("test").columns["beam_energy"] == 7.3).all()

    def test_again_at_the_same_value_is_the_same(self, dataset):
        part = dataset.at({"beam_energy": 10.0})
        assert part.at({"beam_energy": 10.0}).manifest == part.manifest
        with pytest.raises(DataError, match="'beam_energy' is 10 throughout, not 30"):
            part.at({"beam_energy": 30.0})

    def test_other_values_and_names_are_refused(self, dataset):
        with pytest.raises(DataError, match="there are shards at beam_energy = 10; .* = 30; .*7.3"):
            dataset.at({"beam_energy": 20.0})
        with pytest.raises(DataError, match="no condition 'mass'; it has: beam_energy"):
            dataset.at({"mass": 20.0})


def test_the_digest_is_of_the_events_and_not_of_how_they_were_made() -> None:
    manifest = DatasetManifest(name="a", fields=FIELDS, groups=GROUPS, provenance={}, shards=())
    for same in ({"provenance": {"seed": 1}}, {"selection": {}}, {"where": ("q2 > 1",)}):
        assert Dataset("", manifest.model_copy(update=same)).digest == Dataset("", manifest).digest
    for other in ({"name": "b"}, {"conditions": {"beam_energy": 5.0}}, {"fields": FIELDS[1:]}):
        assert Dataset("", manifest.model_copy(update=other)).digest != Dataset("", manifest).digest


def test_a_judge_writes_into_a_sample_what_it_is_worth_and_changes_no_events(tmp_path) -> None:
    manifest = DatasetManifest(name="a", fields=FIELDS, groups=GROUPS, provenance={}, shards=())
    sealed = seal(str(tmp_path), SAMPLED, manifest)
    found = Worth(
        truth="abc",
        split="test",
        true_events=1000,
        indistinguishable={"x_bj, q2": Bound(events=300.0, uncertainty=40.0)},
        equivalent={"x_bj": {"tail": Bound(events=20.0, uncertainty=None)}},
    )
    note_worth(str(tmp_path), found)
    assert Dataset.open(str(tmp_path)).manifest == manifest.model_copy(update={"worth": found})
    assert Dataset.open(str(tmp_path)).digest == sealed.digest
    # Who completes the sample once more leaves it there.
    assert seal(str(tmp_path), SAMPLED, manifest).manifest.worth == found


def test_only_a_condition_divides_a_dataset() -> None:
    same = {"name": "a", "fields": FIELDS, "groups": GROUPS, "provenance": {}, "shards": ()}
    assert DatasetManifest(**same, partition="beam_energy").partition == "beam_energy"
    for name in ("electron.px", "energy"):
        with pytest.raises(ConfigError, match=f"x: partition: '{name}' is no condition"):
            parse(DatasetManifest, {**same, "partition": name}, "x")


def test_a_manifest_that_never_ends_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "manifest.json"
    place.write_text(" " * 100)
    monkeypatch.setattr("mleg_ray.storage.MOST_JSON", 99)
    with pytest.raises(DataError, match=r"manifest\.json: larger than"):
        read_json(str(place))
