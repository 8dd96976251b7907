"""Operations that ONNX or its runtime lack in double precision, by those that they have."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from numpy.polynomial import Chebyshev
from scipy.special import erfcx as exact_erfcx
from torch import Tensor

DEGREE = 40
SCALE = 3.75  # M. M. Shepherd and J. G. Laframboise, Math. Comp. 36 (1981) 249


def erfcx(x: Tensor) -> Tensor:
    """Return the scaled function, exp(x²) times the complementary error function of x.

    It is a polynomial of (|x| - K)/(|x| + K) over 1 + 2|x|.

    >>> x = torch.tensor([0.0, 1.0, 30.0]).double()
    >>> bool(((erfcx(x) - torch.special.erfcx(x)).abs() < 1e-13).all())
    True
    """
    size = x.abs()
    t = (size - SCALE) / (size + SCALE)
    ahead, last = torch.zeros_like(x), torch.zeros_like(x)
    for coefficient in reversed(_coefficients()[1:]):  # Clenshaw's recurrence
        ahead, last = 2 * t * ahead - last + coefficient, ahead
    of_size = (t * ahead - last + _coefficients()[0]) / (1 + 2 * size)
    return torch.where(x < 0, 2 * (x * x).exp() - of_size, of_size)


def erfc(x: Tensor) -> Tensor:
    """Return the complementary error function of x, as precise where it is small."""
    beyond = erfcx(x.abs()) * (-x * x).exp()
    return torch.where(x < 0, 2 - beyond, beyond)


def erf(x: Tensor) -> Tensor:
    """Return the error function of x, which is precise to 1e-16, not relative to itself."""
    return 1 - erfc(x)


def searchsorted(edges: Tensor, x: Tensor, **options: Any) -> Tensor:  # noqa: ANN401 - as PyTorch
    """Return how many of the edges (k,) lie below numbers x of any shape."""
    right = options.get("right") or options.get("side") == "right"
    below = edges <= x.unsqueeze(-1) if right else edges < x.unsqueeze(-1)
    return below.long().sum(dim=-1)


def sort(
    x: Tensor, *, stable: bool, dim: int = -1, descending: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the numbers along an axis in order, and which they were: of equal ones the first.

    ONNX says so of its largest numbers, so that they are `stable`.
    """
    values, places = torch.topk(x, x.shape[dim], dim, descending, sorted=True)
    return values, places


@cache
def _coefficients() -> list[float]:
    """Return those of Chebyshev's polynomials."""

    def scaled(t: Any) -> Any:  # noqa: ANN401 - an array of float64
        size = SCALE * (1 + t) / (1 - t)
        return (1 + 2 * size) * exact_erfcx(size)

    found: list[float] = Chebyshev.interpolate(scaled, DEGREE).coef.tolist()
    return found


aten = torch.ops.aten
REPLACED: dict[Any, Callable[..., Any]] = {
    aten.special_erfcx.default: erfcx,
    aten.erfc.default: erfc,
    aten.erf.default: erf,
    aten.searchsorted.Tensor: searchsorted,
    aten.sort.stable: sort,
}
