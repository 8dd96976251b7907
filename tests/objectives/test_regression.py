"""Regression terms by hand, on a generator and on an autoencoder, and what is refused."""

import pytest
import torch

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.objectives.regression import Regression, difference
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from mleg_ray.space import Space
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


# Mean 9/4 and width √19/4, as above, against zero and one.
@pytest.mark.parametrize(
    ("match", "expected"), [("mean", (9 / 4) ** 2), ("width", (19**0.5 / 4 - 1) ** 2)]
)
def test_differences_from_the_train_split_by_hand(match: str, expected: float) -> None:
    found = difference(match, torch.tensor([1.0, 2.0, 4.0]), None, torch.tensor([1.0, 2.0, 1.0]))
    assert found.item() == pytest.approx(expected, rel=1e-5)


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
    pair = [feature_map.quantities(x, batch.condition)[COLUMN] for x in (found[1].made, batch.x)]
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


MEASURED = "kinematics.product(electron.px, electron.py)"


def test_what_is_measured_is_compared_though_no_critic_sees_it() -> None:
    """px py has zero mean and unit width over the train split, and so much less if px is halved.

    Without standardisation the critic sees px as it is, in GeV, and features are fields.
    """
    run = small_run(
        "fatgan-quick",
        "features={ steps = [], view = ['electron.px'], "
        f"measured = ['{MEASURED}'], standardise = false }}",
        f"objective={{ kind = 'regression', to = {GAN}, terms = [{{ column = '{MEASURED}', "
        "weight = 3.0, match = ['mean', 'width'], to = 'train-split' }] }",
    )
    events = training_events()
    feature_map = fitted_map(run, events)
    batch = features_of(feature_map, events)
    px, py = (events.columns[f"electron.{name}"] for name in ("px", "py"))
    torch.testing.assert_close(batch.x[:, 0].double(), px, rtol=1e-6, atol=1e-6)
    seen = feature_map.view(batch.x, batch.condition)
    assert feature_map.view_space.width == seen.shape[1] == 1
    torch.testing.assert_close(seen[:, 0].double(), px, rtol=1e-6, atol=1e-6)
    product = px * py
    expected = (product - product.mean()) / product.std(correction=0)
    found = feature_map.quantities(batch.x, batch.condition)
    assert set(found) == {"electron.px", MEASURED}
    torch.testing.assert_close(found[MEASURED].double(), expected, rtol=1e-4, atol=1e-4)

    class Halved(torch.nn.Module):
        noise_space = Space.numbers(1)

        def __init__(self) -> None:
            super().__init__()
            self.critic = lambda view, condition: view.sum(dim=1, keepdim=True)

        def decode(self, noise: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            return torch.cat([batch.x[:, :1] / 2, batch.x[:, 1:]], dim=1)

    loss = objective_of(run, feature_map).loss(
        "generator", Halved(), feature_map, batch, noise=Noise(torch.device("cpu"))
    )
    mean, width = product.mean() / 2, product.std(correction=0) / 2
    scale = product.std(correction=0)
    terms = ((mean - product.mean()) / scale) ** 2 + (width / scale - 1) ** 2
    added = loss.value - loss.parts["adversarial"]
    assert added.item() == pytest.approx(3 * terms.item(), rel=1e-3)


class Counted:
    """What counts how often the numbers that have a name are computed."""

    def __init__(self, seen: FeatureMap) -> None:
        self._seen = seen
        self.view, self.asked = seen.view, 0

    def quantities(self, x: torch.Tensor, condition: torch.Tensor) -> dict[str, torch.Tensor]:
        self.asked += 1
        return self._seen.quantities(x, condition)


@pytest.mark.parametrize(("to", "asked"), [("minibatch", 2), ("train-split", 1)])
def test_quantities_of_real_events_are_computed_if_a_term_needs_them(to: str, asked: int) -> None:
    terms = f"[{{ column = '{COLUMN}', weight = 3.0, match = ['mean'], to = '{to}' }}]"
    objective = f"objective={{ kind = 'regression', to = {GAN}, terms = {terms} }}"
    run = small_run("fatgan-quick", objective)
    feature_map = fitted_map(run, training_events())
    model, seen = run.build_model(feature_map), Counted(feature_map)
    batch = features_of(feature_map, training_events(64))
    noise = Noise(torch.device("cpu"))
    objective_of(run, feature_map).loss("generator", model, seen, batch, noise=noise)
    assert seen.asked == asked


class TestRefusals:
    def test_a_column_that_has_no_name(self) -> None:
        run = with_terms("fatgan-quick", GAN, "['mean']", "electron.mass")
        with pytest.raises(ConfigError, match=r"terms\.0\.column: there is no 'electron.mass'"):
            run.build_model(fitted_map(run, training_events()))

    def test_single_events_of_the_train_split(self) -> None:
        terms = "[{ column = 'a', weight = 1.0, match = ['squared-error'], to = 'train-split' }]"
        with pytest.raises(ConfigError, match=r"terms\.0.*'train-split' has a mean and a width"):
            small_run("bvae-dis", f"objective={{ kind='regression', to={VAE}, terms={terms} }}")

    def test_what_is_measured_and_seen(self) -> None:
        with pytest.raises(
            ConfigError, match=r"features\.measured: 'electron.log_pt' is in the view"
        ):
            fitted_map(
                small_run("fatgan-quick", "features.measured=['electron.log_pt']"),
                training_events(),
            )

    def test_squared_errors_of_what_makes_no_event_again(self) -> None:
        with pytest.raises(ConfigError, match="kind 'lsgan' makes no event again"):
            with_terms("fatgan-quick", GAN, "['squared-error']")

    def test_an_unknown_match(self) -> None:
        with pytest.raises(ConfigError, match=r"objective\.terms\.0\.match\.0"):
            with_terms("fatgan-quick", GAN, "['median']")
