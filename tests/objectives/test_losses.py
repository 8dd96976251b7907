"""Losses by closed forms, weights in every loss, and the first 20 steps of each family."""

import math

import pytest
import torch

from mleg_ray.events import Batch
from mleg_ray.objectives import OBJECTIVES
from mleg_ray.objectives.discrepancy import sliced_wasserstein2
from mleg_ray.randomness import Noise
from tests.recipes import (
    SMALL,
    features_of,
    fitted_map,
    small_loop,
    small_run,
    taught_objective,
    training_events,
)

# The last player's loss after 20 steps of 64 events: a refactoring that changes
# numbers is seen here. Values are of this code itself, float32 on a CPU.
AFTER_20_STEPS = {
    "avae-dis one energy": 2.38479,
    "avae-dis energies": 2.33869,
    "bvae-dis one energy": 2.35725,
    "bvae-dis energies": 2.17006,
    "fatgan one energy": 0.939227,
    "fatgan energies": 0.474017,
    "fatgan-quick one energy": 0.633417,
    "fatgan-quick energies": 0.272774,
    "student-dis one energy": 2.85756,
    "student-dis energies": 1.63417,
    "flow-matching-dis one energy": 4.21705,
    "flow-matching-dis energies": 4.43820,
    "flow-dis one energy": 3.49092,
    "flow-dis energies": 3.20471,
}


def loss_of(recipe: str, player: str, batch: Batch, *assignments: str) -> torch.Tensor:
    run = small_run(recipe, *assignments)
    events = training_events()
    feature_map = fitted_map(run, events)
    model = run.build_model(feature_map).eval()
    model.remember(features_of(feature_map, events).x, torch.zeros(len(events), 0))
    noise = Noise(torch.device("cpu"))
    noise.seed(5)
    loss, _ = taught_objective(run, feature_map).loss(
        player, model, feature_map, features_of(feature_map, batch), noise=noise
    )
    return loss.detach()


def weighted(batch: Batch, weight: torch.Tensor) -> Batch:
    return Batch(batch.x, batch.context, weight.double())


PLAYERS = [
    (recipe, player)
    for recipe in sorted(SMALL)
    for player in small_run(recipe).objective.build().schedule
]


def test_every_registered_objective_is_tested() -> None:
    assert {small_run(recipe).objective.kind for recipe in SMALL} == set(OBJECTIVES)


@pytest.mark.parametrize(("recipe", "player"), PLAYERS)
def test_loss_is_linear_in_the_weights(recipe: str, player: str) -> None:
    if recipe.startswith("student"):
        pytest.skip("pairs of a teacher have no weights, and quantiles are not linear in them")
    without_mmd = ("objective.mmd_weight=0",) if recipe.startswith("fatgan") else ()
    batch = training_events(64)
    once = loss_of(recipe, player, batch, *without_mmd)
    twice = loss_of(recipe, player, weighted(batch, torch.full((64,), 2.0)), *without_mmd)
    torch.testing.assert_close(twice, 2 * once)
    sign = torch.where(torch.arange(64) < 32, 3.0, -1.0)  # negative weights are honoured
    mixed = loss_of(recipe, player, weighted(batch, sign), *without_mmd)
    head = loss_of(recipe, player, weighted(batch, (torch.arange(64) < 32).float()), *without_mmd)
    torch.testing.assert_close(mixed, 4 * head - once, rtol=1e-4, atol=1e-5)


def test_gradient_penalty_of_a_linear_critic() -> None:
    run = small_run("fatgan-quick", "objective.gradient_penalty=7.0")
    feature_map = fitted_map(run, training_events())
    model = run.build_model(feature_map)

    class Linear(torch.nn.Module):
        def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            return 3 * x[:, :1] + 4 * x[:, 1:2]

    model.critic = Linear()
    noise = Noise(torch.device("cpu"))
    noise.seed(1)
    loss, parts = run.objective.build().loss(
        "critic", model, feature_map, features_of(feature_map, training_events(64)), noise=noise
    )
    assert parts["gradient_penalty"].item() == pytest.approx((5 - 1) ** 2, rel=1e-5)
    assert loss.item() == pytest.approx(-parts["wasserstein"].item() + 7 * 16, rel=1e-5)


def test_kl_of_the_beta_vae_is_that_of_torch() -> None:
    run = small_run("bvae-dis")
    feature_map = fitted_map(run, training_events())
    model = run.build_model(feature_map)
    x, condition = torch.randn(64, 3), torch.zeros(64, 0)
    mean, log_variance = model.encode(x, condition).chunk(2, dim=1)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(dim=1)
    _, kl = model.code(x, condition, torch.zeros_like(mean))
    torch.testing.assert_close(kl, expected)


def test_alpha_vae_perturbs_codes_with_width_alpha() -> None:
    run = small_run("avae-dis", "model.alpha=0.3")
    model = run.build_model(fitted_map(run, training_events()))
    x, condition = torch.randn(20_000, 3), torch.zeros(20_000, 0)
    code, kl = model.code(x, condition, torch.randn(20_000, model.latent_dim))
    assert (code - model.encode(x, condition)).std().item() == pytest.approx(0.3, rel=0.02)
    assert not kl.any()


@pytest.mark.parametrize("recipe", sorted(SMALL))
@pytest.mark.parametrize("conditional", [False, True], ids=["one energy", "energies"])
def test_first_steps_of_every_family(recipe: str, conditional: bool) -> None:
    run = small_run(recipe)
    loop, minibatches = small_loop(run, training_events(conditional=conditional), conditional)
    (progress,) = loop.run(minibatches, 20)
    assert progress.finite
    assert all(map(math.isfinite, progress.losses.values()))
    *_, main = (f"{player}_loss" for player in run.objective.build().schedule)
    key = f"{recipe} {'energies' if conditional else 'one energy'}"
    assert progress.losses[main] == pytest.approx(AFTER_20_STEPS[key], rel=1e-3)


def test_likelihood_of_negative_weights_is_bounded() -> None:
    """An event that nothing generates costs a bounded amount, however little density it has."""
    events = training_events(64)
    far = Batch(events.x.clone(), events.context, -torch.ones(64))
    far.x[:, 2] = -far.x[:, 2] * 0 - 49.0  # backward at full energy: far out in the features
    far.x[:, :2] = 1e-3
    far.x[:, 3] = far.x.double()[:, :3].norm(dim=1)
    loss = float(loss_of("flow-dis", "flow", far))
    assert loss >= -30.0
    assert float(loss_of("flow-dis", "flow", weighted(far, torch.ones(64)))) > -loss - 1e-3


def test_likelihood_in_momentum_space_is_that_of_any_map() -> None:
    """The same events under the same density have one likelihood per d³p."""
    events = training_events()
    run = small_run("flow-dis")
    feature_map = fitted_map(run, events)
    features = features_of(feature_map, events)
    expected = feature_map.log_abs_det_jacobian(events.x, events.context).mean()
    assert float(feature_map.mean_log_abs_det) == pytest.approx(float(expected), rel=1e-6)
    noise = Noise(torch.device("cpu"))
    loss, parts = run.objective.build().loss(
        "flow", run.build_model(feature_map), feature_map, features, noise=noise
    )
    assert float((loss - parts["nll_physical"]).detach()) == pytest.approx(
        float(expected), rel=1e-5
    )


def test_sliced_wasserstein_of_a_shift_is_its_square() -> None:
    torch.manual_seed(0)
    x, directions = torch.randn(4000, 2), torch.randn(500, 2)
    shift = torch.tensor([0.6, 0.8])
    distance = sliced_wasserstein2(x, x + shift, torch.ones(4000), directions)
    assert float(distance) == pytest.approx(0.5, rel=0.1)  # half of |shift|² = 1 in two dimensions
    doubled = torch.cat([x + shift, x - 5 * shift])
    weight = torch.cat([torch.ones(4000), torch.zeros(4000)])  # what has no weight is not there
    again = sliced_wasserstein2(x, doubled, weight, directions)
    assert float(again) == pytest.approx(float(distance), rel=1e-3)
