"""What is computed of events and required of them, by name."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

import torch
from pydantic import model_validator

from mleg_ray.config import Config
from mleg_ray.definitions.constraints import Constraint, violates
from mleg_ray.definitions.expressions import evaluate, resolve
from mleg_ray.definitions.planes import Plane
from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, group_of
from mleg_ray.physics.observables import FUNCTIONS
from mleg_ray.physics.particles import Beam


class Observable(Config):
    """A number computed from an event: its expression, unit, LaTeX label and natural axis.

    What is left out is that of the function which the expression calls.
    """

    expression: str
    unit: str = "1"
    label: str = ""
    log: bool = False

    @model_validator(mode="before")
    @classmethod
    def _as_registered(cls, values: Any) -> Any:  # noqa: ANN401 - what pydantic is given
        if not isinstance(values, Mapping):
            return values
        known = FUNCTIONS.get(str(values.get("expression")).partition("(")[0])
        if known is None:  # `evaluate` says what is wrong
            return values
        return {"unit": known.unit or "1", "label": known.label, "log": known.log, **values}


class Definitions(Config):
    """What is computed of events and required of them, by name.

    `observables` are derived numbers, of the event or, named as `jet.mass`, of each object of a
    group; `planes` are pairs whose joint distribution matters, `beams` what collides, for event
    records. Every physical event fulfils the `constraints`, in numbers of objects for each of them;
    an analysis keeps the events that fulfil the `selection`.
    """

    observables: dict[str, Observable] = {}
    constraints: dict[str, Constraint] = {}
    selection: dict[str, Constraint] = {}
    planes: tuple[Plane, ...] = ()
    beams: tuple[Beam, ...] = ()

    @property
    def definitions(self) -> "Definitions":
        """These alone, without what a subclass adds."""
        return Definitions(**{name: getattr(self, name) for name in Definitions.model_fields})

    def joined(self, events: Events) -> Events:
        """Return the events joined by the observables, each able to use those before it.

        All can use the numbers of objects, `jet.count`, which are joined too. An absent object has
        zero for each observable.

        >>> ht = {"ht": {"expression": "objects.total(jet.pt)", "unit": "GeV", "label": "H_T"}}
        >>> jets = torch.tensor([[30.0, 20.0], [25.0, 0.0]])
        >>> events = Events({"jet.pt": jets}, {"jet": jets > 0}, torch.ones(2))
        >>> joined = Definitions(observables=ht).joined(events).columns
        >>> joined["ht"], joined["jet.count"].tolist()
        (tensor([50., 25.]), [2.0, 1.0])
        """
        columns = {**events.columns, **events.counts}
        for name, observable in self.observables.items():
            values = evaluate(observable.expression, columns)
            present = events.present.get(group_of(name))
            if present is not None and values.shape == present.shape:
                values = torch.where(present, values, 0.0)
            columns[name] = values
        return Events(columns, events.present, events.weight)

    def responses(self) -> dict[str, str]:
        """Return the observables that are a `detector.response`, with the true energy of each."""
        return {name: true for name, [_, true] in self._calls("detector.response")}

    def threshold(self, image: str) -> float:
        """Return what a cell of an image must exceed to count in its `images.occupancy`.

        Zero if no observable says so.
        """
        for _, [counted, threshold] in self._calls("images.occupancy"):
            if counted == image:
                with suppress(ValueError):  # it may be a column's name
                    return float(threshold)
        return 0.0

    def _calls(self, function: str) -> Iterator[tuple[str, list[str]]]:
        """Yield the observables that call a function of numbers or images, and its arguments."""
        for name, observable in self.observables.items():
            if observable.expression.partition("(")[0] == function:
                _, arguments = resolve(observable.expression, ())
                yield name, [argument for [argument] in arguments.values()]

    @model_validator(mode="after")
    def _has_names_to_use(self) -> Self:
        for name in self.observables:
            if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", name):
                raise ValueError(
                    f"observables.{name}: choose another name, of letters, digits and _, with one "
                    "dot if it is of a group's objects"
                )
        for rules in ("constraints", "selection"):
            for name in getattr(self, rules):
                if name == "any" or not re.fullmatch(r"[A-Za-z_][\w.-]*", name):
                    raise ValueError(
                        f"{rules}.{name}: choose another name, of letters, digits and _, not 'any'"
                    )
        return self

    def check(self, example: Events, compared: Iterable[str]) -> None:
        """Check that all follows from events like one `example`; of these some are `compared`.

        What is compared are these, the numbers of objects and the observables with a label; planes
        are of them.

        Raises:
            ConfigError: an expression that cannot be computed, an observable with the name of a
            column, or that is not one number an event or object, or two planes of the same pair.
        """
        shadowed = sorted({*example.columns, *example.counts} & set(self.observables))
        if shadowed:
            raise ConfigError(f"observables.{shadowed[0]}: a field has this name; choose another")
        joined = self.joined(example)
        for name in self.observables:
            shape, group = joined.columns[name].shape[1:], group_of(name)
            if name in example.present:
                raise ConfigError(f"observables.{name}: a group has this name; choose another")
            wanted = example.present[group].shape[1:] if group in example.present else ()
            if shape != wanted:
                mend = (
                    f"one number for each {group} is needed"
                    if wanted
                    else "not one number an event; that of a group's objects is named as jet.mass"
                )
                raise ConfigError(f"observables.{name}: {mend} (got the shape {tuple(shape)})")
        labelled = (name for name, o in self.observables.items() if o.label)
        compared = {*compared, *example.counts, *labelled}
        for rule in (*self.constraints.values(), *self.selection.values()):
            violates(rule, joined)
        pairs = {f"planes: {plane.name}": (plane.x, plane.y) for plane in self.planes}
        if len(pairs) < len(self.planes):
            raise ConfigError("planes: one for each pair of observables")
        for where, needed in pairs.items():
            for name in needed:
                if name not in compared or joined.columns[name].ndim > 1:
                    known = (n for n in compared if joined.columns[n].ndim == 1)
                    raise ConfigError(
                        f"{where}: '{name}' is not compared: it is neither a number of the event "
                        "that varies nor an observable with a label; those are "
                        f"{', '.join(sorted(known))}"
                    )
