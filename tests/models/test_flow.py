"""The flow's density: normalised, seamless on the circle, and that of what it samples."""

import gc
import math

import pytest
import torch

from mleg_ray.errors import ConfigError
from mleg_ray.models.flow import Flow, FlowConfig
from mleg_ray.space import Part, Space
from tests.models.spaces import spaces


def flow(
    features: int, periodic: tuple[int, ...], conditions: int = 0, passes: int | None = None
) -> Flow:
    torch.manual_seed(1)
    config = FlowConfig(transforms=2, bins=6, hidden=(16,), passes=passes)
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


@pytest.mark.parametrize("passes", [None, 2])
@pytest.mark.parametrize("periodic", [(), (2,), (0, 2)])
def test_samples_have_the_density(periodic, passes):
    """Where noise goes, its own density divided by the stretch of the map is found."""
    model = flow(3, periodic, 1, passes)
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


class TestEvenAngles:
    def model(self, *even: str) -> Flow:
        """Of (a, x, b, c), all but x angles."""
        torch.manual_seed(1)
        event = Part((4,), ("a", "x", "b", "c"), circle=(0, 2, 3))
        made_up = spaces(4, 1, 0)._replace(features=Space({"event": event}))
        return FlowConfig(transforms=2, bins=6, hidden=(16,), even=even).build(made_up).eval()

    def test_they_are_the_noise_and_nothing_depends_on_them(self):
        model = self.model("a", "c")
        noise = model.draw(50, generator=torch.Generator().manual_seed(2))
        condition = torch.linspace(-1, 1, 50)[:, None]
        made = model.decode(noise, condition)
        assert torch.equal(made[:, [0, 3]], noise[:, [0, 3]])
        assert not torch.isclose(made[:, 1:3], noise[:, 1:3]).any()
        turned = noise.clone()
        turned[:, [0, 3]] *= -1
        assert torch.equal(model.decode(turned, condition)[:, 1:3], made[:, 1:3])

    def test_their_density_is_one_half_each(self):
        """Of x and b it is that of the same flow of these alone."""
        model = self.model("a", "c")
        event = Part((2,), ("x", "b"), circle=(1,))
        alone = FlowConfig(transforms=2, bins=6, hidden=(16,)).build(
            spaces(2, 1, 0)._replace(features=Space({"event": event}))
        )
        alone.load_state_dict(model.state_dict())
        x = torch.rand(50, 4, generator=torch.Generator().manual_seed(3)) - 0.5
        condition = torch.linspace(-1, 1, 50)[:, None]
        found = model.log_prob(x, condition)
        expected = alone.log_prob(x[:, 1:3], condition) + 2 * math.log(1 / 2)
        torch.testing.assert_close(found, expected)

    def test_what_is_no_angle_is_refused(self):
        with pytest.raises(ConfigError, match="even: 'x' is no angle of the event; those are a, b"):
            self.model("a", "x")

    def test_something_is_left_to_learn(self):
        event = Part((1,), ("a",), circle=(0,))
        alone = spaces(1, 0, 0)._replace(features=Space({"event": event}))
        with pytest.raises(ConfigError, match="nothing is left to learn"):
            FlowConfig(even=("a",)).build(alone)


def test_angles_stay_on_the_circle():
    features = flow(3, (2,)).sample(
        5000, torch.zeros(5000, 0), generator=torch.Generator().manual_seed(3)
    )
    assert features[:, 2].abs().max() <= 1 + 1e-5


def test_two_passes_couple_halves():
    """One such transform changes a half of the features by itself, the other given that half."""
    torch.manual_seed(1)
    model = FlowConfig(transforms=1, bins=6, hidden=(16,), passes=2).build(spaces(4, 0, 0))
    noise = torch.randn(1, 4)
    jacobian = torch.autograd.functional.jacobian(
        lambda noise: model.decode(noise, torch.zeros(1, 0))[0], noise
    )[:, 0]
    assert (jacobian != 0).tolist() == [
        [True, False, False, False],
        [False, True, False, False],
        [True, True, True, False],
        [True, True, False, True],
    ]


@pytest.mark.parametrize("periodic", [(), (0, 1, 2)])
def test_sampling_leaves_nothing_for_the_collector(periodic):
    model = flow(3, periodic)
    generator = torch.Generator().manual_seed(3)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        with torch.no_grad():
            model.sample(7, torch.zeros(7, 0), generator=generator)
        gc.collect()
        left = [item for item in gc.garbage if isinstance(item, torch.Tensor)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left
