"""Comparisons that events fulfil or break, one by one.

A comparison is `left <op> right` where each side is a number or a column (a field, a condition or
an observable) and the operator is one of <=, <, >=, >.

>>> events = Events({"q2": torch.tensor([1.5, 1.999, 30.0])}, {}, torch.ones(3))
>>> passing(["q2 >= 2"], events)
tensor([False, False,  True])
>>> violates(Constraint(expression="q2 >= 2", tolerance=1e-3), events)
tensor([ True, False, False])
"""

import operator
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, NonNegativeFloat
from torch import Tensor

from mleg_ray.config import Config
from mleg_ray.definitions.expressions import operands, require_one_owner
from mleg_ray.events import Events, group_of

_INEQUALITY = re.compile(r"^\s*([\w.+-]+)\s*(<=|>=|<|>)\s*([\w.+-]+)\s*$")
# Of numbers as of tensors.
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
}


def _inequality(expression: str) -> str:
    if not _INEQUALITY.match(expression):
        raise ValueError(
            "write it as 'left <= right', with <=, <, >= or > between numbers and names of columns "
            "or observables; an equality, which rounded numbers miss, as a bound on a distance"
        )
    return expression


Inequality = Annotated[str, AfterValidator(_inequality)]


class Constraint(Config):
    """What every physical event fulfils, within `tolerance` relative to the right-hand side.

    The tolerance is the truth's own: the precision to which its numbers were printed or stored.
    """

    expression: Inequality
    tolerance: NonNegativeFloat = 0.0
    reason: str = ""


def violates(constraint: Constraint, events: Events) -> Tensor:
    """Return a boolean tensor (B,): True where an event breaks the constraint or is not finite.

    One on numbers of objects is broken by an event of which any object that is there breaks it.
    """
    match = _INEQUALITY.match(constraint.expression)
    assert match is not None
    left, symbol, right = match.groups()
    a, b = operands((left, right), events.columns, constraint.expression)
    require_one_owner((left, right), events.columns, constraint.expression)
    if constraint.tolerance > 0:
        slack = constraint.tolerance * b.abs()
        b = b + slack if symbol.startswith("<") else b - slack
    broken: Tensor = ~OPERATORS[symbol](a, b)
    if broken.ndim < 2:
        return broken.expand(len(events))
    present = next(
        (events.present[g] for g in map(group_of, (left, right)) if g in events.present), None
    )
    if present is not None and broken.shape == present.shape:
        broken = broken & present
    return broken.flatten(1).any(dim=1)


def passing(where: Iterable[str], events: Events) -> Tensor:
    """Return a boolean tensor (B,): True where an event fulfils all comparisons."""
    kept = torch.ones_like(events.weight, dtype=torch.bool)
    for expression in where:
        kept = kept & ~violates(Constraint(expression=expression), events)
    return kept
