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
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Annotated, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator, NonNegativeFloat, PositiveInt, model_validator
from pydantic import Field as Option
from torch import Tensor

from mleg_ray.config import Config, suggest
from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, group_of
from mleg_ray.physics import (
    detector,
    dis,
    fixed_target,
    images,
    kinematics,
    objects,
    photoproduction,
)
from mleg_ray.physics.particles import Beam

MODULES: dict[str, ModuleType] = {
    "detector": detector,
    "dis": dis,
    "fixed_target": fixed_target,
    "images": images,
    "kinematics": kinematics,
    "objects": objects,
    "photoproduction": photoproduction,
}


def _is_observable(function: Callable[..., Any]) -> bool:
    """Tell whether a function makes one tensor of tensors and numbers, for others to call."""
    kinds = dict(function.__annotations__)
    makes = kinds.pop("return", None)
    return (
        makes is Tensor
        and not function.__name__.startswith("_")
        and all(kind in (Tensor, float, int, Tensor | float) for kind in kinds.values())
    )


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    f"{short}.{name}": function
    for short, module in MODULES.items()
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__ and _is_observable(function)
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
            "write it as 'left <= right', with <=, <, >= or > between numbers and names of columns "
            "or observables; an equality, which rounded numbers miss, as a bound on a distance"
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
    bins: PositiveInt = Option(default=50, le=1000)
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
        """
        columns = {**events.columns, **events.counts}
        for name, observable in self.observables.items():
            values = evaluate(observable.expression, columns)
            present = events.present.get(group_of(name))
            if present is not None and values.shape == present.shape:
                values = torch.where(present, values, 0.0)
            columns[name] = values
        return Events(columns, events.present, events.weight)

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


def evaluate(expression: str, columns: Mapping[str, Tensor]) -> Tensor:
    """Compute an observable of columns: numbers (B,), objects' numbers (B, K), images (B, *shape).

    The result is whatever the function makes of them; numbers of the event stand beside those of
    objects as (B, 1).

    Raises:
        ConfigError: unknown module, function or column; columns or whole numbers that the function
            cannot take; or numbers of each object made of the objects of two groups, which do not
            belong together.
    """
    function, arguments = _resolve(expression, columns)
    whole = {
        name: _whole(text, expression)
        for name, text in arguments.items()
        if function.__annotations__[name] is int
    }
    given = [text for name, text in arguments.items() if name not in whole]
    operands = _operands(given, columns, expression)
    mixed = len(_owners(given, columns)) > 1
    try:
        values = function(*operands, **whole)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        if mixed:
            raise _mixed(given, columns, expression) from None
        told = ", ".join(f"{name} ({_told(columns[name])})" for name in given if name in columns)
        raise ConfigError(
            f"'{expression}': {function.__name__} cannot be computed of {told or 'numbers'}: "
            f"{error}"
        ) from None
    if mixed and values.ndim > 1:
        raise _mixed(given, columns, expression)
    return values


def violates(constraint: Constraint, events: Events) -> Tensor:
    """Return a boolean tensor (B,): True where an event breaks the constraint or is not finite.

    One on numbers of objects is broken by an event of which any object that is there breaks it.
    """
    match = _COMPARISON.match(constraint.expression)
    assert match is not None
    left, symbol, right = match.groups()
    a, b = _operands((left, right), events.columns, constraint.expression)
    if len(_owners((left, right), events.columns)) > 1:
        raise _mixed((left, right), events.columns, constraint.expression)
    if constraint.tolerance > 0:
        slack = constraint.tolerance * b.abs()
        b = b + slack if symbol.startswith("<") else b - slack
    broken: Tensor = ~COMPARISONS[symbol](a, b)
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


def _operands(names: Iterable[str], columns: Mapping[str, Tensor], expression: str) -> list[Tensor]:
    """Return the columns or numbers of these names; numbers of the event beside what has more."""
    like = next(iter(columns.values()))
    found = [_operand(name, columns, like, expression) for name in names]
    axes = max([0, *[operand.ndim for operand in found]])
    return [
        operand.view(-1, *[1] * (axes - 1)) if operand.ndim == 1 else operand for operand in found
    ]


def _owners(names: Iterable[str], columns: Mapping[str, Tensor]) -> set[str]:
    """Return the groups of whose objects these columns have numbers, and the shapes of images."""
    return {
        group_of(name) or f"an image of shape {tuple(columns[name].shape[1:])}"
        for name in names
        if name in columns and columns[name].ndim > 1
    }


def _mixed(names: Iterable[str], columns: Mapping[str, Tensor], expression: str) -> ConfigError:
    groups = " and ".join(sorted(_owners(names, columns)))
    return ConfigError(
        f"'{expression}': the objects of {groups} do not belong together one by one; take those of "
        "one group, or a function that makes one number an event of them"
    )


def _told(column: Tensor) -> str:
    return f"of shape {tuple(column.shape[1:])}" if column.ndim > 1 else "one number"


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
    return torch.tensor(number, dtype=torch.float64, device=like.device)


def _whole(text: str, expression: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"'{expression}': '{text}' must be a whole number") from None


def _resolve(
    expression: str, columns: Mapping[str, Tensor]
) -> tuple[Callable[..., Tensor], dict[str, str]]:
    """Return an expression's function, and what stands for each of its parameters."""
    match = _CALL.match(expression)
    if match is None:
        raise ConfigError(f"observable '{expression}': write it as 'module.function(column, ...)'")
    module, name, arguments = match.groups()
    function = FUNCTIONS.get(f"{module}.{name}")
    if function is None:
        hint, known = suggest(f"{module}.{name}", list(FUNCTIONS)), ", ".join(FUNCTIONS)
        raise ConfigError(f"observable '{expression}': no such function{hint}; known: {known}")
    code = function.__code__  # `inspect.signature` takes as long as an observable of a batch
    parameters = list(code.co_varnames[: code.co_argcount])
    operands: list[str] = []
    for given in arguments.split(",") if arguments else parameters:
        operands += _fields(given.strip(), parameters[len(operands) :], columns)
    if len(operands) != len(parameters):
        raise ConfigError(f"observable '{expression}': {name} takes ({', '.join(parameters)})")
    return function, dict(zip(parameters, operands, strict=True))


def _fields(given: str, parameters: list[str], columns: Mapping[str, Tensor]) -> list[str]:
    """Return the columns that an argument stands for: itself, or those of a group."""
    if given in columns:
        return [given]
    fields: list[str] = []
    for parameter in parameters:
        part = _NUMBERED.sub("", parameter.removeprefix(f"{given}_"))
        name = f"{given}.{part}"
        if name not in columns or name in fields:  # the next electron brings its own
            break
        fields.append(name)
    return fields or [given]
