"""What a dataset says of its events: observables, constraints, selections, planes, beams."""

from mleg_ray.definitions.constraints import (
    COMPARISONS,
    Comparison,
    Constraint,
    passing,
    violates,
)
from mleg_ray.definitions.definitions import Definitions, Observable
from mleg_ray.definitions.expressions import evaluate
from mleg_ray.definitions.planes import Plane

__all__ = [
    "COMPARISONS",
    "Comparison",
    "Constraint",
    "Definitions",
    "Observable",
    "Plane",
    "evaluate",
    "passing",
    "violates",
]
