"""Every random choice flows from (root seed, purpose, index)."""

import hashlib

import numpy as np
import torch
from torch import Tensor

WORDS = 624  # of the Mersenne Twister's state, of 32 bits
TWISTER = slice(24, 24 + 8 * WORDS)  # where a CPU generator's state has them, in 64 bits each


def derive_seed(root: int, purpose: str, *index: int) -> int:
    """Return a seed in [0, 2**63) that depends on its arguments alone.

    Distinct purposes and indices give statistically independent streams: the seed is the head of a
    SHA-256 digest, so shard 7 of a sample is the same on any worker, in any order, at any retry.

    >>> derive_seed(1, "sample", 7), derive_seed(1, "sample", 8)
    (2324812382783211047, 798175452293018490)
    """
    text = f"{root}/{purpose}/" + "/".join(map(str, index))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator whose numbers follow from all 63 bits of a seed.

    On a CPU `Generator.manual_seed` keeps the low 32 bits alone, so that of 100,000 shards two
    would hold the same events, more likely than not. There the Mersenne Twister's whole state is
    filled from the seed instead (M. O'Neill's seed sequence, `numpy.random.SeedSequence`).

    >>> torch.equal(torch.rand(2, generator=stream(5)), torch.rand(2, generator=stream(5 + 2**32)))
    False
    """
    generator = torch.Generator(device)
    if generator.device.type != "cpu":
        return generator.manual_seed(seed)
    words = np.random.SeedSequence(seed).generate_state(WORDS)
    state = generator.manual_seed(0).get_state()
    state[TWISTER].view(torch.int64).copy_(torch.from_numpy(words.astype(np.int64)))
    generator.set_state(state)
    return generator


class Noise:
    """The random numbers of one training move, the same for any number of workers.

    All workers draw the noise of the whole global minibatch from the same seed and each keeps the
    rows of its own events, so W workers with B events take the step of one worker with W·B.
    """

    def __init__(self, device: torch.device, rank: int = 0, world_size: int = 1) -> None:
        self._device = device
        self._rank = rank
        self._world_size = world_size
        self._generator: torch.Generator | None = None
        self.seed(0)

    def seed(self, seed: int) -> None:
        """Start the stream of one move, which is made when its first numbers are asked for."""
        self._seed, self._generator = seed, None

    def normal(self, n: int, width: int) -> Tensor:
        """Return standard normal numbers, shape (n, width), float32."""
        shape = (n * self._world_size, width)
        return self._own(torch.randn(shape, generator=self._stream(), device=self._device), n)

    def uniform(self, n: int, width: int) -> Tensor:
        """Return numbers uniform in [0, 1), shape (n, width), float32."""
        shape = (n * self._world_size, width)
        return self._own(torch.rand(shape, generator=self._stream(), device=self._device), n)

    def _stream(self) -> torch.Generator:
        if self._generator is None:
            self._generator = stream(self._seed, self._device)
        return self._generator

    def _own(self, numbers: Tensor, n: int) -> Tensor:
        return numbers[self._rank * n : (self._rank + 1) * n]
