"""How many events break what every physical event fulfils: a tally that adds up over shards."""

import math
import operator
from collections.abc import Mapping, Sequence
from functools import reduce

from torch import Tensor

from mleg_ray.config import Config
from mleg_ray.definitions import Constraint, Definitions, violates
from mleg_ray.events import Events

ANY = "any"
NOT_FINITE = "not finite"
SELECTION = "selection: "


class Share(Config):
    """Some of the events: their number and their sums of weights and squared weights."""

    events: int
    weight: float
    squares: float

    @staticmethod
    def of(weights: Tensor) -> "Share":
        """Count events with weights of shape (n,)."""
        return Share(
            events=len(weights), weight=float(weights.sum()), squares=float(weights @ weights)
        )

    def __add__(self, other: "Share") -> "Share":
        return Share(
            events=self.events + other.events,
            weight=self.weight + other.weight,
            squares=self.squares + other.squares,
        )


class UnphysicalTally(Config):
    """All events, and those that break any constraint or are not finite ("any"), and of each kind.

    Those that fail a selection are counted by names that begin with `SELECTION`. "any" comes first,
    then what is declared in its order.
    """

    total: Share
    violating: dict[str, Share]

    @staticmethod
    def of(events: Events, fields: Sequence[str], definitions: Definitions) -> "UnphysicalTally":
        """Count events that are joined by their observables; see `broken`."""
        return UnphysicalTally.count(broken(events, fields, definitions), events.weight)

    @staticmethod
    def count(masks: Mapping[str, Tensor], weights: Tensor) -> "UnphysicalTally":
        """Count events with weights of shape (n,), of which `masks` (n,) are broken."""
        return UnphysicalTally(
            total=Share.of(weights),
            violating={name: Share.of(weights[mask]) for name, mask in masks.items()},
        )

    def __add__(self, other: "UnphysicalTally") -> "UnphysicalTally":
        return UnphysicalTally(
            total=self.total + other.total,
            violating={
                name: share + other.violating[name] for name, share in self.violating.items()
            },
        )

    def rate(self, name: str) -> tuple[float, float]:
        """Return the weighted fraction of violating events and its uncertainty.

        Binomial, at least one event's worth: n events without a fault exclude no rate below ~1/n.
        """
        total, part = self.total, self.violating[name]
        p = part.weight / total.weight
        variance = ((1 - 2 * p) * part.squares + p**2 * total.squares) / total.weight**2
        one_event = total.squares / total.weight**2
        return p, max(math.sqrt(max(variance, 0.0)), one_event)


def broken(events: Events, fields: Sequence[str], definitions: Definitions) -> dict[str, Tensor]:
    """Return which events break a rule, by its name: boolean tensors (n,).

    They are joined by their observables; `fields` are those generated. A constraint on a number
    that is not finite counts as broken, and so does a selection; one on numbers of objects is
    broken by an event if any of its objects breaks it.
    """
    finite = (_finite(events.columns[name]) for name in fields)
    not_finite = ~reduce(operator.and_, finite)
    masks = _with_any(_broken(definitions.constraints, events) | {NOT_FINITE: not_finite})
    if definitions.selection:
        failed = _with_any(_broken(definitions.selection, events))
        masks |= {f"{SELECTION}{name}": mask for name, mask in failed.items()}
    return masks


def _with_any(masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {ANY: reduce(operator.or_, masks.values()), **masks}


def _broken(rules: Mapping[str, Constraint], events: Events) -> dict[str, Tensor]:
    return {name: violates(rule, events) for name, rule in rules.items()}


def _finite(values: Tensor) -> Tensor:
    finite = values.isfinite()
    return finite if values.ndim == 1 else finite.flatten(1).all(dim=1)
