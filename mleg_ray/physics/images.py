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
def asymmetry(image: Tensor, axis: int) -> Tensor:
    """(Σ_{x>0} y - Σ_{x<0} y) / Σ y (B,) of the halves along an axis, zero without energy."""
    profile, x = _profile(image, axis)
    return _ratio(profile @ x.sign(), profile.sum(dim=1))


@observable("1")
def ring(image: Tensor, inner: Tensor | float, outer: Tensor | float) -> Tensor:
    """Share of the energy (B,) whose cells are from `inner` up to `outer` from the barycentre.

    Distances are in cells, in the plane of the last two axes, over which layers are added up. The
    rings of a radial profile add up to one.
    """
    event, distance, energy = _around(image)
    inside = torch.where((distance >= inner) & (distance < outer), energy, 0.0)
    return _ratio(*(_sums(values, event, len(image)) for values in (inside, energy)))


@observable("1")
def radius(image: Tensor, share: Tensor | float) -> Tensor:
    """Distance from the barycentre (B,), in cells, within which a share of the energy is left.

    It is that of the cell with which the share is reached, as in `ring`: R₉₀ with a share of 0.9.
    Zero for an image without energy.
    """
    event, distance, energy = _around(image)
    order = distance.argsort(stable=True)
    order = order[event[order].argsort(stable=True)]
    event, distance, energy = event[order], distance[order], energy[order]
    whole = _sums(energy, event, len(image))
    before = whole.cumsum(dim=0) - whole  # of all events before
    within = energy.cumsum(dim=0) - before[event]
    reached = within >= share * whole[event] * (1 - 1e-9)  # sums over many events are rounded
    distance = torch.where(reached, distance, torch.inf)
    found = torch.full((len(image),), torch.inf, dtype=torch.float64, device=image.device)
    found = found.scatter_reduce(0, event, distance, "amin")
    return torch.where(found.isinf(), 0.0, found)


@observable("1")
def fraction(position: Tensor) -> Tensor:
    """x - ⌊x⌋ (B,): where between the edges of its cell a position lies, counted in cells."""
    return position - position.floor()


def _moments(image: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return <x> and <x²> (B,)."""
    profile, x = _profile(image, axis)
    energy = profile.sum(dim=1)
    return _ratio(profile @ x, energy), _ratio(profile @ x.square(), energy)


def _profile(image: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return the sums (B, n) over all other axes, and the positions (n,) along this one."""
    if not 1 - image.ndim <= axis < image.ndim - 1:
        raise IndexError(f"axis {axis} is none of the {image.ndim - 1} of an image")
    axis %= image.ndim - 1
    others = [d + 1 for d in range(image.ndim - 1) if d != axis]
    profile = image.sum(dim=others, dtype=torch.float64) if others else image.double()
    x = torch.arange(profile.shape[1], device=image.device) - (profile.shape[1] - 1) / 2
    return profile, x.double()


def _around(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the event, the distance from its barycentre and the energy (m,) of lit cells."""
    if image.ndim < 3:
        raise IndexError(f"rows and columns are needed, not {image.ndim - 1} axes")
    event, *places = lit = image.nonzero(as_tuple=True)
    energy = image[lit].double()
    whole = _sums(energy, event, len(image))
    away = []
    for place in places[-2:]:
        centre = _ratio(_sums(place * energy, event, len(image)), whole)
        away.append(place - centre[event])
    return event, torch.hypot(*away), energy


def _sums(values: Tensor, event: Tensor, n: int) -> Tensor:
    """Return the sums (n,) of values (m,) by event."""
    return torch.zeros(n, dtype=values.dtype, device=values.device).index_add(0, event, values)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole, zero where the whole is."""
    return torch.where(whole == 0, 0.0, part / torch.where(whole == 0, 1.0, whole))
