"""What a dataset says of its events: observables, constraints, selections, planes, beams."""

from mleg_ray.definitions.constraints import (
    OPERATORS,
    Constraint,
    Inequality,
    passing,
    violates,
)
from mleg_ray.definitions.definitions import Definitions, Observable
from mleg_ray.definitions.expressions import evaluate
from mleg_ray.definitions.planes import Plane

__all__ = [
    "OPERATORS",
    "Constraint",
    "Definitions",
    "Inequality",
    "Observable",
    "Plane",
    "evaluate",
    "passing",
    "violates",
]
