"""Decays by closed forms: momenta, boosts, resonances, and what bounds phase space."""

import math

import numpy as np
import pytest
import torch

from mleg_ray.physics.decays import (
    at_rest_in,
    boosted,
    breakup_momentum,
    breit_wigner,
    direction,
    exponential,
    invariant_mass,
    isotropic,
    on_shell,
    pair_mass_density,
    two_body,
)

PION, PROTON = 0.13957, 0.93827


def uniform(n: int, width: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moving(n: int, mass: float, seed: int = 1) -> torch.Tensor:
    """Particles of a mass, with momenta of some GeV in all directions."""
    return on_shell(10 * (uniform(n, 3, seed) - 0.5), mass)


def test_slopes_of_masses_are_finite_where_there_is_none() -> None:
    """√(5² - 3²) = 4 falls by p/m = 3/4 with p; a spacelike and a lightlike one have no slope."""
    p = torch.tensor([[3.0, 0, 0, 5], [3, 0, 0, 1], [0, 0, 3, 3]], requires_grad=True)
    mass = invariant_mass(p)
    assert mass.tolist() == [4, 0, 0]
    (slope,) = torch.autograd.grad(mass.sum(), p)
    assert slope.tolist() == [[-0.75, 0, 0, 1.25], [0] * 4, [0] * 4]


def test_equal_products_share_the_mass() -> None:
    mass = torch.tensor([0.775, 2 * PION, 0.2], dtype=torch.float64)
    expected = [math.sqrt(0.775**2 / 4 - PION**2), 0, 0]
    assert breakup_momentum(mass, PION, PION).tolist() == pytest.approx(expected)


def test_a_mass_below_the_difference_of_the_products_does_not_suffice_either() -> None:
    mass = torch.tensor([0.7, 1.0, 1.1], dtype=torch.float64)
    assert (breakup_momentum(mass, PION, PROTON) > 0).tolist() == [False, False, True]


def test_a_massless_product_takes_what_the_other_leaves() -> None:
    mass = torch.tensor([1.2], dtype=torch.float64)
    assert breakup_momentum(mass, 0.0, PROTON).item() == pytest.approx(
        (1.2**2 - PROTON**2) / (2 * 1.2)
    )


def test_boosts_carry_what_rests_to_the_frame_and_back() -> None:
    frame, p = moving(100, 1.232), moving(100, PION, seed=2)
    resting = torch.tensor([[0.0, 0.0, 0.0, 1.232]], dtype=torch.float64).expand(100, 4)
    torch.testing.assert_close(boosted(resting, frame), frame)
    torch.testing.assert_close(at_rest_in(frame, frame), resting, rtol=0, atol=1e-12)
    torch.testing.assert_close(at_rest_in(boosted(p, frame), frame), p, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        invariant_mass(boosted(p, frame) + frame), invariant_mass(p + resting)
    )


def test_a_boost_along_z_is_the_textbooks() -> None:
    gamma, beta = 1.25, 0.6
    frame = torch.tensor([[0.0, 0.0, gamma * beta, gamma]], dtype=torch.float64)
    p = torch.tensor([[0.3, -0.4, 1.0, 2.0]], dtype=torch.float64)
    expected = [[0.3, -0.4, gamma * (1.0 + beta * 2.0), gamma * (2.0 + beta * 1.0)]]
    assert boosted(p, frame).tolist() == [pytest.approx(expected[0])]


def test_products_of_a_decay_sum_to_the_parent_and_fly_where_they_should() -> None:
    parent, along = moving(1000, 1.232), isotropic(uniform(1000, 2, seed=2))
    proton, pion = two_body(parent, PROTON, PION, along)
    torch.testing.assert_close(proton + pion, parent, rtol=1e-12, atol=1e-12)
    for particle, mass in ((proton, PROTON), (pion, PION)):
        torch.testing.assert_close(invariant_mass(particle), torch.full((1000,), mass).double())
    there = at_rest_in(proton, parent)[:, :3]
    torch.testing.assert_close(there / there.norm(dim=1, keepdim=True), along)


def test_isotropic_directions_have_the_moments_of_a_sphere() -> None:
    n = isotropic(uniform(200_000, 2))
    torch.testing.assert_close(n.norm(dim=1), torch.ones(200_000).double())
    assert n.mean(dim=0).tolist() == pytest.approx([0, 0, 0], abs=5 / math.sqrt(3 * 200_000))
    moments = (n.T @ n / len(n)).numpy()
    assert moments == pytest.approx(np.eye(3) / 3, abs=0.004)
    assert direction(torch.tensor([0.0]), torch.tensor([0.25])).tolist() == [
        pytest.approx([0, 1, 0], abs=1e-6)
    ]


def test_a_resonance_has_its_peak_and_its_half_widths() -> None:
    """Far limits: half of all masses lie within M² ± MΓ, and the median is M."""
    u = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    m2 = breit_wigner(u, 10.0, 1e-3, 1.0, 19.0).square()
    assert m2.tolist() == pytest.approx([100 - 0.01, 100, 100 + 0.01], abs=3e-6)


def test_a_resonance_ends_at_its_limits() -> None:
    u = torch.tensor([0.0, 1.0], dtype=torch.float64)
    low, high = torch.tensor([[1.08, 1.1], [2.0, 1.3]], dtype=torch.float64)
    assert breit_wigner(u, 1.232, 0.117, low, high).tolist() == pytest.approx([1.08, 1.3])


def test_an_exponential_has_its_mean_between_its_limits() -> None:
    u = uniform(400_000, 1)[:, 0]
    low, high = torch.full_like(u, -1.0), torch.full_like(u, -0.2)
    t = exponential(u, 3.0, low, high)
    assert t.min() >= -1
    assert t.max() <= -0.2
    length = 0.8
    mean = -0.2 - 1 / 3 + length / math.expm1(3 * length)
    assert t.mean().item() == pytest.approx(mean, abs=0.002)


@pytest.mark.parametrize("masses", [(PION, PION, PROTON), (PROTON, PION, PION), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("total", [1.25, 2.0, 3.0])
def test_the_density_of_a_pairs_mass_stays_below_its_bound(
    masses: tuple[float, float, float], total: float
) -> None:
    pair = torch.linspace(masses[0] + masses[1] + 1e-9, total - masses[2], 10_001).double()
    density = pair_mass_density(pair, torch.full_like(pair, total), masses)
    assert (density >= 0).all()
    assert 0.1 < density.max() <= 1


def test_three_massless_products_have_the_density_of_the_textbooks() -> None:
    """p* p* ∝ (M² - m²) m for massless products: m² = M²/3 is the likeliest pair."""
    pair = torch.linspace(0.001, 2.999, 3001).double()
    density = pair_mass_density(pair, torch.full_like(pair, 3.0), (0.0, 0.0, 0.0))
    assert pair[density.argmax()].item() == pytest.approx(math.sqrt(3), abs=0.002)
