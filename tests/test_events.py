"""Schemas and batches: conditions and weights are never dropped."""

import pytest
import torch

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, EventSchema, Field, stored_fields, unlabelled

FIELDS = (
    Field(name="px"),
    Field(name="w", role="weight"),
    Field(name="beam_energy", role="condition"),
    Field(name="py"),
)


def test_columns_go_by_role_and_fixed_conditions_fill_in() -> None:
    schema = EventSchema(FIELDS)
    columns = {name: torch.arange(3.0) + i for i, name in enumerate(("px", "py", "w"))}
    batch = Batch.from_columns(schema, columns, {"beam_energy": 0.1})
    assert schema.event == ("px", "py")
    assert batch.x.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert batch.weight.tolist() == [2, 3, 4]
    assert batch.context.tolist() == [[0.1]] * 3  # in double precision, not 0.1 rounded to single
    assert set(schema.columns(batch)) == {"px", "py", "beam_energy"}


def test_absent_weights_are_one_and_absent_conditions_have_no_columns() -> None:
    batch = Batch.from_columns(EventSchema([Field(name="px")]), {"px": torch.zeros(2)}, {})
    assert batch.weight.tolist() == [1, 1]
    assert batch.context.shape == (2, 0)


def test_rows_and_concatenation_keep_everything_together() -> None:
    batch = Batch(torch.arange(6.0).view(3, 2), torch.arange(3.0)[:, None], torch.arange(3.0))
    again = Batch.concatenate([batch[2:], batch[:2]])
    assert again.weight.tolist() == [2, 0, 1]
    assert again.context[:, 0].tolist() == [2, 0, 1]
    assert again.x[:, 0].tolist() == [4, 0, 2]


def test_stored_fields_leave_out_fixed_conditions() -> None:
    stored = stored_fields(FIELDS, {"beam_energy": 50.0})
    assert [field.name for field in stored] == ["px", "w", "py"]


def test_labels_are_stored_and_no_part_of_a_batch() -> None:
    fields = (*FIELDS, Field(name="channel", role="label"))
    schema = EventSchema(fields)
    assert schema.labels == ("channel",)
    assert "channel" in [field.name for field in stored_fields(fields, {})]
    assert unlabelled(fields) == FIELDS
    assert "channel" not in (*schema.event, *schema.conditions)
    with pytest.raises(ConfigError, match="needs the fields channel"):
        schema.require(["channel"], by="features")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([Field(name="a"), Field(name="a")], "names must differ"),
        ([Field(name="w", role="weight")], "at least one field"),
        ([Field(name="a"), *(Field(name=n, role="weight") for n in "vw")], "one weight at most"),
    ],
)
def test_impossible_schemas(fields: list[Field], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EventSchema(fields)
