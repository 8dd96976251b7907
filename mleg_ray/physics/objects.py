"""What is computed of a varying number of objects: of (B, K), objects in order, zero where absent.

A function takes fields of one group, such as `jet.pt`, and gives one number an event; numbers of
the event come beside them as (B, 1). Sums of whole numbers are float64, those of other numbers have
their own precision.

>>> pt, phi = torch.tensor([[30.0, 20.0], [5.0, 0.0]]), torch.tensor([[0.0, math.pi], [1.0, 0.0]])
>>> total(pt), number(pt).tolist(), leading(pt, 2), transverse_sum(pt, phi)
(tensor([50.,  5.]), [2.0, 1.0], tensor([20.,  0.]), tensor([10.0000,  5.0000]))
"""

import math

import torch
from torch import Tensor

from mleg_ray.physics.observables import observable


@observable(None)
def total(values: Tensor) -> Tensor:
    """Σ_i v_i (B,) over the objects: H_T of pt, or a number of objects of a flavour 0 or 1."""
    return values.sum(dim=1, dtype=None if values.is_floating_point() else torch.float64)


@observable("1", "N")
def number(values: Tensor) -> Tensor:
    """Return the number of objects (B,) by a field that is never zero where there is one, as pt."""
    return (values != 0).sum(dim=1, dtype=torch.float64)


@observable("1", "N")
def above(values: Tensor, threshold: Tensor) -> Tensor:
    """Return the number of objects (B,) whose value is above a threshold, as jets by their pt."""
    return (values > threshold).sum(dim=1, dtype=torch.float64)


@observable(None)
def leading(values: Tensor, rank: int) -> Tensor:
    """Return the value (B,) of the object at `rank`, from 1; zero of events with fewer."""
    if not 1 <= rank <= values.shape[1]:
        raise IndexError(f"rank {rank} is none of 1 to {values.shape[1]}")
    return values[:, rank - 1]


@observable(None, r"|\sum p_T|")
def transverse_sum(pt: Tensor, phi: Tensor) -> Tensor:
    """|Σ_i (pt_i cos φ_i, pt_i sin φ_i)| (B,), in pt's unit: zero of objects in balance."""
    return torch.hypot((pt * phi.cos()).sum(dim=1), (pt * phi.sin()).sum(dim=1))


@observable("rad", r"\Delta\phi")
def azimuth_from(pt: Tensor, phi: Tensor, direction: Tensor) -> Tensor:
    """Return the angle (B,), in [0, π], between the objects' summed pt and an azimuth (B, 1).

    Without objects the sum's azimuth is zero.
    """
    along = torch.atan2((pt * phi.sin()).sum(dim=1), (pt * phi.cos()).sum(dim=1))
    [azimuth] = direction.unbind(dim=1)
    return (torch.remainder(along - azimuth + math.pi, 2 * math.pi) - math.pi).abs()
