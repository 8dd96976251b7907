"""A learning rate that falls where the loss does not, by hand."""

from pathlib import Path

import pytest
import torch

from mleg_ray.optimisers import OPTIMISERS, LossPlateau
from mleg_ray.training.plateau import FallingRate
from tests.recipes import small_loop, small_run, training_events

CONFIG = LossPlateau(every=2, factor=0.1, patience=2)


def factors(*losses: float) -> list[float]:
    rate = FallingRate(CONFIG)
    found = []
    for loss in losses:
        rate.watch(torch.tensor(loss))
        found.append(rate.factor)
    return found


def test_it_falls_after_so_many_rounds_without_a_new_least() -> None:
    """Means of rounds: 4, 3, 3.5, 3 (as low, not lower), so it falls; 2, 5, 6: again."""
    losses = (5.0, 3.0, 4.0, 2.0, 3.5, 3.5, 1.0, 5.0, 2.0, 2.0, 5.0, 5.0, 6.0, 6.0)
    found = factors(*losses)
    assert found[:7] == [1.0] * 7
    assert found[7:13] == pytest.approx([0.1] * 6)
    assert found[13] == pytest.approx(0.01)


def test_it_falls_again_on_the_same_plateau() -> None:
    rate = FallingRate(LossPlateau(every=1, factor=0.5, patience=2))
    found = []
    for loss in (1.0, 2.0, 2.0, 2.0, 2.0):
        rate.watch(torch.tensor(loss))
        found.append(rate.factor)
    assert found == [1, 1, 0.5, 0.5, 0.25]


def test_it_goes_on_where_it_stood() -> None:
    losses = [5.0, 3.0, 4.0, 2.0, 3.5, 3.5, 1.0, 5.0, 2.0]
    for stop in range(len(losses)):
        first, second = FallingRate(CONFIG), FallingRate(CONFIG)
        for loss in losses[:stop]:
            first.watch(torch.tensor(loss))
        second.load_state_dict(first.state_dict())
        for loss in losses[stop:]:
            second.watch(torch.tensor(loss))
        assert second.factor == factors(*losses)[-1]


def test_the_optimiser_takes_the_factor() -> None:
    config = OPTIMISERS.parse({"learning_rate": 0.5, "betas": [0.5, 0.9], "schedule": "cosine"})
    optimiser = config.build([torch.nn.Parameter(torch.zeros(1))])
    config.set(optimiser, 1, 2, 0.1)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.025)


def test_a_training_stands_still_once_its_rate_has_fallen(tmp_path: Path) -> None:
    """Each round counts as a plateau but the first, and the factor leaves hardly a rate."""
    table = "{ every = 1, factor = 1e-12, patience = 1 }"
    run = small_run("bvae-dis", f"training.optimisers.autoencoder.plateau={table}")
    loop, minibatches = small_loop(run, training_events())
    rate = loop._rates["autoencoder"]
    weights = [parameter.clone() for parameter in loop.model.parameters()]
    [*_] = loop.run(minibatches, 20)
    assert rate.factor < 1e-11
    again, _ = small_loop(run, training_events())
    again.load_state_dict(loop.state_dict())
    assert again._rates["autoencoder"].factor == rate.factor
    assert any(not torch.equal(a, b) for a, b in zip(weights, loop.model.parameters(), strict=True))
