"""The functions that expressions of catalogs and recipes may call, and what their values are.

>>> FUNCTIONS["dis.q2"].unit, FUNCTIONS["dis.q2"].label
('GeV2', 'Q^2')
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple, TypeVar

from torch import Tensor

# In GeV, of a group that has these fields, by whose name an expression calls them: one particle's
# (B, 4), or those of a varying number of objects (B, 4, K), zero where absent.
FourMomentum = Annotated[Tensor, "px, py, pz, energy"]
Objects = Annotated[Tensor, "pt, eta, phi, energy"]
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Tensor])


class Function(NamedTuple):
    """A function of tensors and numbers with the unit, LaTeX label and natural axis of its values.

    The unit is None where it depends on the arguments, the label empty where there is no usual one.
    """

    call: Callable[..., Tensor]
    unit: str | None
    label: str
    log: bool


FUNCTIONS: dict[str, Function] = {}  # by `module.function`


def fields_of(parameter: str, kind: object) -> tuple[str, ...]:
    """Return the fields of a group that stand for a parameter of this kind, or its own name.

    >>> fields_of("electron", FourMomentum), fields_of("pt", Tensor)
    (('px', 'py', 'pz', 'energy'), ('pt',))
    """
    fields = getattr(kind, "__metadata__", (parameter,))
    return tuple(fields[0].split(", "))


def observable(
    unit: str | None, label: str = "", *, log: bool = False
) -> Callable[[AnyFunction], AnyFunction]:
    """Let expressions call a function, as `module.function`: a decorator that does not change it.

    Raises:
        ValueError: another function has this name.
    """

    def register(function: AnyFunction) -> AnyFunction:
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        if name in FUNCTIONS:
            raise ValueError(f"'{name}' is a function of {FUNCTIONS[name].call.__module__} already")
        FUNCTIONS[name] = Function(function, unit, label, log)
        return function

    return register
