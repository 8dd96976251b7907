"""Signs of mode collapse in generators of images: events all alike, a mean image that jumps."""

import statistics
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mleg_ray.events import Events

COMPARED = 500  # events of each sample, each with its nearest neighbour among them
LEAST_DIVERSITY = 0.5
MOST_MOVED = 0.2
LATEST = 3  # snapshots, of which the median counts: one alone may jump


class ImageWatch:
    """Follows the images that a generator makes from one judged snapshot to the next.

    Attributes:
        shares: the mean image's share of energy in each cell, of the snapshot before, by image.
    """

    def __init__(self, truth: Events, names: Sequence[str]) -> None:
        """Learn how far true images are from each other; those that are no distance apart pass."""
        apart = {name: nearest(truth.columns[name][:COMPARED]) for name in names}
        self._apart = {name: distance for name, distance in apart.items() if distance > 0}
        self.shares: dict[str, Tensor] = {}
        self._clear()

    def _clear(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._weight = 0.0
        self._first: dict[str, list[Tensor]] = {name: [] for name in self._apart}

    def add(self, events: Events) -> None:
        """See some of the events of a snapshot."""
        for name, first in self._first.items():
            images = events.columns[name].double()
            weighted = torch.tensordot(events.weight.double(), images, dims=1)
            self._sums[name] = self._sums.get(name, torch.zeros_like(weighted)) + weighted
            first.append(images[: max(0, COMPARED - sum(map(len, first)))])
        self._weight += float(events.weight.sum())

    def figures(self) -> dict[str, float]:
        """Return what the events since the last call tell of each image, and begin again.

        `mean.NAME` is the mean over events and cells. `diversity.NAME` is the median distance of an
        image to its nearest neighbour among `COMPARED` generated ones over that among as many true
        ones, in all cells, their unit: one if they are as different. `moved.NAME` is ½ Σ |p - p'|
        of the shares of energy in the cells of the mean image, now and in the snapshot before.
        """
        found: dict[str, float] = {}
        for name, total in self._sums.items():
            found[f"mean.{name}"] = float(total.mean()) / self._weight
            own = nearest(torch.cat(self._first[name]))
            found[f"diversity.{name}"] = own / self._apart[name]
            if not total.any():  # all empty: no cell has a share
                continue
            shares = total / total.sum()
            if name in self.shares:
                found[f"moved.{name}"] = float((shares - self.shares[name]).abs().sum()) / 2
            self.shares[name] = shares
        self._clear()
        return found


def nearest(images: Tensor) -> float:
    """Return the median Euclidean distance of images (n, *shape) to the nearest other one."""
    flat = images.flatten(1).float()
    if len(flat) < 2:
        return 0.0
    distances = torch.cdist(flat, flat).fill_diagonal_(torch.inf)
    return float(distances.amin(dim=1).median())


def signs_of_collapse(history: Sequence[Mapping[str, float]], kept: int) -> list[str]:
    """Return sentences that tell what in a training's curves looks like collapse, if anything.

    `history` are the judged snapshots, see `ImageWatch.figures`; that of the step `kept` is the one
    whose weights are used.
    """
    signs = []
    for snapshot in history:
        for key, value in snapshot.items():
            what, _, name = key.partition(".")
            if snapshot["step"] == kept and what == "diversity" and value < LEAST_DIVERSITY:
                signs.append(
                    f"generated {name}s are {value:.2f} times as far from each other as true ones: "
                    "they have collapsed to a few, or are blurred"
                )
    for key in dict.fromkeys(key for snapshot in history for key in snapshot):
        what, _, name = key.partition(".")
        if what == "moved":
            moved = [snapshot[key] for snapshot in history if key in snapshot][-LATEST:]
            if (median := statistics.median(moved)) > MOST_MOVED:
                signs.append(
                    f"{median:.0%} of the mean {name}'s energy still moves from one judgement to "
                    "the next: the generator hops between modes, or needs more steps"
                )
    return signs
