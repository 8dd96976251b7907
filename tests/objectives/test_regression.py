"""Regression terms by hand, on a generator and on an autoencoder, and what is refused."""

import pytest
import torch

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch
from mleg_ray.objectives.regression import Regression, difference
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from tests.recipes import features_of, fitted_map, objective_of, small_run, training_events

COLUMN = "electron.log_pt"
GAN = "{ kind = 'lsgan', critic_updates = 1 }"
VAE = "{ kind = 'beta-vae', beta = 0.1 }"


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        # Means 9/4 and 3/4; variances (25 + 2 · 1 + 49)/64 and (9 + 2 · 1 + 1)/64.
        ("mean", (9 / 4 - 3 / 4) ** 2),
        ("width", ((19 / 16) ** 0.5 - (3 / 16) ** 0.5) ** 2),
        ("squared-error", (1 * 1 + 2 * 1 + 1 * 9) / 3),
    ],
)
def test_differences_of_three_events_by_hand(match: str, expected: float) -> None:
    fake, real = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.0, 1.0, 1.0])
    found = difference(match, fake, real, torch.tensor([1.0, 2.0, 1.0]))
    assert found.item() == pytest.approx(expected)


def with_terms(recipe: str, to: str, match: str, column: str = COLUMN) -> RunConfig:
    terms = f"[{{ column = '{column}', weight = 3.0, match = {match} }}]"
    return small_run(recipe, f"objective={{ kind = 'regression', to = {to}, terms = {terms} }}")


def losses(run: RunConfig, player: str, weight: torch.Tensor) -> tuple[dict, float, float]:
    """Return the parts, the loss, and that without the terms."""
    feature_map = fitted_map(run, training_events())
    model = run.build_model(feature_map)
    features = features_of(feature_map, training_events(64))
    batch = Batch(features.x, features.condition, weight)
    found = []
    with_terms = objective_of(run, feature_map)
    for objective in (with_terms, with_terms.to):
        noise = Noise(torch.device("cpu"))
        noise.seed(1)
        found.append(objective.loss(player, model, feature_map, batch, noise=noise))
    views = found[1].made()
    names = feature_map.view_space.parts["event"].names
    pair = (views.fake[:, names.index(COLUMN)], views.real[:, names.index(COLUMN)])
    parts = found[0].parts | {"pair": torch.stack(pair).detach()}
    return parts, found[0].value.item(), found[1].value.item()


@pytest.mark.parametrize("weight", [torch.ones(64), torch.linspace(-0.5, 2.5, 64)])
def test_means_and_widths_of_a_generator(weight: torch.Tensor) -> None:
    run = with_terms("fatgan-quick", GAN, "['mean', 'width']")
    parts, total, alone = losses(run, "generator", weight)
    fake, real = parts["pair"]
    moments = []
    for values in (fake, real):
        mean = (weight * values).sum() / weight.sum()
        moments.append((mean, ((weight * (values - mean) ** 2).sum() / weight.sum()).sqrt()))
    (mean, width), (true_mean, true_width) = moments
    expected = (mean - true_mean) ** 2 + (width - true_width) ** 2
    assert parts[f"mean of {COLUMN}"].item() == pytest.approx(
        float((mean - true_mean) ** 2), rel=1e-4
    )
    assert total - alone == pytest.approx(3 * expected.item(), rel=1e-3)


def test_the_critic_has_no_terms() -> None:
    run = with_terms("fatgan-quick", GAN, "['mean']")
    feature_map = fitted_map(run, training_events())
    objective = objective_of(run, feature_map)
    assert isinstance(objective, Regression)
    model = run.build_model(feature_map)
    noise = Noise(torch.device("cpu"))
    loss = objective.loss(
        "critic", model, feature_map, features_of(feature_map, training_events(64)), noise=noise
    )
    assert set(loss.parts) == {"on_real", "on_generated"}


def test_squared_errors_of_an_autoencoder() -> None:
    run = with_terms("bvae-dis", VAE, "['squared-error']")
    weight = torch.linspace(0, 2, 64)
    parts, total, alone = losses(run, "autoencoder", weight)
    fake, real = parts["pair"]
    expected = (weight * (fake - real) ** 2).mean().item()
    assert total - alone == pytest.approx(3 * expected, rel=1e-4)


def test_terms_reach_the_generator() -> None:
    run = with_terms("fatgan-quick", GAN, "['mean']")
    feature_map = fitted_map(run, training_events())
    model = run.build_model(feature_map)
    batch = features_of(feature_map, training_events(64))
    noise = Noise(torch.device("cpu"))
    loss = objective_of(run, feature_map).loss("generator", model, feature_map, batch, noise=noise)
    gradient = torch.autograd.grad(
        loss.parts[f"mean of {COLUMN}"], next(model.generator.parameters())
    )[0]
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(("match", "coupled"), [("mean", True), ("squared-error", False)])
def test_moments_couple_the_events_of_a_minibatch(match: str, coupled: bool) -> None:
    run = with_terms("bvae-dis", VAE, f"['{match}']")
    objective = objective_of(run, fitted_map(run, training_events()))
    assert objective.traits.couples_events == coupled


class TestRefusals:
    def test_a_column_that_is_not_seen(self) -> None:
        run = with_terms("fatgan-quick", GAN, "['mean']", "electron.mass")
        with pytest.raises(ConfigError, match=r"terms\.0\.column: the critic's view has no 'elec"):
            run.build_model(fitted_map(run, training_events()))

    def test_squared_errors_of_what_makes_no_event_again(self) -> None:
        with pytest.raises(ConfigError, match="kind 'lsgan' makes no event again"):
            with_terms("fatgan-quick", GAN, "['squared-error']")

    def test_an_unknown_match(self) -> None:
        with pytest.raises(ConfigError, match=r"objective\.terms\.0\.match\.0"):
            with_terms("fatgan-quick", GAN, "['median']")
