"""A detector's response to an electron: its features, and what no network can do to them."""

import math

import pytest
import torch
from torch.func import jacrev, vmap

from mleg_ray.errors import ConfigError
from mleg_ray.features.response import ElectronResponseMap, ElectronResponseMapConfig
from tests.dis_events import PAIRS, SCHEMA, measured


@pytest.fixture(scope="module")
def response() -> ElectronResponseMap:
    return ElectronResponseMapConfig().build(PAIRS, {}).fit([measured(5000)])


def test_features_are_what_the_detector_did(response: ElectronResponseMap) -> None:
    assert response.feature_std[0] == pytest.approx(0.01, rel=0.05)
    wide = measured(5000)
    wide = wide[wide.context[:, 2] < 45]  # φ of an electron along the beam is hardly known
    features = response(wide.x, wide.context) * response.feature_std
    assert features[:, 1:].std(dim=0).tolist() == pytest.approx([0.01, 0.01], rel=0.1)


def test_round_trip_and_jacobian(response: ElectronResponseMap) -> None:
    batch = measured(200)
    features = response(batch.x, batch.context)
    back = response.inverse(features, batch.context)
    torch.testing.assert_close(back, batch.x, rtol=1e-9, atol=1e-9)

    def of_momentum(momentum: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        energy = momentum.square().sum().sqrt()
        return response(torch.cat([momentum, energy[None]])[None], context[None])[0]

    jacobian = vmap(jacrev(of_momentum))(batch.x[:, :3], batch.context)
    torch.testing.assert_close(
        jacobian.det().abs().log(), response.log_abs_det_jacobian(batch.x, batch.context)
    )


def test_azimuth_is_compared_around_the_circle(response: ElectronResponseMap) -> None:
    before, after = math.pi - 0.001, -math.pi + 0.001
    event = torch.tensor([[math.cos(after), math.sin(after), 0.0, 1.0]]).double()
    vertex = torch.tensor([[math.cos(before), math.sin(before), 0.0, 1.0]]).double()
    turn = (response(event, vertex) * response.feature_std + response.feature_mean)[0, 2]
    assert float(turn) == pytest.approx(0.002, rel=1e-3)


def test_networks_see_the_vertex_without_a_seam(response: ElectronResponseMap) -> None:
    batch = measured(100)
    condition = response.condition(batch.context)
    assert condition.shape == (100, response.n_conditions) == (100, 4)
    single = response.condition(batch.context.float())
    torch.testing.assert_close(single.double(), condition, rtol=1e-3, atol=1e-3)


def test_gradients_flow_to_the_vertex(response: ElectronResponseMap) -> None:
    """An unfolding generator is taught through the frozen response."""
    batch = measured(100)
    vertex = batch.context.clone().requires_grad_()
    events = response.inverse(torch.zeros(100, 3), vertex)
    (gradient,) = torch.autograd.grad(events[:, 2].sum(), vertex)
    assert gradient.isfinite().all()
    assert (gradient[:, 2] > 0.9).all()


def test_a_dataset_without_a_vertex_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs the fields vertex_px, vertex_py, vertex_pz"):
        ElectronResponseMapConfig().build(SCHEMA, {})
