"""What the numbers that a decoder makes stand for: features on the line, bits and categories."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mleg_ray.space import Space, columns

Positions = tuple[int, ...]
Reduction = Literal["sum", "mean"]


class Head(NamedTuple):
    """Where in a vector the numbers of a part are, its bits, and its categories by their size."""

    numbers: Positions
    bits: Positions
    categories: Mapping[int, Positions]


class Heads:
    """A linear output for each number, a sigmoid for each bit, a softmax for each category.

    Which those are follows from the features, see `mleg_ray.space.Part`.
    """

    def __init__(self, space: Space) -> None:
        self._heads = [_head(space, name) for name in space.parts]

    def features(self, made: Tensor) -> Tensor:
        """Return the features (B, n) of what a decoder made (B, n): classes as probabilities."""
        if not any(head.bits or head.categories for head in self._heads):
            return made
        features = made.clone()
        for head in self._heads:
            if head.bits:
                features[:, list(head.bits)] = columns(made, head.bits).sigmoid()
            for size, positions in head.categories.items():
                shares = columns(made, positions).reshape(len(made), -1, size).softmax(dim=2)
                features[:, list(positions)] = shares.flatten(1)
        return features

    def error(self, made: Tensor, x: Tensor, reduction: Reduction) -> Tensor:
        """Return how far what a decoder made (B, n) is from features x (B, n), (B,).

        That is (made - x)² of a number, -x log σ(made) - (1 - x) log(1 - σ(made)) of a bit, and
        -Σ x log softmax(made) of a category, all summed; or, by `mean`, the sum over parts of the
        means over a part's numbers and over its classes, bits and categories together.
        """
        terms = [term for head in self._heads for term in _terms(head, made, x)]
        if reduction == "sum":
            return torch.stack([term.sum(dim=1) for term in terms]).sum(dim=0)
        return torch.stack([term.mean(dim=1) for term in terms]).sum(dim=0)


def _terms(head: Head, made: Tensor, x: Tensor) -> Iterator[Tensor]:
    """Yield the errors of a part's numbers (B, k), and of its classes (B, k)."""
    if head.numbers:
        yield (columns(made, head.numbers) - columns(x, head.numbers)).square()
    classes: list[Tensor] = []
    if head.bits:
        logits, bits = columns(made, head.bits), columns(x, head.bits)
        classes.append(binary_cross_entropy_with_logits(logits, bits, reduction="none"))
    for size, positions in head.categories.items():
        logits = columns(made, positions).reshape(len(made), -1, size).log_softmax(dim=2)
        target = columns(x, positions).reshape(len(x), -1, size)
        classes.append(-(target * logits).sum(dim=2))
    if classes:
        yield torch.cat(classes, dim=1)


def _head(space: Space, name: str) -> Head:
    classes = space.classes_of(name)
    taken = {position for together in classes for position in together}
    where = space.where[name]
    numbers = tuple(i for i in range(where.start, where.stop) if i not in taken)
    sizes = sorted({len(together) for together in classes})
    by_size = {size: _joined([one for one in classes if len(one) == size]) for size in sizes}
    return Head(numbers, by_size.pop(1, ()), by_size)


def _joined(classes: Sequence[Positions]) -> Positions:
    return tuple(position for together in classes for position in together)
