"""The toy sources: their columns, what they refuse, and their entries of the catalog."""

import numpy as np
import pytest
import torch

from mleg_ray.catalog.sources.toy_images import ToyImagesConfig
from mleg_ray.catalog.sources.toy_jets import SCHEMA, ToyJetsConfig
from mleg_ray.config import find_named, read_extended
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, Field, Group
from mleg_ray.physics import toy_jets
from mleg_ray.physics.observables import Definitions, evaluate, violates
from mleg_ray.physics.toy_images import BLOBS

ENERGY = Field(name="energy", unit="GeV", role="condition")
IMAGE = Field(name="image", unit="GeV", shape=(16, 16))
OF_JETS = ("jet.pt", "jet.eta", "jet.phi", "jet.flavour")
ENTRIES = {"toy-jets": ToyJetsConfig, "toy-images": ToyImagesConfig, "toy-layers": ToyImagesConfig}


def entry(name: str) -> tuple[dict, EventSchema]:
    """An entry of the catalog, and its schema."""
    values, _ = read_extended(name, "data_catalog")
    groups = {group: Group(**of) for group, of in values.get("groups", {}).items()}
    return values, EventSchema([Field(**field) for field in values["fields"]], groups)


def jets(events: int = 600, shard_events: int = 60):
    return ToyJetsConfig(events=events, seed=1).open(SCHEMA, {}, shard_events)


def test_objects_are_flat_event_after_event():
    columns = jets().shard(3)
    assert {field.name for field in SCHEMA.fields} | {"jet.count"} == set(columns)
    events = toy_jets.sample(np.random.default_rng(jets().seed(3)), 60)
    ends = np.cumsum(columns["jet.count"])
    for row, (start, end) in enumerate(zip(ends - columns["jet.count"], ends, strict=True)):
        for name in OF_JETS:
            padded = events.columns[name][row].numpy()
            np.testing.assert_array_equal(columns[name][start:end], padded[: end - start])
            assert not padded[end - start :].any()
    sizes = {name: len(values) for name, values in columns.items()}
    assert sizes == dict.fromkeys(sizes, 60) | dict.fromkeys(OF_JETS, ends[-1])
    assert columns["jet.flavour"].dtype == np.int8
    assert np.issubdtype(columns["jet.count"].dtype, np.integer)


@pytest.mark.parametrize("layers", [1, 2])
def test_images_have_their_shape_and_energy(layers):
    config = ToyImagesConfig(events=50, seed=1, layers=layers)
    columns = config.draw(np.random.default_rng(0), 50, {})
    assert columns["image"].shape == (50, *BLOBS[layers].shape)
    assert columns["image"].dtype == np.float32
    assert columns["energy"].shape == (50,)
    assert 10 <= columns["energy"].min() < columns["energy"].max() <= 100


@pytest.mark.parametrize("name", ENTRIES)
def test_an_index_gives_the_same_events_in_any_order(name):
    values, schema = entry(name)
    config = ENTRIES[name](**values["source"] | {"events": 90})
    first, second = (config.open(schema, {}, 30) for _ in range(2))
    assert [list(rows) for rows in first.shard_rows()] == [[30, 30, 30]]
    ahead = {index: first.shard(index) for index in (0, 1, 2)}
    for index in (2, 0, 1):
        for column, made in second.shard(index).items():
            np.testing.assert_array_equal(made, ahead[index][column])
            assert np.isfinite(made).all()
    assert not np.array_equal(*(next(iter(ahead[index].values())) for index in (0, 1)))


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_are_whole_and_all_that_they_define_is_one_number_an_event(name):
    values, schema = entry(name)
    assert find_named(name, "data_catalog").stem == values["name"] == name
    config = ENTRIES[name](**values["source"])
    config.check(schema, {})
    assert config.planned_events() == (200_000 if name == "toy-jets" else 100_000)
    if name == "toy-jets":
        columns = dict(toy_jets.sample(np.random.default_rng(0), 500).columns)
    else:
        drawn = config.draw(np.random.default_rng(0), 500, {})
        columns = {field: torch.from_numpy(drawn[field]) for field in ("image", "energy")}
    definitions = Definitions(
        **{key: values[key] for key in ("observables", "planes", "constraints")}
    )
    for observable, defined in definitions.observables.items():
        columns[observable] = evaluate(defined.expression, columns)
        assert columns[observable].shape == (500,), observable
        assert columns[observable].isfinite().all()
    for plane in definitions.planes:
        assert {plane.x, plane.y} <= set(columns)
    numbers = {name: column for name, column in columns.items() if column.ndim == 1}
    assert not any(violates(rule, numbers).any() for rule in definitions.constraints.values())


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
