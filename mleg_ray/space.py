"""The layout of a flat vector of numbers: which belong together, and which are angles."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from mleg_ray.randomness import Noise


@dataclass(frozen=True)
class Part:
    """Numbers that belong together, and the `shape` in which a network may see them.

    Numbers of the event are (f,), objects (K, f), an image (channels, rows, columns). `names` are
    those of the numbers along the last axis, of an image that of its field. `circle` are the
    positions along the last axis of angles, in half turns, (-1, 1]. `classes` are those of ones and
    zeros: of several together one is 1, as of a category; one alone is a bit. `shares` tells that
    all are shares of their sum, where a zero is none.
    """

    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    circle: tuple[int, ...] = ()
    classes: tuple[tuple[int, ...], ...] = ()
    shares: bool = False

    @property
    def width(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)

    @property
    def rows(self) -> int:
        """How many times there is what lies along the last axis."""
        return self.width // self.shape[-1]

    def unscaled(self) -> list[int]:
        """Return the positions along the last axis whose scale has a meaning: angles, classes."""
        return [*self.circle, *(position for one in self.classes for position in one)]


@dataclass(frozen=True)
class Space:
    """Parts by name, one behind the other in a vector of `width` numbers.

    Its numbers lie on the line or on the circle. Noise of the same layout has a standard normal
    number for each of the first and a uniform angle for each of the second.

    >>> space = Space({"event": Part((2,), circle=(1,)), "jet": Part((3, 2))})
    >>> {name: tuple(part.shape) for name, part in space.split(torch.zeros(5, 8)).items()}
    {'event': (5, 2), 'jet': (5, 3, 2)}
    >>> space.width, space.circle, space.seamless_width()
    (8, (1,), 9)
    """

    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        """Lay out the parts at once: compiled code can read what is cached, and not cache it."""
        for name in ("where", "circle", "line"):
            getattr(self, name)

    @classmethod
    def numbers(cls, width: int, angles: int = 0) -> Self:
        """Return a space of `width` numbers on the line, and angles behind them, as GANs' noise."""
        circle = tuple(range(width, width + angles))
        return cls({"noise": Part((width + angles,), circle=circle)})

    @property
    def width(self) -> int:
        """The length of the vector."""
        return sum(part.width for part in self.parts.values())

    @property
    def nbytes(self) -> int:
        """The memory of one vector in single precision, in bytes."""
        return 4 * self.width

    @cached_property
    def where(self) -> dict[str, slice]:
        """Where each part stands in the vector."""
        places, start = {}, 0
        for name, part in self.parts.items():
            places[name] = slice(start, start + part.width)
            start += part.width
        return places

    @cached_property
    def circle(self) -> tuple[int, ...]:
        """The positions of all angles in the vector."""
        return tuple(
            self.where[name].start + row * part.shape[-1] + position
            for name, part in self.parts.items()
            if part.circle
            for row in range(part.rows)
            for position in part.circle
        )

    def classes_of(self, name: str) -> tuple[tuple[int, ...], ...]:
        """Return where in the vector the classes of a part stand, those of one category each."""
        part, start = self.parts[name], self.where[name].start
        return tuple(
            tuple(start + row * part.shape[-1] + position for position in together)
            for row in range(part.rows if part.classes else 0)
            for together in part.classes
        )

    @cached_property
    def line(self) -> tuple[int, ...]:
        """The positions of all other numbers."""
        angles = set(self.circle)
        return tuple(i for i in range(self.width) if i not in angles)

    @property
    def positions(self) -> dict[str, tuple[int, ...]]:
        """The positions in the vector of each number by name: one of the event, K of objects."""
        return {
            name: tuple(range(self.where[key].start + i, self.where[key].stop, part.shape[-1]))
            for key, part in self.parts.items()
            if len(part.shape) < 3
            for i, name in enumerate(part.names)
        }

    def __str__(self) -> str:
        return f"{len(self.line)} numbers and {len(self.circle)} angles"

    def alike(self, other: "Space") -> bool:
        """Tell whether noise of one is noise of the other: the same lines and circles."""
        return (self.line, self.circle) == (other.line, other.circle)

    def split(self, x: Tensor) -> dict[str, Tensor]:
        """Return views of vectors (B, width), (B, *shape) of each part."""
        return {
            name: x[:, self.where[name]].reshape(len(x), *part.shape)
            for name, part in self.parts.items()
        }

    def flat(self, x: Tensor) -> dict[str, Tensor]:
        """Return views of vectors (B, width) of each part, (B, its width)."""
        return {name: x[:, where] for name, where in self.where.items()}

    def of(self, names: Sequence[str]) -> "Space":
        """Return the space of some parts alone."""
        return Space({name: self.parts[name] for name in names})

    def divide(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the numbers on the line (B, lines) and the angles (B, circles)."""
        return columns(x, self.line), columns(x, self.circle)

    def join(self, line: Tensor, circle: Tensor) -> Tensor:
        """Return vectors (B, width) of these; the inverse of `divide`."""
        if not self.circle:
            return line
        order = (*self.line, *self.circle)
        return columns(torch.cat([line, circle], dim=1), tuple(map(order.index, range(self.width))))

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return noise (n, width) on the generator's device."""
        device = generator.device
        normal = torch.randn(n, len(self.line), generator=generator, device=device)
        uniform = torch.rand(n, len(self.circle), generator=generator, device=device)
        return self.join(normal, 2 * uniform - 1)

    def draw_from(self, noise: Noise, n: int) -> Tensor:
        """Return noise (n, width) of the stream of a training."""
        normal = noise.normal(n, len(self.line))
        return self.join(normal, 2 * noise.uniform(n, len(self.circle)) - 1)

    def seamless(self, x: Tensor, harmonics: Sequence[int] = (1,)) -> Tensor:
        """Return vectors (B, width) as a network should see them: each angle φ as cos kφ, sin kφ.

        The width is that of `seamless_width`; k runs over the `harmonics`.
        """
        line, circle = self.divide(x)
        if not self.circle:
            return line
        angles = [k * torch.pi * circle for k in harmonics]
        return torch.cat([line, *(f(angle) for angle in angles for f in (torch.cos, torch.sin))], 1)

    def unseamed(self, seen: Tensor) -> Tensor:
        """Return the vectors (B, width) of which `seamless` made what is `seen`."""
        if not self.circle:
            return seen
        line, cosine, sine = torch.split(seen, [len(self.line), *[len(self.circle)] * 2], dim=1)
        return self.join(line, torch.atan2(sine, cosine) / torch.pi)

    def seamless_width(self, harmonics: Sequence[int] = (1,)) -> int:
        """Return the width of what `seamless` returns."""
        return len(self.line) + 2 * len(self.circle) * len(harmonics)


def columns(x: Tensor, chosen: tuple[int, ...]) -> Tensor:
    """Return some columns; a view, which costs nothing, if they are neighbours in order."""
    first = chosen[0] if chosen else 0
    if chosen == tuple(range(first, first + len(chosen))):
        return x[:, first : first + len(chosen)]
    return x[:, list(chosen)]


def replaced(x: Tensor, new: Mapping[int, Tensor]) -> Tensor:
    """Return x (B, n) with others (B,) in the place of some columns, of the type of x."""
    result = x.clone()
    for place, column in new.items():
        result[:, place] = column.to(x)
    return result


def wrapped(half_turns: Tensor) -> Tensor:
    """Return angles in half turns, of any shape, moved into [-1, 1).

    >>> wrapped(torch.tensor([0.5, 1.5, -1.25]))
    tensor([ 0.5000, -0.5000,  0.7500])
    """
    return torch.remainder(half_turns + 1, 2) - 1
