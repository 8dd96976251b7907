"""Numbers of events by name: the language of observables.

An expression is `module.function` or `module.function(argument, ...)` with one of `FUNCTIONS`,
those of physics that are registered as observables; an argument is a column, a number or a group,
and without arguments the function's own parameter names are the columns. A group stands for its
four-momentum, for its objects, or for those of its fields that the next parameters name:
`dis.q2(electron, beam_energy)` is `dis.q2(electron.px, electron.py, electron.pz, beam_energy)`.

>>> electron = {"electron.px": torch.tensor([3.0]), "electron.py": torch.tensor([4.0])}
>>> evaluate("kinematics.transverse_momentum(electron)", electron)
tensor([5.])
>>> evaluate("detector.ratio(electron.py, 2)", electron)
tensor([2.])
"""

import math
import re
from collections.abc import Container, Iterable, Mapping

import torch
from torch import Tensor

from mleg_ray.config import suggest
from mleg_ray.errors import ConfigError
from mleg_ray.events import group_of
from mleg_ray.physics.observables import FUNCTIONS, Function, fields_of

_CALL = re.compile(r"^(\w+\.\w+)(?:\(([\w.+\-\s,]*)\))?$")


def evaluate(expression: str, columns: Mapping[str, Tensor]) -> Tensor:
    """Compute an observable of columns: numbers (B,), objects' numbers (B, K), images (B, *shape).

    The result is whatever the function makes of them; numbers of the event stand beside those of
    objects as (B, 1).

    Raises:
        ConfigError: unknown module, function or column; columns or whole numbers that the function
            cannot take; or numbers of each object made of the objects of two groups, which do not
            belong together.
    """
    function, arguments = resolve(expression, columns)
    whole = {
        name: _whole(text, expression)
        for name, [text, *_] in arguments.items()
        if function.call.__annotations__[name] is int
    }
    given = [text for name, texts in arguments.items() if name not in whole for text in texts]
    taken = dict(zip(given, operands(given, columns, expression), strict=True))
    try:
        tensors = {
            name: taken[texts[0]] if len(texts) == 1 else torch.stack([taken[t] for t in texts], 1)
            for name, texts in arguments.items()
            if name not in whole
        }
        values = function.call(**tensors, **whole)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        require_one_owner(given, columns, expression)
        told = ", ".join(f"{name} ({_told(columns[name])})" for name in given if name in columns)
        raise ConfigError(
            f"'{expression}': {function.call.__name__} cannot be computed of "
            f"{told or 'numbers'}: {error}"
        ) from None
    if values.ndim > 1:
        require_one_owner(given, columns, expression)
    return values


def operands(names: Iterable[str], columns: Mapping[str, Tensor], expression: str) -> list[Tensor]:
    """Return the columns or numbers of these names; numbers of the event beside what has more.

    Raises:
        ConfigError: a name that is neither a column nor a finite number.
    """
    like = next(iter(columns.values()))
    found = [_operand(name, columns, like, expression) for name in names]
    axes = max([0, *[operand.ndim for operand in found]])
    return [
        operand.view(-1, *[1] * (axes - 1)) if operand.ndim == 1 else operand for operand in found
    ]


def require_one_owner(names: Iterable[str], columns: Mapping[str, Tensor], expression: str) -> None:
    """Raise `ConfigError` if objects of two groups, or pixels, would be put side by side."""
    owners = {
        group_of(name) or f"an image of shape {tuple(columns[name].shape[1:])}"
        for name in names
        if name in columns and columns[name].ndim > 1
    }
    if len(owners) > 1:
        raise ConfigError(
            f"'{expression}': the objects of {' and '.join(sorted(owners))} do not belong together "
            "one by one; take those of one group, or a function that makes one number an event of "
            "them"
        ) from None


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


def resolve(expression: str, columns: Container[str]) -> tuple[Function, dict[str, list[str]]]:
    """Return an expression's function, and what stands for each of its parameters.

    That is a column or number, or four of them for a four-momentum or objects.

    Raises:
        ConfigError: no such function, or too few or many arguments.
    """
    match = _CALL.match(expression)
    if match is None:
        raise ConfigError(f"observable '{expression}': write it as 'module.function(column, ...)'")
    name, arguments = match.groups()
    function = FUNCTIONS.get(name)
    if function is None:
        hint, known = suggest(name, list(FUNCTIONS)), ", ".join(sorted(FUNCTIONS))
        raise ConfigError(f"observable '{expression}': no such function{hint}; known: {known}")
    code = function.call.__code__  # `inspect.signature` takes as long as an observable of a batch
    parameters = code.co_varnames[: code.co_argcount]
    kinds = function.call.__annotations__
    taken = {p: fields_of(p, kinds[p]) for p in parameters}
    places = [place for fields in taken.values() for place in fields]
    operands: list[str] = []
    for given in arguments.split(",") if arguments else places:
        operands += _fields(given.strip(), places[len(operands) :], columns)
    if len(operands) != len(places):
        raise ConfigError(f"observable '{expression}': {name} takes ({', '.join(parameters)})")
    rest = iter(operands)
    return function, {p: [next(rest) for _ in fields] for p, fields in taken.items()}


def _fields(given: str, places: list[str], columns: Container[str]) -> list[str]:
    """Return the columns that an argument stands for: itself, or those of a group."""
    if given in columns:
        return [given]
    fields: list[str] = []
    for place in places:
        name = f"{given}.{place}"
        if name not in columns or name in fields:  # the next electron brings its own
            break
        fields.append(name)
    return fields or [given]
