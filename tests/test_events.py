"""Schemas, events by name and batches: weights, conditions and objects stay with their events."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from mleg_ray.errors import ConfigError
from mleg_ray.events import (
    Batch,
    Events,
    EventSchema,
    Field,
    Group,
    conversion,
    four_momentum,
    group_of,
    members,
    unlabelled,
)

FIELDS = (
    Field(name="px"),
    Field(name="w", role="weight"),
    Field(name="beam_energy", role="condition"),
    Field(name="py"),
)
JETS = EventSchema(
    [
        Field(name="met"),
        Field(name="jet.pt", unit="GeV"),
        Field(name="jet.flavour", dtype="int8"),
        Field(name="cells", shape=(2, 3)),
        Field(name="process", role="label"),
    ],
    {"jet": Group(most=3, ordered_by="pt")},
)
EVENTS = Events(
    {
        "met": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64),
        "jet.pt": torch.tensor([[30.0, 20, 10], [0, 0, 0], [5, 0, 0]], dtype=torch.float64),
        "cells": torch.arange(18, dtype=torch.int16).reshape(3, 2, 3),
    },
    {"jet": torch.tensor([[True, True, True], [False] * 3, [True, False, False]])},
    torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64),
)


def test_columns_go_by_name_and_fixed_conditions_fill_in() -> None:
    schema = EventSchema(FIELDS)
    columns = {name: torch.arange(3.0) + i for i, name in enumerate(("px", "py", "w"))}
    events = schema.events(columns, {"beam_energy": 0.1})
    assert schema.event == ("px", "py")
    assert events.columns["px"].tolist() == [0, 1, 2]
    assert events.columns["py"].tolist() == [1, 2, 3]
    assert events.weight.tolist() == [2, 3, 4]
    assert events.weight.dtype == torch.float64
    beam = events.columns["beam_energy"]
    assert beam.tolist() == [0.1] * 3  # in double precision, not 0.1 rounded to single
    assert set(events.columns) == {"px", "py", "beam_energy"}  # the weight stands beside them


def test_absent_weights_are_one_and_columns_of_no_field_are_left_out() -> None:
    events = EventSchema([Field(name="px")]).events(
        {"px": torch.zeros(2), "other": torch.zeros(2)}, {}
    )
    assert events.weight.tolist() == [1, 1]
    assert set(events.columns) == {"px"}
    assert events.present == {}


def test_rows_and_concatenation_keep_everything_together() -> None:
    again = Events.concatenate([EVENTS[2:], EVENTS[:2]])
    assert again.weight.tolist() == [2, 1, -0.5]
    assert again.columns["met"].tolist() == [3, 1, 2]
    assert again.columns["jet.pt"].tolist() == [[5, 0, 0], [30, 20, 10], [0, 0, 0]]
    assert again.columns["cells"][:, 0, 0].tolist() == [12, 0, 6]
    assert again.present["jet"].sum(dim=1).tolist() == [1, 3, 0]
    chosen = EVENTS[EVENTS.weight > 0]
    assert chosen.columns["met"].tolist() == [1, 3]
    assert chosen.present["jet"].sum(dim=1).tolist() == [3, 1]


def test_repetitions_are_whole() -> None:
    twice = EVENTS.repeat(2)
    assert twice.weight.tolist() == [1, -0.5, 2, 1, -0.5, 2]
    assert torch.equal(twice.present["jet"][3:], EVENTS.present["jet"])


def test_columns_are_chosen_with_the_objects_of_their_groups() -> None:
    assert set(EVENTS.choose(["met"]).present) == set()
    jets = EVENTS.choose(["jet.pt"])
    assert (set(jets.columns), set(jets.present)) == ({"jet.pt"}, {"jet"})
    assert torch.equal(jets.weight, EVENTS.weight)


def test_columns_are_replaced_where_they_stood() -> None:
    new = {"jet.log_pt": torch.ones(3, 3), "jet.x": torch.zeros(3, 3)}
    changed = EVENTS.replacing(("jet.pt",), new)
    assert list(changed.columns) == ["met", "jet.log_pt", "jet.x", "cells"]
    added = EVENTS.replacing((), {"q2": torch.ones(3)})
    assert list(added.columns) == [*EVENTS.columns, "q2"]
    assert EVENTS.weighted(torch.zeros(3)).weight.tolist() == [0, 0, 0]


def test_memory_is_counted() -> None:
    met, jets, cells, present, weight = 3 * 8, 9 * 8, 18 * 2, 9, 3 * 8
    assert EVENTS.nbytes == met + jets + cells + present + weight


def test_batches_keep_everything_together() -> None:
    batch = Batch(torch.arange(6.0).view(3, 2), torch.arange(3.0)[:, None], torch.arange(3.0))
    again = Batch.concatenate([batch[2:], batch[:2]])
    assert again.weight.tolist() == [2, 0, 1]
    assert again.condition[:, 0].tolist() == [2, 0, 1]
    assert again.x[:, 0].tolist() == [4, 0, 2]
    assert (len(again), again.nbytes) == (3, (6 + 3 + 3) * 4)


def test_a_schema_without_its_fixed_conditions() -> None:
    stored = EventSchema(FIELDS).without({"beam_energy": 50.0})
    assert [field.name for field in stored.fields] == ["px", "w", "py"]


def test_labels_are_stored_and_nothing_may_need_them() -> None:
    fields = (*FIELDS, Field(name="channel", role="label"))
    schema = EventSchema(fields)
    assert schema.labels == ("channel",)
    assert "channel" in [field.name for field in schema.without({}).fields]
    assert unlabelled(fields) == FIELDS
    assert "channel" not in (*schema.event, *schema.conditions)


def test_names_of_groups() -> None:
    assert (group_of("jet.pt"), group_of("beam_energy")) == ("jet", "")
    assert members("jet", "pt", "eta") == ("jet.pt", "jet.eta")
    assert four_momentum("e") == ("e.px", "e.py", "e.pz", "e.energy")


def test_objects_are_those_of_groups_with_a_number() -> None:
    schema = EventSchema(
        [Field(name="e.px"), Field(name="jet.pt")],
        {"e": Group(), "jet": Group(most=4, ordered_by="pt")},
    )
    assert schema.objects == {"jet": 4}
    fewer = schema.without({"jet.pt"})
    assert (fewer.fields, fewer.groups) == ((Field(name="e.px"),), {"e": Group()})


def test_conditions_are_the_truth_of_what_is_measured() -> None:
    schema = EventSchema(
        [
            Field(name="e.px", unit="GeV"),
            Field(name="true.px", unit="GeV", role="condition"),
            Field(name="beam", unit="GeV", role="condition"),
        ],
        {"e": Group(), "true": Group(truth_of="e")},
    )
    assert schema.truth == {"true.px": "e.px"}
    assert schema.varying({"beam"}) == ("true.px",)


def test_an_example_has_every_column_and_object() -> None:
    example = JETS.example()
    assert {name: tuple(values.shape) for name, values in example.columns.items()} == {
        "met": (4,),  # as many as no axis is long
        "jet.pt": (4, 3),
        "jet.flavour": (4, 3),
        "cells": (4, 2, 3),
        "process": (4,),
    }
    assert example.present["jet"].all()


@pytest.mark.parametrize(
    ("fields", "groups", "message"),
    [
        ([Field(name="a"), Field(name="a")], {}, "names must differ"),
        ([Field(name="w", role="weight")], {}, "at least one field"),
        (
            [Field(name="a"), *(Field(name=n, role="weight") for n in "vw")],
            {},
            "one weight at most",
        ),
        (
            [Field(name="jet.pt")],
            {},
            r"'jet.pt' belongs to no declared group; add \[groups.jet\]",
        ),
        ([Field(name="a")], {"jet": Group()}, "groups.jet: no field 'jet.…' belongs to it"),
        (
            [Field(name="jet"), Field(name="jet.pt")],
            {"jet": Group()},
            "groups.jet: a field has this name",
        ),
        (
            [Field(name="jet.pt"), Field(name="jet.eta")],
            {"jet": Group(most=2, ordered_by="mass")},
            "groups.jet.ordered_by: no field 'mass' belongs to the group; those are pt, eta",
        ),
        (
            [Field(name="a"), Field(name="jet.pt", role="condition")],
            {"jet": Group(most=2, ordered_by="pt")},
            "groups.jet: conditions are numbers of the event",
        ),
        (
            [Field(name="e.px", unit="GeV"), Field(name="true.px", unit="MeV", role="condition")],
            {"e": Group(), "true": Group(truth_of="e")},
            r"groups.true.truth_of: the true value 'true.px' \[MeV\] must be a condition",
        ),
        (
            [Field(name="met"), Field(name="jet.pt")],
            {"jet": Group(most=10**12, ordered_by="pt")},
            "an event of 1,000,000,000,001 numbers is larger.*; 'jet.pt' has 1,000,000,000,000",
        ),
        ([Field(name="cells", shape=(10**5, 10**5))], {}, "'cells' has 10,000,000,000"),
    ],
)
def test_impossible_schemas(fields: list[Field], groups: dict[str, Group], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EventSchema(fields, groups)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"name": "jet.count"}, "'jet.count' is the number of a group's objects; choose another"),
        ({"name": "a.b.c"}, "name"),
        ({"name": "2px"}, "name"),
        ({"name": "hits", "storage": "sparse"}, "only an image, a field with a shape, can be"),
        ({"name": "hits", "shape": (2, 2), "role": "condition"}, "an image has role 'event'"),
        ({"name": "jet.hits", "shape": (2, 2)}, "belongs to no group"),
        ({"name": "hits", "shape": (2, 0)}, "greater than 0"),
        ({"name": "w", "role": "weight", "dtype": "int8"}, "a weight is one number an event"),
    ],
)
def test_impossible_fields(field: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Field.model_validate(field)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"most": 0, "ordered_by": "pt"}, "most"),
        ({"most": 2}, "needs the field by which they are ordered"),
        ({"ordered_by": "pt"}, "one that is there once has none"),
        ({"mass": -1.0}, "mass"),
    ],
)
def test_impossible_groups(group: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Group.model_validate(group)


def test_conversion() -> None:
    assert conversion("MeV", "GeV", "") == pytest.approx(1e-3)
    assert conversion("deg", "rad", "") == pytest.approx(0.017453292519943295)
    assert conversion("cm", "mm", "") == pytest.approx(10)
    with pytest.raises(ConfigError, match=r"column a: GeV \(energy\) cannot be converted to cm"):
        conversion("GeV", "cm", "column a")
