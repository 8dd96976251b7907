"""Kernel discrepancies between two samples."""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field as Option
from pydantic import PositiveFloat
from torch import Tensor

Bandwidths = Annotated[tuple[PositiveFloat, ...], Option(min_length=1)]  # σ of the kernels


def mmd2(
    x: Tensor, y: Tensor, weight_x: Tensor, weight_y: Tensor, bandwidths: Sequence[float]
) -> Tensor:
    """Squared maximum mean discrepancy with a sum of Gaussian kernels, unbiased.

    The diagonals of the two self terms are left out (Gretton et al., JMLR 13 (2012) 723, eq. 3).
    `x` (N, d) and `y` (M, d) with weights (N,), (M,).
    """
    return (
        mean_kernel(x, x, weight_x, weight_x, bandwidths, without_diagonal=True)
        + mean_kernel(y, y, weight_y, weight_y, bandwidths, without_diagonal=True)
        - 2 * mean_kernel(x, y, weight_x, weight_y, bandwidths)
    )


def mean_kernel(
    a: Tensor,
    b: Tensor,
    u: Tensor,
    v: Tensor,
    bandwidths: Sequence[float],
    *,
    without_diagonal: bool = False,
) -> Tensor:
    """Mean of k(a, b) = Σ_σ exp(-|a - b|² / 2σ²) over all pairs, with weights u and v.

    `a` (N, d) and `b` (M, d) with weights (N,), (M,).
    """
    # Not torch.cdist, which cannot be differentiated twice, as gradient penalties are.
    norms = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)
    distance2 = torch.addmm(norms, a, b.T, alpha=-2).clamp(min=0)
    kernel = sum((-distance2 / (2 * s * s)).exp() for s in bandwidths)
    pairs = u[:, None] * v[None, :]
    if without_diagonal:
        pairs = pairs - torch.diag(u * v)
    return (pairs * kernel).sum() / pairs.sum()


def sliced_wasserstein2(x: Tensor, y: Tensor, weight_y: Tensor, directions: Tensor) -> Tensor:
    """Mean squared Wasserstein-2 distance of the projections on directions, (k, d) of any length.

    `x` (N, d) has equal weights; `y` (M, d) the weights (M,), whose quantiles are those of the
    running maximum of their sum, so that negative ones only postpone a quantile. Source: Bonneel et
    al., J. Math. Imaging Vis. 51 (2015) 22, eq. 8.
    """
    unit = directions / directions.norm(dim=1, keepdim=True)
    a = (unit @ x.T).sort(dim=1).values
    b, order = (unit @ y.T).sort(dim=1)
    passed = weight_y[order].cumsum(dim=1).cummax(dim=1).values
    n = a.shape[1]
    share = (torch.arange(n, device=x.device) + 0.5) / n
    targets = share * passed[:, -1:]
    rows = torch.searchsorted(passed, targets).clamp(max=b.shape[1] - 1)
    result: Tensor = (a - b.gather(1, rows)).square().mean()
    return result
