"""Every random choice flows from (root seed, purpose, index)."""

import hashlib

import torch
from torch import Tensor


def derive_seed(root: int, purpose: str, *index: int) -> int:
    """Return a seed in [0, 2**63) that depends on its arguments alone.

    Distinct purposes and indices give statistically independent streams: the seed is the head of a
    SHA-256 digest, so shard 7 of a sample is the same on any worker, in any order, at any retry.
    """
    text = f"{root}/{purpose}/" + "/".join(map(str, index))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Noise:
    """The random numbers of one training move, the same for any number of workers.

    All workers draw the noise of the whole global minibatch from the same seed and each keeps the
    rows of its own events, so W workers with B events take the step of one worker with W·B.
    """

    def __init__(self, device: torch.device, rank: int = 0, world_size: int = 1) -> None:
        self._generator = torch.Generator(device)
        self._device = device
        self._rank = rank
        self._world_size = world_size

    def seed(self, seed: int) -> None:
        """Start the stream of one move."""
        self._generator.manual_seed(seed)

    def normal(self, n: int, width: int) -> Tensor:
        """Return standard normal numbers, shape (n, width), float32."""
        shape = (n * self._world_size, width)
        return self._own(torch.randn(shape, generator=self._generator, device=self._device), n)

    def uniform(self, n: int, width: int) -> Tensor:
        """Return numbers uniform in [0, 1), shape (n, width), float32."""
        shape = (n * self._world_size, width)
        return self._own(torch.rand(shape, generator=self._generator, device=self._device), n)

    def _own(self, numbers: Tensor, n: int) -> Tensor:
        return numbers[self._rank * n : (self._rank + 1) * n]
