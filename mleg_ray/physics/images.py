"""What is computed of images (B, *shape) of a detector's cells.

A shape is (rows, columns), or has the layers before; cells hold energies, say. Sums run in float64
whatever the images' precision. An `axis` is that of the shape, from 0, or from the end, -1 being
the columns. Positions along an axis of n cells are cell numbers counted from the middle,
i - (n - 1)/2: zero for what is symmetric, and for an image without energy.

>>> image = torch.tensor([[[0.0, 1.0, 0.0], [0.0, 1.0, 2.0]]])
>>> [number.item() for number in (total(image), occupancy(image, 0), barycentre(image, -1))]
[4.0, 0.5, 0.5]
"""

import torch
from torch import Tensor

from mleg_ray.physics.observables import observable


@observable(None, "E_{tot}", log=True)
def total(image: Tensor) -> Tensor:
    """Σ_p y_p (B,) of all cells, in their unit."""
    return image.flatten(1).sum(dim=1, dtype=torch.float64)


@observable(None, "E_{max}", log=True)
def largest(image: Tensor) -> Tensor:
    """max_p y_p (B,)."""
    return image.flatten(1).amax(dim=1).double()


@observable("1", "occupancy")
def occupancy(image: Tensor, threshold: Tensor | float) -> Tensor:
    """Return the share of cells (B,) above a threshold in the cells' unit."""
    return (image > threshold).flatten(1).double().mean(dim=1)


@observable(None, log=True)
def layer(image: Tensor, number: int) -> Tensor:
    """Σ of the layer `number`, from 0 (B,), in the cells' unit; layers are the first axis."""
    if not 0 <= number < image.shape[1]:
        raise IndexError(f"layer {number} is none of 0 to {image.shape[1] - 1}")
    return total(image[:, number])


@observable("1")
def share(image: Tensor, number: int) -> Tensor:
    """Σ of the layer `number`, from 0, over the sum of all (B,); layers are the first axis."""
    return _ratio(layer(image, number), total(image))


@observable("1")
def barycentre(image: Tensor, axis: int) -> Tensor:
    """<x> = Σ_p x_p y_p / Σ_p y_p (B,) along an axis, in cells from the middle."""
    return _moments(image, axis)[0]


@observable("1")
def width(image: Tensor, axis: int) -> Tensor:
    """√(<x²> - <x>²) (B,) along an axis, in cells."""
    first, second = _moments(image, axis)
    return (second - first.square()).clamp(min=0).sqrt()


@observable("1")
def fraction(position: Tensor) -> Tensor:
    """x - ⌊x⌋ (B,): where between the edges of its cell a position lies, counted in cells."""
    return position - position.floor()


def _moments(image: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return <x> and <x²> (B,)."""
    if not 1 - image.ndim <= axis < image.ndim - 1:
        raise IndexError(f"axis {axis} is none of the {image.ndim - 1} of an image")
    axis %= image.ndim - 1
    others = [d + 1 for d in range(image.ndim - 1) if d != axis]
    profile = image.sum(dim=others, dtype=torch.float64) if others else image.double()
    x = torch.arange(profile.shape[1], device=image.device) - (profile.shape[1] - 1) / 2
    x = x.double()
    energy = profile.sum(dim=1)
    return _ratio(profile @ x, energy), _ratio(profile @ x.square(), energy)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole, zero where the whole is."""
    return torch.where(whole == 0, 0.0, part / torch.where(whole == 0, 1.0, whole))
