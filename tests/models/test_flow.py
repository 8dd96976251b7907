"""The flow's density: normalised, seamless on the circle, and that of what it samples."""

import pytest
import torch

from mleg_ray.models.flow import Flow, FlowConfig
from tests.models.spaces import spaces


def flow(features: int, periodic: tuple[int, ...], conditions: int = 0) -> Flow:
    torch.manual_seed(1)
    config = FlowConfig(transforms=2, bins=6, hidden=(16,))
    model = config.build(spaces(features, conditions, 0, periodic)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)  # further from the identity
    return model


def grid(low: float, high: float, n: int) -> tuple[torch.Tensor, float]:
    step = (high - low) / n
    return low + step * (torch.arange(n) + 0.5), step


@pytest.mark.parametrize("periodic", [(), (0,), (1,), (0, 1)])
def test_density_integrates_to_one(periodic):
    model = flow(2, periodic)
    n_line = 1500 if periodic else 600
    axes = [grid(-1, 1, 200) if i in periodic else grid(-8, 8, n_line) for i in range(2)]
    points = torch.cartesian_prod(axes[0][0], axes[1][0])
    with torch.no_grad():
        density = model.log_prob(points, torch.zeros(len(points), 0)).exp()
    assert float(density.sum()) * axes[0][1] * axes[1][1] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("periodic", [(), (2,), (0, 2)])
def test_samples_have_the_density(periodic):
    """Where noise goes, its own density divided by the stretch of the map is found."""
    model = flow(3, periodic, conditions=1)
    condition = torch.linspace(-1, 1, 50)[:, None]
    noise = model.draw(50, generator=torch.Generator().manual_seed(2)).requires_grad_()
    features = model.decode(noise, condition)
    jacobian = torch.stack(
        [torch.autograd.grad(features[:, i].sum(), noise, retain_graph=True)[0] for i in range(3)],
        dim=1,
    )
    line = [i for i in range(3) if i not in periodic]
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(noise[:, line]).sum(dim=1)
    expected = normal - len(periodic) * torch.log(torch.tensor(2.0)) - jacobian.det().abs().log()
    found = model.log_prob(features, condition)
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)


def test_density_has_no_seam_where_the_angle_turns_over():
    model = flow(3, (2,))
    left, right = torch.randn(50, 3), torch.empty(50, 3)
    right[:, :2] = left[:, :2]
    left[:, 2], right[:, 2] = -1 + 1e-4, 1 - 1e-4
    condition = torch.zeros(50, 0)
    difference = model.log_prob(left, condition) - model.log_prob(right, condition)
    assert difference.abs().max() < 0.02


def test_angles_stay_on_the_circle():
    features = flow(3, (2,)).sample(
        5000, torch.zeros(5000, 0), generator=torch.Generator().manual_seed(3)
    )
    assert features[:, 2].abs().max() <= 1 + 1e-5
