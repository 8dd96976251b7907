"""The toy sources: their columns, what they refuse, and their entries of the catalog."""

import numpy as np
import pytest
import torch

from mleg_ray.catalog.codec import checked, to_events
from mleg_ray.catalog.sources.toys import JETS as SCHEMA
from mleg_ray.catalog.sources.toys import ToyImagesConfig, ToyJetsConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.definitions import violates
from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, EventSchema, Field, Group
from mleg_ray.physics import toy_jets
from mleg_ray.physics.toy_images import BLOBS

ENERGY = Field(name="energy", unit="GeV", role="condition")
IMAGE = Field(name="image", unit="GeV", shape=(16, 16))
NAMES = ("toy-jets", "toy-images", "toy-layers")


def small(name: str) -> DatasetSpec:
    """An entry of the catalog with 900 events in three shards."""
    return DatasetSpec.load(name, ("source.events=900", "shard_events=300"))


def opened(spec: DatasetSpec):
    return spec.source.open(spec.schema_, spec.conditions, spec.shard_events)


def events_of(spec: DatasetSpec, index: int) -> Events:
    """A shard as it is read."""
    stored, dropped = checked(opened(spec).shard(index), spec.stored, "here")
    assert not any(dropped.values())
    return to_events(stored, spec.schema_, spec.conditions)


def test_jets_are_the_sample_in_the_form_of_sources():
    spec = small("toy-jets")
    source = opened(spec)
    columns = source.shard(2)
    assert {field.name for field in SCHEMA.fields} | {"jet.count"} == set(columns)
    assert len(columns["jet.pt"]) == columns["jet.count"].sum()
    sample = toy_jets.sample(np.random.default_rng(source.seed(2)), 300)
    read = events_of(spec, 2)
    torch.testing.assert_close(read.present["jet"], sample.present["jet"])
    torch.testing.assert_close(read.weight, sample.weight)
    for name, column in sample.columns.items():
        torch.testing.assert_close(read.columns[name], column, rtol=1e-6, atol=1e-6)
    assert read.columns["jet.flavour"].dtype == torch.int8


@pytest.mark.parametrize(("name", "layers"), [("toy-images", 1), ("toy-layers", 2)])
def test_images_have_their_shape_and_energy(name, layers):
    spec = small(name)
    columns = opened(spec).shard(0)
    assert columns["image"].shape == (300, *BLOBS[layers].shape)
    assert columns["image"].dtype == np.float32
    assert columns["energy"].shape == (300,)
    assert 10 <= columns["energy"].min() < columns["energy"].max() <= 100


@pytest.mark.parametrize("name", NAMES)
def test_an_index_gives_the_same_events_in_any_order(name):
    spec = small(name)
    first, second = opened(spec), opened(spec)
    assert [list(rows) for rows in first.shard_rows()] == [[300, 300, 300]]
    ahead = {index: first.shard(index) for index in (0, 1, 2)}
    for index in (2, 0, 1):
        for column, made in second.shard(index).items():
            np.testing.assert_array_equal(made, ahead[index][column])
    assert not np.array_equal(*(next(iter(ahead[index].values()))[:100] for index in (0, 1)))


@pytest.mark.parametrize("name", NAMES)
def test_all_that_an_entry_defines_is_one_number_of_true_events(name):
    spec = small(name)
    joined = spec.joined(events_of(spec, 0))
    for observable in spec.observables:
        assert joined.columns[observable].shape == (300,), observable
        assert joined.columns[observable].isfinite().all()
    for rule in spec.constraints.values():
        assert not violates(rule, joined).any()


def test_sizes_are_those_of_the_guide():
    events = {name: DatasetSpec.load(name).source.planned_events() for name in NAMES}
    assert events == {"toy-jets": 200_000, "toy-images": 100_000, "toy-layers": 100_000}


JETS = {field.name: field for field in SCHEMA.fields}
GROUPS = SCHEMA.groups


@pytest.mark.parametrize(
    ("change", "groups", "message"),
    [
        ({"jet.pt": {"unit": "MeV"}}, {}, r"declares .*jet.pt \[MeV\]"),
        (
            {"jet.flavour": {"dtype": "float32"}},
            {},
            r"declares jet.eta \[1\], jet.flavour \[1\], jet.phi",
        ),
        ({"weight": {"role": "label"}}, {}, r"declares .*weight \[1\] \(label\)"),
        ({"met.phi": {"name": "met.angle"}}, {}, r"declares .*met.angle \[rad\]"),
        (
            {},
            {"jet": Group(most=4, ordered_by="pt")},
            "declares .*up to 4 jets by pt",
        ),
        ({}, {"jet": Group(most=8, ordered_by="eta")}, "declares .*up to 8 jets by eta"),
    ],
)
def test_other_fields_than_those_of_the_jets_are_refused(change, groups, message):
    fields = [Field(**field.model_dump() | change.get(name, {})) for name, field in JETS.items()]
    with pytest.raises(ConfigError, match=f"^kind: toy-jets makes .*; the dataset {message}"):
        ToyJetsConfig(events=10, seed=1).check(EventSchema(fields, GROUPS | groups), {})


def test_precision_of_numbers_and_the_order_of_fields_are_free():
    fields = [
        Field(**field.model_dump() | {"dtype": "float64" if name != "jet.flavour" else "int32"})
        for name, field in reversed(JETS.items())
    ]
    ToyJetsConfig(events=10, seed=1).check(EventSchema(fields, GROUPS), {})


@pytest.mark.parametrize(
    ("fields", "conditions", "layers", "message"),
    [
        ([IMAGE, ENERGY], {}, 2, r"makes .*image \[GeV\] 2 x 12 x 12; .*declares .*16 x 16"),
        ([IMAGE], {}, 1, r"makes energy \[GeV\] \(condition\), image"),
        ([IMAGE, ENERGY, Field(name="w", role="weight")], {}, 1, r"declares .*w \[1\] \(weight\)"),
        ([IMAGE, ENERGY], {"energy": 20.0}, 1, "leave it out of \\[conditions\\]"),
    ],
)
def test_other_images_are_refused(fields, conditions, layers, message):
    with pytest.raises(ConfigError, match=message):
        ToyImagesConfig(events=10, seed=1, layers=layers).check(EventSchema(fields), conditions)
