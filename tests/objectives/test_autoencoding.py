"""How β, its reductions and its convex form weigh reconstruction and codes."""

import pytest
import torch

from mleg_ray.events import Batch
from mleg_ray.models.networks.mlp import MLPConfig
from mleg_ray.models.vae import BetaVAE, BetaVAEConfig
from mleg_ray.objectives import OBJECTIVES
from mleg_ray.objectives.autoencoding import Variational
from mleg_ray.randomness import Noise
from mleg_ray.space import Part, Space
from tests.models.spaces import spaces

LATENT = 8


def model() -> BetaVAE:
    torch.manual_seed(1)
    network = MLPConfig(widths=(32, 32), activation="silu")
    config = BetaVAEConfig(latent_dim=LATENT, encoder=network, decoder=network)
    return config.build(spaces(2, 0, 2))


class Seen:
    view_space = Space({"event": Part((2,))})
    mean_log_abs_det = torch.zeros(())

    def view(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return x


def loss(objective: Variational, of: BetaVAE, batch: Batch, noise: Noise) -> torch.Tensor:
    return objective.loss("autoencoder", of, Seen(), batch, noise=noise).value


def test_what_each_form_weighs() -> None:
    """Of the same reconstruction R and divergence D, with the same noise.

    Summed, R counts 2 features, of which the mean is half; D 8 numbers of a code.
    """
    vae, x = model(), torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    batch = Batch(x, torch.zeros(50, 0), torch.ones(50))
    noise = Noise(torch.device("cpu"))
    parts: dict[str, torch.Tensor] = {}
    found = {}
    forms = {
        "sum": {},
        "mean": {"reconstruction": "mean", "divergence": "mean"},
        "convex": {"convex": True},
    }
    for name, form in forms.items():
        noise.seed(3)
        objective = OBJECTIVES.parse({"kind": "beta-vae", "beta": 0.25, **form})
        made = objective.loss("autoencoder", vae, Seen(), batch, noise=noise)
        found[name] = made.value.item()
        parts = parts or made.parts
    r, d = parts["reconstruction"].item(), parts["kl"].item()
    assert found["sum"] == pytest.approx(r + 0.25 * d)
    assert found["mean"] == pytest.approx(r / 2 + 0.25 * d / LATENT)
    assert found["convex"] == pytest.approx(0.75 * r + 0.25 * d)


def spreads(**form: object) -> list[float]:
    """Train on a normal and a uniform number, and return the spread of what is generated."""
    vae, noise = model(), Noise(torch.device("cpu"))
    objective = Variational(reconstruction="mean", **form)
    optimiser = torch.optim.Adam(vae.parameters(), lr=5e-3)
    rng = torch.Generator().manual_seed(1)
    for step in range(250):
        normal = torch.randn(256, generator=rng)
        uniform = 12**0.5 * (torch.rand(256, generator=rng) - 0.5)
        batch = Batch(torch.stack([normal, uniform], 1), torch.zeros(256, 0), torch.ones(256))
        noise.seed(step)
        optimiser.zero_grad()
        torch.autograd.backward(loss(objective, vae, batch, noise))
        optimiser.step()
    made = vae.sample(2000, torch.zeros(2000, 0), generator=rng)
    return made.std(dim=0).tolist()


def test_summed_divergence_leaves_codes_empty() -> None:
    """Beside the mean of two squares, β = 1.5: a variance of 1.5 summed, of 1.5/8 as a mean."""
    assert max(spreads(beta=1.5, divergence="sum")) < 0.15
    assert min(spreads(beta=1.5, divergence="mean")) > 0.75


def test_the_convex_form_leaves_codes_empty_near_one() -> None:
    """β = 0.95 weighs as 0.95/0.05 = 19 does: a variance of 19/8."""
    assert max(spreads(beta=0.95, divergence="mean", convex=True)) < 0.15


def test_the_convex_form_refuses_to_reward_errors() -> None:
    with pytest.raises(ValueError, match="would reward errors at β = 1.5"):
        Variational(beta=1.5, convex=True)
    assert Variational(beta=1.0, convex=True).share == 0
    assert Variational(beta=1.5).share == 1
