"""How many events break what every physical event fulfils: a tally that adds up over shards."""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from torch import Tensor

from mleg_ray.definitions import Definitions, violates
from mleg_ray.events import Events

ANY = "any"
NOT_FINITE = "not finite"
SELECTION = "selection: "


@dataclass(frozen=True)
class Share:
    """Some of the events: their number and their sums of weights and squared weights."""

    events: int
    weight: float
    squares: float

    @staticmethod
    def of(weights: Tensor) -> "Share":
        """Count events with weights of shape (n,)."""
        return Share(len(weights), float(weights.sum()), float(weights @ weights))

    def __add__(self, other: "Share") -> "Share":
        events, weight = self.events + other.events, self.weight + other.weight
        return Share(events, weight, self.squares + other.squares)


@dataclass(frozen=True)
class UnphysicalTally:
    """All events, and those that break any constraint or are not finite ("any"), and of each kind.

    Those that fail a selection are counted by names that begin with `SELECTION`. "any" comes first,
    then what is declared in its order.
    """

    total: Share
    violating: Mapping[str, Share]

    @staticmethod
    def of(masks: Mapping[str, Tensor], weights: Tensor) -> "UnphysicalTally":
        """Count events with weights (n,), of which `masks` (n,) break rules; see `broken`."""
        violating = {name: Share.of(weights[mask]) for name, mask in masks.items()}
        return UnphysicalTally(Share.of(weights), violating)

    def __add__(self, other: "UnphysicalTally") -> "UnphysicalTally":
        violating = {name: share + other.violating[name] for name, share in self.violating.items()}
        return UnphysicalTally(self.total + other.total, violating)

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
    masks = {name: violates(rule, events) for name, rule in definitions.constraints.items()}
    masks[NOT_FINITE] = ~reduce(operator.and_, finite)
    masks = {ANY: reduce(operator.or_, masks.values())} | masks
    failed = {name: violates(rule, events) for name, rule in definitions.selection.items()}
    if failed:
        failed = {ANY: reduce(operator.or_, failed.values())} | failed
    return masks | {f"{SELECTION}{name}": mask for name, mask in failed.items()}


def _finite(values: Tensor) -> Tensor:
    finite = values.isfinite()
    return finite if values.ndim == 1 else finite.flatten(1).all(dim=1)
