"""Events in memory: what their fields and groups mean, events by name, and minibatches of features.

Physical events go by name (`Events`); only features, as networks take them, are a matrix (`Batch`).
"""

import itertools
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from pydantic import Field as Option
from pydantic import NonNegativeFloat, PositiveInt, model_validator
from torch import Tensor

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError

Role = Literal["event", "condition", "weight", "label"]
Unit = Literal["GeV", "MeV", "TeV", "rad", "deg", "cm", "mm", "1"]
# unit -> (dimension, value of one unit in the dimension's first unit)
UNITS: dict[Unit, tuple[str, float]] = {
    "GeV": ("energy", 1.0),
    "MeV": ("energy", 1e-3),
    "TeV": ("energy", 1e3),
    "rad": ("angle", 1.0),
    "deg": ("angle", math.pi / 180),
    "cm": ("length", 1.0),
    "mm": ("length", 0.1),
    "1": ("pure number", 1.0),
}
MOST_NUMBERS = 10_000_000  # of an event
MOMENTUM = ("px", "py", "pz", "energy")
COUNT = "count"  # `jet.count` is the number of jets; no field may be called so


class Field(Config):
    """One quantity of an event: its name, unit ("1" if none), role, stored precision and meaning.

    A name with a dot belongs to a group: `jet.pt`. Roles: `event` is generated, `condition` is
    given to the generator (a beam energy), `weight` is the event's statistical weight, which may be
    negative. A `label` tells where a true event is from; no model ever sees it, and no generated
    event has one, but for that of the event whose conditions it was generated under.

    A field with a `shape`, such as (layers, rows, columns), is an image. Stored `sparse`, it is a
    list of the cells that are not zero, for images of which most are empty.
    """

    name: str = Option(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$")
    unit: Unit = "1"
    role: Role = "event"
    dtype: Literal["float32", "float64", "int8", "int16", "int32"] = "float32"
    shape: tuple[PositiveInt, ...] = ()
    storage: Literal["dense", "sparse"] = "dense"
    description: str = ""

    @property
    def group(self) -> str:
        """The group that it belongs to, empty if none."""
        return group_of(self.name)

    @model_validator(mode="after")
    def _is_stored_somehow(self) -> Self:
        if self.storage == "sparse" and not self.shape:
            raise ValueError("storage: only an image, a field with a shape, can be sparse")
        if self.shape and (self.group or self.role != "event"):
            raise ValueError("shape: an image has role 'event' and belongs to no group")
        if self.role == "weight" and (self.group or not self.dtype.startswith("float")):
            raise ValueError("role: a weight is one number an event, float32 or float64")
        if self.name.partition(".")[2] == COUNT:
            raise ValueError(
                f"name: '{self.name}' is the number of a group's objects; choose another"
            )
        return self


class Group(Config):
    """Fields that belong together: `jet.pt`, `jet.eta`; once in each event, or up to `most` times.

    Objects are kept in the order of the field `ordered_by`, the largest first; beyond `most` they
    are dropped from the end. `pdg_id` and `mass` (GeV) are those of the particle, if all are of one
    kind: event records tell them. `truth_of` names the group of which this one, of conditions, has
    the true values: what a detector measures of `vertex` is `electron`, say.
    """

    most: PositiveInt | None = None
    ordered_by: str = ""
    pdg_id: int | None = None
    mass: NonNegativeFloat | None = None
    truth_of: str = ""

    @model_validator(mode="after")
    def _has_an_order(self) -> Self:
        if (self.most is None) == bool(self.ordered_by):
            raise ValueError(
                "ordered_by: a group of up to `most` objects needs the field by which they are "
                "ordered, the largest first; one that is there once has none"
            )
        return self


def group_of(name: str) -> str:
    """Return the group of a column's name: "jet" of "jet.pt", empty of "beam_energy"."""
    group, dot, _ = name.partition(".")
    return group if dot else ""


def members(group: str, *parts: str) -> tuple[str, ...]:
    """Return the columns of a group: ("electron.px", "electron.py")."""
    return tuple(f"{group}.{part}" for part in parts)


def four_momentum(group: str) -> tuple[str, ...]:
    """Return the columns of a particle's four-momentum: px, py, pz and energy of the group."""
    return members(group, *MOMENTUM)


def conversion(given: Unit, wanted: Unit, where: str) -> float:
    """Return the factor that turns numbers in `given` into numbers in `wanted`.

    Raises:
        ConfigError: the units measure different things; the message starts with `where`.
    """
    (dimension, value), (wanted_dimension, wanted_value) = UNITS[given], UNITS[wanted]
    if dimension != wanted_dimension:
        raise ConfigError(
            f"{where}: {given} ({dimension}) cannot be converted to {wanted} ({wanted_dimension})"
        )
    return value / wanted_value


def unlabelled(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Return the fields that generated events have too: all but the labels."""
    return tuple(field for field in fields if field.role != "label")


class EventSchema:
    """The fields of a dataset by role, and its groups."""

    def __init__(self, fields: Iterable[Field], groups: Mapping[str, Group] | None = None) -> None:
        self.fields = tuple(fields)
        self.groups = dict(groups or {})
        self.event = self._of_role("event")
        self.conditions = self._of_role("condition")
        self.labels = self._of_role("label")
        names = [field.name for field in self.fields]
        if len(set(names)) < len(names):
            raise ConfigError(f"fields: names must differ: {', '.join(names)}")
        if not self.event:
            raise ConfigError("fields: at least one field needs role = 'event'")
        weights = self._of_role("weight")
        if len(weights) > 1:
            raise ConfigError(f"fields: one weight at most, not {', '.join(weights)}")
        self.weight = weights[0] if weights else None
        self._check_groups()

    def _of_role(self, role: Role) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields if field.role == role)

    def _check_groups(self) -> None:
        members: dict[str, list[Field]] = {name: [] for name in self.groups}
        for field in self.fields:
            if field.group and field.group not in self.groups:
                raise ConfigError(
                    f"fields: '{field.name}' belongs to no declared group; add "
                    f"[groups.{field.group}]"
                )
            if field.name in self.groups:
                raise ConfigError(f"groups.{field.name}: a field has this name; choose another")
            if field.group:
                members[field.group].append(field)
        numbers = {name: math.prod(shape) for name, shape in self.shapes.items()}
        largest = max(numbers, key=lambda name: numbers[name])
        if sum(numbers.values()) > MOST_NUMBERS:
            raise ConfigError(
                f"fields: an event of {sum(numbers.values()):,} numbers is larger than the "
                f"{MOST_NUMBERS:,} that are possible; '{largest}' has {numbers[largest]:,}"
            )
        for name, group in self.groups.items():
            if not members[name]:
                raise ConfigError(f"groups.{name}: no field '{name}.…' belongs to it; leave it out")
            ordering = [f for f in members[name] if f.name == f"{name}.{group.ordered_by}"]
            if group.most is not None and not ordering:
                known = ", ".join(f.name.partition(".")[2] for f in members[name])
                raise ConfigError(
                    f"groups.{name}.ordered_by: no field '{group.ordered_by}' belongs to the "
                    f"group; those are {known}"
                )
            if group.most is not None and any(f.role == "condition" for f in members[name]):
                raise ConfigError(
                    f"groups.{name}: conditions are numbers of the event; objects cannot be given"
                )
            if group.truth_of:
                self._check_truth(name, group.truth_of, members)

    def _check_truth(self, name: str, of: str, members: Mapping[str, list[Field]]) -> None:
        units = {f.name: f.unit for f in self.fields if f.role == "event"}
        for field in members[name]:
            measured = f"{of}.{field.name.partition('.')[2]}"
            if field.role != "condition" or units.get(measured) != field.unit:
                raise ConfigError(
                    f"groups.{name}.truth_of: the true value '{field.name}' [{field.unit}] must "
                    f"be a condition, and '{measured}' an event field of the same unit"
                )

    @property
    def objects(self) -> dict[str, int]:
        """The largest number of objects an event may have, of each group that has a number."""
        return {name: group.most for name, group in self.groups.items() if group.most is not None}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """What an event has of each field: one number, one for each object, or an image."""
        objects = self.objects
        return {f.name: (objects[f.group],) if f.group in objects else f.shape for f in self.fields}

    @property
    def truth(self) -> dict[str, str]:
        """The field that is measured, of each condition that is its true value."""
        pairs = {}
        for name in self.conditions:
            group, _, part = name.partition(".")
            if part and self.groups[group].truth_of:
                pairs[name] = f"{self.groups[group].truth_of}.{part}"
        return pairs

    def varying(self, fixed: Container[str]) -> tuple[str, ...]:
        """Return the conditions that differ from event to event: all but the `fixed` ones."""
        return tuple(name for name in self.conditions if name not in fixed)

    def without(self, names: Container[str | None]) -> "EventSchema":
        """Return the schema without these fields, and without the groups that are empty then."""
        fields = [field for field in self.fields if field.name not in names]
        used = {field.group for field in fields}
        return EventSchema(fields, {name: g for name, g in self.groups.items() if name in used})

    def example(self) -> "Events":
        """Return a few events in which all numbers are one and all objects are there."""
        shapes = {name: shape for name, shape in self.shapes.items() if name != self.weight}
        return Events.example(shapes, self.objects)

    def events(
        self,
        columns: Mapping[str, Tensor],
        conditions: Mapping[str, float],
        present: Mapping[str, Tensor] | None = None,
    ) -> "Events":
        """Make events of columns as `Events` has them.

        `conditions` fills those that have one value; columns of no field are left out; the weight
        is 1 if the schema has none.
        """
        n = len(columns[self.event[0]])
        fixed = {
            name: torch.full((n,), value, dtype=torch.float64) for name, value in conditions.items()
        }
        known = {**fixed, **columns}
        names = [f.name for f in self.fields if f.role != "weight" and f.name in known]
        weight = columns[self.weight].double() if self.weight else torch.ones(n).double()
        return Events({name: known[name] for name in names}, present or {}, weight)


class Rows:
    """What `Events` and `Batch` share: tensors, alone or by name, of as many rows, and weights."""

    weight: Tensor

    def __len__(self) -> int:
        return len(self.weight)

    def __getitem__(self, rows: Any) -> Self:  # noqa: ANN401 - whatever indexes a tensor's rows
        return self._of([self], lambda tensors: tensors[0][rows])

    def to(self, device: torch.device | str) -> Self:
        """Return the rows on another device."""
        return self._of([self], lambda tensors: tensors[0].to(device))

    def weighted(self, weight: Tensor) -> Self:
        """Return the rows with other weights (B,)."""
        return type(self)(**{**vars(self), "weight": weight})

    @property
    def nbytes(self) -> int:
        """The memory the tensors take, in bytes."""
        values = vars(self).values()
        tensors = (v.values() if isinstance(v, Mapping) else (v,) for v in values)
        return sum(tensor.nbytes for tensor in itertools.chain.from_iterable(tensors))

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """Join rows of the same columns, in order."""
        parts = list(parts)
        return parts[0] if len(parts) == 1 else cls._of(parts, torch.cat)

    @classmethod
    def _of(cls, parts: Sequence[Self], change: Callable[[list[Tensor]], Tensor]) -> Self:
        """Return what `change` makes of each tensor of all parts."""
        made: dict[str, Any] = {}
        for name, value in vars(parts[0]).items():
            values = [vars(part)[name] for part in parts]
            if isinstance(value, Mapping):
                made[name] = {key: change([each[key] for each in values]) for key in value}
            else:
                made[name] = change(values)
        return cls(**made)


@dataclass(frozen=True)
class Events(Rows):
    """B events by name: numbers (B,), fields of groups of objects (B, most), images (B, *shape).

    Numbers are float64; images and whole numbers keep their stored precision. Conditions and labels
    are columns too. `present` (B, most), boolean, tells by group which objects there are: the first
    ones; what is absent is zero. Weights (B,), also negative ones, travel with the events
    everywhere.

    >>> columns = {"met": torch.tensor([4.0, 9.0]), "jet.pt": torch.tensor([[30.0, 20], [25, 0]])}
    >>> events = Events(columns, {"jet": columns["jet.pt"] > 0}, torch.tensor([1.0, -1.0]))
    >>> events.counts["jet.count"].tolist(), events[1:].columns["met"], len(events.repeat(3))
    ([2.0, 1.0], tensor([9.]), 6)
    """

    columns: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    weight: Tensor

    def repeat(self, times: int) -> "Events":
        """Return all events `times` over, in the order of whole repetitions."""
        return Events.concatenate([self] * times)

    def split(self, n: int) -> Iterator["Events"]:
        """Yield the events in their order, n at a time and the rest at last."""
        for start in range(0, max(1, len(self)), n):
            yield self[start : start + n]

    @staticmethod
    def example(
        shapes: Mapping[str, tuple[int, ...]], objects: Mapping[str, int] | None = None
    ) -> "Events":
        """Return events of ones, columns of these `shapes` and as many `objects` of each group.

        They are as many as no axis is long, so that none can pass for another.
        """
        lengths = {length for shape in shapes.values() for length in shape}
        n = next(n for n in itertools.count(2) if n not in lengths)
        return Events(
            {name: torch.ones(n, *shape).double() for name, shape in shapes.items()},
            {name: torch.ones(n, most).bool() for name, most in (objects or {}).items()},
            torch.ones(n).double(),
        )

    @property
    def counts(self) -> dict[str, Tensor]:
        """The number of objects (B,), float64, of each group: `jet.count`."""
        return {
            f"{group}.{COUNT}": there.sum(dim=1).double() for group, there in self.present.items()
        }

    def choose(self, names: Iterable[str]) -> "Events":
        """Return the events with these columns alone, and the objects of their groups."""
        columns = {name: self.columns[name] for name in names}
        groups = {group_of(name) for name in columns}
        present = {name: there for name, there in self.present.items() if name in groups}
        return Events(columns, present, self.weight)

    def replacing(self, gone: Container[str], new: Mapping[str, Tensor]) -> "Events":
        """Return the events with `new` columns in the place of those that are `gone`."""
        columns: dict[str, Tensor] = {}
        for name, column in self.columns.items():
            columns |= new if name in gone else {name: column}
        return Events(columns | dict(new), self.present, self.weight)


@dataclass(frozen=True)
class Batch(Rows):
    """B events as networks take them, float32.

    `x` (B, n) are features, `condition` (B, c) the conditions as networks see them, and `weight`
    (B,) has mean one over the train split.
    """

    x: Tensor
    condition: Tensor
    weight: Tensor
