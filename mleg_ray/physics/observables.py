"""What is computed of events and required of them: named in the catalog and computed here.

An expression is `module.function` or `module.function(argument, ...)` with a function of
`mleg_ray.physics`; an argument is a column, a number or a group, and without arguments the
function's own parameter names are the columns. A group stands for those of its fields that the next
parameters name: `dis.q2(electron, beam_energy)` is `dis.q2(electron.px, electron.py, electron.pz,
beam_energy)`, and parameters may have a number behind their name, as `px_1`, or the group's name
before it, as `pip_px`. A constraint is `left <op> right` where each side is a number or a
column (a field, a condition or an observable) and the operator is one of <=, <, >=, >.
"""

import inspect
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Annotated, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator, NonNegativeFloat, PositiveInt, field_validator, model_validator
from pydantic import Field as Option
from torch import Tensor

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.physics import (
    detector,
    dis,
    fixed_target,
    images,
    kinematics,
    objects,
    photoproduction,
)
from mleg_ray.physics.particles import Particle

MODULES: dict[str, ModuleType] = {
    "detector": detector,
    "dis": dis,
    "fixed_target": fixed_target,
    "images": images,
    "kinematics": kinematics,
    "objects": objects,
    "photoproduction": photoproduction,
}
_NUMBERED = re.compile(r"_\d+$")
_CALL = re.compile(r"^(\w+)\.(\w+)(?:\(([\w.+\-\s,]*)\))?$")
_COMPARISON = re.compile(r"^\s*([\w.+-]+)\s*(<=|>=|<|>)\s*([\w.+-]+)\s*$")
# Of numbers as of tensors.
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
}


def _comparison(expression: str) -> str:
    if not _COMPARISON.match(expression):
        raise ValueError(
            "write it as 'left <= right', with <=, <, >= or >; an equality, which rounded numbers "
            "miss, as a bound on a distance"
        )
    return expression


Comparison = Annotated[str, AfterValidator(_comparison)]


class Observable(Config):
    """A number computed from an event: its expression, unit, LaTeX label and natural axis."""

    expression: str
    unit: str = "1"
    label: str = ""
    log: bool = False


class Constraint(Config):
    """What every physical event fulfils, within `tolerance` relative to the right-hand side.

    The tolerance is the truth's own: the precision to which its numbers were printed or stored.
    """

    expression: Comparison
    tolerance: NonNegativeFloat = 0.0
    reason: str = ""


class Plane(Config):
    """Two observables whose joint distribution matters, with its binning.

    The bins of both axes are equal, on a logarithmic scale if `log`; one more bin is "outside".
    """

    x: str
    y: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    bins: PositiveInt = 50
    log: bool = True

    @model_validator(mode="after")
    def _ranges_make_bins(self) -> Self:
        for name, (low, high) in (("x_range", self.x_range), ("y_range", self.y_range)):
            if not (0.0 if self.log else -math.inf) < low < high < math.inf:
                kind = "positive, increasing" if self.log else "increasing"
                raise ValueError(f"{name}: two {kind} numbers are needed")
        return self

    @property
    def name(self) -> str:
        """What figures call it: "x, y"."""
        return f"{self.x}, {self.y}"

    @property
    def x_edges(self) -> NDArray[np.float64]:
        """Edges along x, shape (bins + 1,)."""
        return self._edges(self.x_range)

    @property
    def y_edges(self) -> NDArray[np.float64]:
        """Edges along y, shape (bins + 1,)."""
        return self._edges(self.y_range)

    @property
    def cells(self) -> int:
        """The number of bins, "outside" included."""
        return self.bins**2 + 1

    def index(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return each point's bin, row by row in x; the last, `cells` - 1, is "outside"."""
        i, j = self._along(x, self.x_range), self._along(y, self.y_range)
        inside = (i >= 0) & (i < self.bins) & (j >= 0) & (j < self.bins)  # what is NaN is not
        with np.errstate(invalid="ignore"):
            return np.where(inside, i * self.bins + j, self.cells - 1).astype(np.intp)

    def _along(self, values: NDArray[np.float64], ends: tuple[float, float]) -> NDArray[np.float64]:
        """Return the number of each value's bin along an axis, three times faster than a search."""
        scale = np.log if self.log else np.asarray
        low, high = scale(ends)
        with np.errstate(divide="ignore", invalid="ignore"):
            position: NDArray[np.float64] = (scale(values) - low) * (self.bins / (high - low))
        return np.floor(position)

    def _edges(self, ends: tuple[float, float]) -> NDArray[np.float64]:
        space = np.geomspace if self.log else np.linspace
        return space(*ends, self.bins + 1)


class ObjectType(Config):
    """A kind of object that an event may hold, with the observables that describe it.

    `present` is a comparison that tells whether an event holds it ("jet2_pt > 0"); without one it
    is in every event.
    """

    observables: Annotated[tuple[str, ...], Option(min_length=1)]
    present: str = ""

    @field_validator("present")
    @classmethod
    def _compares(cls, present: str) -> str:
        return _comparison(present) if present else ""

    def held(self, columns: Mapping[str, Tensor]) -> Tensor:
        """Return a boolean tensor (B,): True where an event holds the object.

        Raises:
            ConfigError: `present` cannot be computed from the columns (B,).
        """
        if not self.present:
            return torch.ones_like(next(iter(columns.values())), dtype=torch.bool)
        return ~violates(Constraint(expression=self.present), columns)


class Definitions(Config):
    """What is computed of events and required of them, by name.

    `observables` are derived numbers, `planes` pairs whose joint distribution matters, `objects`
    kinds of objects, `particles` those that every event has, for event records. Every physical
    event fulfils the `constraints`; an analysis keeps the events that fulfil the `selection`.
    """

    observables: dict[str, Observable] = {}
    constraints: dict[str, Constraint] = {}
    selection: dict[str, Constraint] = {}
    planes: tuple[Plane, ...] = ()
    objects: dict[str, ObjectType] = {}
    particles: tuple[Particle, ...] = ()

    @property
    def definitions(self) -> "Definitions":
        """These alone, without what a subclass adds."""
        return Definitions(**{name: getattr(self, name) for name in Definitions.model_fields})

    def columns(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the columns (B,) joined by the observables, each able to use those before it."""
        result = dict(columns)
        for name, observable in self.observables.items():
            result[name] = evaluate(observable.expression, result)
        return result

    @model_validator(mode="after")
    def _names_of_rules(self) -> Self:
        for rules in ("constraints", "selection"):
            for name in getattr(self, rules):
                if name == "any" or not re.fullmatch(r"[A-Za-z_][\w.-]*", name):
                    raise ValueError(
                        f"{rules}.{name}: choose another name, of letters, digits and _, not 'any'"
                    )
        return self

    def check(self, names: Iterable[str], compared: Iterable[str]) -> None:
        """Check that all follows from columns of these names, of which `compared` are compared.

        What is compared are these and the observables with a label; planes and objects are of them.

        Raises:
            ConfigError: an expression that cannot be computed, an observable with the name of a
            column, or two planes of the same pair.
        """
        given = dict.fromkeys(names, torch.ones(1, dtype=torch.float64))
        shadowed = sorted(set(given) & set(self.observables))
        if shadowed:
            raise ConfigError(f"observables.{shadowed[0]}: a field has this name; choose another")
        columns = self.columns(given)
        compared = {*compared, *(name for name, o in self.observables.items() if o.label)}
        for rule in (*self.constraints.values(), *self.selection.values()):
            violates(rule, columns)
        used: dict[str, tuple[str, ...]] = {f"planes: {p.name}": (p.x, p.y) for p in self.planes}
        if len(used) < len(self.planes):
            raise ConfigError("planes: one for each pair of observables")
        for name, kind in self.objects.items():
            used[f"objects.{name}"] = kind.observables
            kind.held({name: columns[name] for name in compared if name in columns})
        for where, needed in used.items():
            missing = [name for name in needed if name not in compared]
            if missing:
                raise ConfigError(
                    f"{where}: '{missing[0]}' is not compared: it is neither a field that varies "
                    f"nor an observable with a label; those are {', '.join(sorted(compared))}"
                )


def evaluate(expression: str, columns: Mapping[str, Tensor]) -> Tensor:
    """Compute an observable, shape (B,), from columns of shape (B,).

    Raises:
        ConfigError: unknown module, function or column.
    """
    function, arguments = _resolve(expression, columns)
    like = next(iter(columns.values()))
    return function(*(_operand(name, columns, like, expression) for name in arguments))


def violates(constraint: Constraint, columns: Mapping[str, Tensor]) -> Tensor:
    """Return a boolean tensor (B,): True where an event breaks the constraint or is not finite."""
    match = _COMPARISON.match(constraint.expression)
    assert match is not None
    left, symbol, right = match.groups()
    like = next(iter(columns.values()))
    a, b = (_operand(side, columns, like, constraint.expression) for side in (left, right))
    if constraint.tolerance > 0:
        slack = constraint.tolerance * b.abs()
        b = b + slack if symbol.startswith("<") else b - slack
    fulfilled: Tensor = COMPARISONS[symbol](a, b)
    return ~fulfilled.expand_as(like)


def passing(where: Iterable[str], columns: Mapping[str, Tensor]) -> Tensor:
    """Return a boolean tensor (B,): True where an event fulfils all comparisons."""
    kept = torch.ones_like(next(iter(columns.values())), dtype=torch.bool)
    for expression in where:
        kept = kept & ~violates(Constraint(expression=expression), columns)
    return kept


def _operand(side: str, columns: Mapping[str, Tensor], like: Tensor, expression: str) -> Tensor:
    if side in columns:
        return columns[side]
    try:
        number = float(side)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(
            f"'{expression}': '{side}' is neither a finite number nor one of {', '.join(columns)}"
        )
    return like.new_tensor(number)


def _resolve(
    expression: str, columns: Mapping[str, Tensor]
) -> tuple[Callable[..., Tensor], list[str]]:
    match = _CALL.match(expression)
    if match is None:
        raise ConfigError(f"observable '{expression}': write it as 'module.function(column, ...)'")
    module, name, arguments = match.groups()
    function = getattr(MODULES.get(module), name, None)
    if not inspect.isfunction(function):
        known = ", ".join(
            f"{m}.{f}" for m, namespace in MODULES.items() for f, _ in _public(namespace)
        )
        raise ConfigError(f"observable '{expression}': no such function; known: {known}")
    parameters = list(inspect.signature(function).parameters)
    operands: list[str] = []
    for given in arguments.split(",") if arguments else parameters:
        operands += _fields(given.strip(), parameters[len(operands) :], columns)
    if len(operands) != len(parameters):
        raise ConfigError(f"observable '{expression}': {name} takes ({', '.join(parameters)})")
    return function, operands


def _fields(given: str, parameters: list[str], columns: Mapping[str, Tensor]) -> list[str]:
    """Return the columns that an argument stands for: itself, or a group's for the next parameters."""
    if given in columns:
        return [given]
    named = (_NUMBERED.sub("", p.removeprefix(f"{given}_")) for p in parameters)
    fields = itertools.takewhile(columns.__contains__, (f"{given}.{part}" for part in named))
    # A group's fields fill each parameter once: the next electron brings its own.
    return list(_first_run(fields)) or [given]


def _first_run(names: Iterable[str]) -> Iterator[str]:
    """Yield names until one comes again."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return
        seen.add(name)
        yield name


def _public(module: ModuleType) -> list[tuple[str, Callable[..., Tensor]]]:
    functions = inspect.getmembers(module, inspect.isfunction)
    return [(name, f) for name, f in functions if f.__module__ == module.__name__]
