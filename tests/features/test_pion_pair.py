"""The map of γ p -> p π⁺π⁻: exact conservation, and coordinates that other formulas confirm."""

import math

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.events import Batch, EventSchema
from mleg_ray.features import FEATURE_MAPS, FeatureMap
from mleg_ray.physics import photoproduction as reaction

SPEC = DatasetSpec.load("gamma-p-to-p-pi-pi")
SCHEMA = EventSchema(SPEC.fields)


def events(n: int, seed: int, photon_energy: float = 3.0) -> Batch:
    columns = SPEC.source.draw(np.random.default_rng(seed), n, {"photon_energy": photon_energy})
    return Batch.from_columns(SCHEMA, {k: torch.from_numpy(v) for k, v in columns.items()}, {})


def generated(fitted: FeatureMap, n: int, width: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random features (n, 5) and a context (n, 1) of random photon energies."""
    rng = torch.Generator().manual_seed(3)
    features = width * torch.randn(n, 5, generator=rng, dtype=torch.float64)
    for i in fitted.periodic:
        features[:, i] = torch.remainder(features[:, i] + 1, 2) - 1
    return features, 1.5 + 3 * torch.rand(n, 1, generator=rng, dtype=torch.float64)


@pytest.fixture(scope="module")
def fitted() -> FeatureMap:
    parts = [events(3000, seed, energy) for seed, energy in enumerate((2.0, 3.0, 4.0))]
    return FEATURE_MAPS["pion-pair"]().build(SCHEMA, {}).fit(parts)


def test_round_trip_of_events(fitted):
    batch = events(20_000, 7)
    back = fitted.inverse(fitted(batch.x, batch.context), batch.context)
    close = (back - batch.x).abs().amax(dim=1) < 1e-9
    assert close.float().mean() > 0.9998  # the others lie within `resolution` of an edge
    torch.testing.assert_close(back, batch.x, rtol=0, atol=0.01)


def test_round_trip_of_features(fitted):
    features, context = generated(fitted, 5000, 1.0)
    back = fitted(fitted.inverse(features, context), context)
    torch.testing.assert_close(back, features, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("width", [1.0, 10.0])
def test_whatever_is_generated_conserves_four_momentum(fitted, width):
    features, context = generated(fitted, 5000, width)
    made = fitted.inverse(features, context)
    assert made.isfinite().all()
    columns = made.unbind(1)
    assert reaction.imbalance(*columns, context[:, 0]).max() < 1e-13
    assert reaction.proton_shell(*columns[:4]).max() < 1e-12
    assert max(reaction.pion_shell(*columns[i : i + 4]).max() for i in (4, 8)) < 1e-10


def test_coordinates_are_those_of_other_formulas(fitted):
    batch = events(2000, 9)
    columns = batch.x.unbind(1)
    share, cosine, azimuth, helicity, _ = fitted._position(batch.x, batch.context)
    w = reaction.cm_energy(batch.context[:, 0])
    mass = 2 * reaction.PION_MASS + share * (w - 0.93827209 - 2 * reaction.PION_MASS)
    torch.testing.assert_close(mass, reaction.pair_mass(*columns[4:]))
    proton = reaction.cos_theta_cm(*columns[:4], batch.context[:, 0])
    torch.testing.assert_close(cosine, -proton)
    torch.testing.assert_close(helicity, reaction.cos_helicity(*columns))
    expected = torch.atan2(-columns[1], -columns[0])
    torch.testing.assert_close(azimuth, expected)


def test_phase_space_is_flat_in_the_angles():
    """Isotropic decays are flat in both cosines and both azimuths, also in that of the decay."""
    assignments = ("source.shares={ delta = 0, rho = 0, phase_space = 1 }",)
    spec = DatasetSpec.load("gamma-p-to-p-pi-pi", assignments)
    columns = spec.source.draw(np.random.default_rng(1), 20_000, {"photon_energy": 3.0})
    tensors = {name: torch.from_numpy(values) for name, values in columns.items()}
    batch = Batch.from_columns(SCHEMA, tensors, {})
    plain = FEATURE_MAPS["pion-pair"]().build(SCHEMA, {})
    _, cosine, azimuth, helicity, turn = plain._position(batch.x, batch.context)
    for values, half in ((cosine, 1), (azimuth, math.pi), (helicity, 1), (turn, math.pi)):
        counts = torch.histc(values, 20, -half, half)
        chi2 = float(((counts - 1000) ** 2 / 1000).sum())
        assert chi2 < 50  # of 19 degrees of freedom: 1 in 10,000


def test_the_critic_sees_masses_and_momentum_transfer(fitted):
    batch = events(2000, 9)
    seen = fitted.augment(fitted(batch.x, batch.context), batch.context)
    seen = seen * fitted.view_std + fitted.view_mean
    columns = batch.x.unbind(1)
    p, pip, pim = columns[:4], columns[4:8], columns[8:]
    pairs = [reaction.pair_mass(*a, *b) for a, b in ((p, pip), (p, pim), (pip, pim))]
    expected = torch.stack([*pairs, reaction.momentum_transfer(p[3])], dim=1)
    torch.testing.assert_close(seen[:, -4:], expected, rtol=1e-4, atol=1e-4)


def test_the_critics_view_has_finite_gradients_far_out(fitted):
    features, context = generated(fitted, 2000, 1.0)
    far = (30 * features).float().requires_grad_()
    fitted.augment(far, context.float()).sum().backward()
    assert far.grad.isfinite().all()


def test_jacobian_is_that_of_autograd(fitted):
    batch = events(50, 11)

    def coordinates(features, context):
        made = fitted.inverse(features[None], context[None])
        share, *angles = fitted._position(made, context[None])
        return torch.cat([share * fitted._range(context[None]), *angles])

    features = fitted(batch.x, batch.context)
    jacobian = vmap(jacrev(coordinates))(features, batch.context)
    expected = -torch.linalg.slogdet(jacobian).logabsdet
    actual = fitted.log_abs_det_jacobian(batch.x, batch.context)
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


def test_unbalanced_events_lie_outside(fitted):
    batch = events(100, 5)
    assert not fitted._outside(batch.x, batch.context).any()
    moved = batch.x.clone()
    moved[:50, 0] += 1e-3
    assert fitted._outside(moved, batch.context)[:50].all()
