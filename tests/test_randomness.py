"""Streams of random numbers: as many as there are seeds, and the very ones numpy draws."""

import numpy as np
import pytest
import torch

from mleg_ray.randomness import Noise, derive_seed, stream

SEEDS = [0, 1, 2**31 - 1, 2**32, 2**63 - 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_stream_is_numpys_mersenne_twister_of_the_same_state(seed: int) -> None:
    drawn = torch.empty(2000, dtype=torch.int64).random_(0, 2**20, generator=stream(seed))
    twister = np.random.MT19937()
    words = np.random.SeedSequence(seed).generate_state(624)
    twister.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": 624}}
    np.testing.assert_array_equal(drawn.numpy(), twister.random_raw(2000) % 2**20)


@pytest.mark.parametrize("bit", range(63))
def test_every_bit_of_a_seed_counts(bit: int) -> None:
    first, other = (torch.randn(4, generator=stream(seed)) for seed in (5, 5 ^ (1 << bit)))
    assert not torch.equal(first, other)


def test_shards_whose_seeds_share_32_bits_differ() -> None:
    by_low_bits: dict[int, int] = {}
    for index in range(300_000):
        seed = derive_seed(1, "sample", index)
        twin = by_low_bits.setdefault(seed % 2**32, seed)
        if twin != seed:
            break
    else:
        pytest.fail("no two of 300,000 seeds share their low 32 bits: the test tests nothing")
    draws = [torch.rand(8, generator=stream(s)) for s in (seed, twin)]
    assert not torch.equal(*draws)


def test_same_seed_same_numbers() -> None:
    draws = [torch.randn(1000, generator=stream(7)) for _ in range(2)]
    assert torch.equal(*draws)


def test_normal_numbers_are_normal() -> None:
    numbers = torch.randn(200_000, generator=stream(3), dtype=torch.float64)
    assert abs(numbers.mean()) < 5 / 200_000**0.5
    assert abs(numbers.var() - 1) < 5 * (2 / 200_000) ** 0.5


def test_noise_of_two_workers_is_the_rows_of_one() -> None:
    device = torch.device("cpu")
    alone, first, second = Noise(device), Noise(device, 0, 2), Noise(device, 1, 2)
    for noise in (alone, first, second):
        noise.seed(2**40 + 3)
    parts = torch.cat([first.normal(5, 3), second.normal(5, 3)])
    assert torch.equal(alone.normal(10, 3), parts)
