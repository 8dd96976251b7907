"""DIS kinematics against four-vector algebra and published values."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mleg_ray.physics import dis, kinematics
from tests.dis_events import electrons, momenta


def invariants(px: float, py: float, pz: float, electron: float, proton: float) -> list[float]:
    """Q², y, x, (P + q)² by four-vectors, naively."""
    e = math.sqrt(px**2 + py**2 + pz**2)
    k, p = (electron, 0.0, 0.0, electron), (proton, 0.0, 0.0, -proton)
    q = (k[0] - e, -px, -py, k[3] - pz)

    def dot(a, b) -> float:
        return a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3]

    q2, hadrons = -dot(q, q), [a + b for a, b in zip(p, q, strict=True)]
    return [q2, dot(p, q) / dot(p, k), q2 / (2 * dot(p, q)), dot(hadrons, hadrons)]


@given(
    px=st.floats(-20, 20),
    py=st.floats(-20, 20),
    pz=st.floats(-20, 20),
    electron=st.floats(25, 100),
    proton=st.floats(25, 1000),
)
def test_invariants_are_those_of_the_four_vectors(px, py, pz, electron, proton) -> None:
    numbers = (px, py, pz, electron, proton)
    momentum = [torch.tensor([v], dtype=torch.float64) for v in numbers]
    q2, y, x, w2 = invariants(*numbers)
    scale = 4 * electron * proton
    assert dis.mandelstam_s(*momentum[3:]).item() == pytest.approx(scale)
    assert dis.q2(*momentum[:4]).item() == pytest.approx(q2, abs=1e-12 * scale)
    assert dis.inelasticity(*momentum[:4]).item() == pytest.approx(y, abs=1e-12 * scale)
    # The proton's mass is neglected in P, not in W².
    found = dis.w2(*momentum).item() - dis.PROTON_MASS**2
    assert found == pytest.approx(w2, abs=1e-11 * scale)
    if q2 > 1e-3:
        assert dis.x_bj(*momentum).item() == pytest.approx(x, rel=1e-8)


def test_kinematics_of_hera() -> None:
    """sqrt(s) = 318.1 GeV of 27.5 on 920 GeV; a table of H1 and ZEUS relates Q², x and y."""
    electron, proton = torch.tensor(27.5).double(), torch.tensor(920.0).double()
    assert dis.mandelstam_s(electron, proton).sqrt().item() == pytest.approx(318.1, abs=0.05)
    # arXiv:1506.06042: Q² = 15 GeV² and x = 3.2e-4 are at y = 0.463.
    plus, minus = 2 * 27.5 * (1 - 0.463), 15 / (2 * 27.5)  # E' + pz' and E' - pz'
    momentum = [torch.tensor(v).double() for v in (math.sqrt(plus * minus), 0, (plus - minus) / 2)]
    assert dis.q2(*momentum, electron).item() == pytest.approx(15)
    assert dis.inelasticity(*momentum, electron).item() == pytest.approx(0.463)
    assert dis.x_bj(*momentum, electron, proton).item() == pytest.approx(3.2e-4, rel=1e-3)


def test_reduced_cross_section_of_a_flat_structure_function_is_flat() -> None:
    """Events of d²σ/dx dQ² = 2π α² Y₊/(x Q⁴) have σ_r = 1 in every bin."""
    s, n = 1e4, 400_000
    rng = torch.Generator().manual_seed(1)
    u = torch.rand(n, 3, generator=rng, dtype=torch.float64)
    x = 0.01 * 10 ** u[:, 0]  # like 1/x from 0.01 to 0.1
    q2 = 1 / (1 / 10 - u[:, 1] * (1 / 10 - 1 / 90))  # like 1/Q⁴ from 10 to 90 GeV²
    y = q2 / (x * s)
    kept = u[:, 2] < (1 + (1 - y).square()) / 2
    # ∫ 2π α² Y₊/(x Q⁴): the envelope with Y₊ = 2, times the share that is kept.
    envelope = 4 * math.pi * dis.FINE_STRUCTURE**2 * math.log(10) * (1 / 10 - 1 / 90)
    total = envelope * kept.double().mean()
    weight = dis.reduction(q2, x, y)[kept] * total / kept.sum()
    for low, high in ((10, 20), (20, 45), (45, 90)):
        for left, right in ((0.01, 0.03), (0.03, 0.1)):
            inside = (q2 > low) & (q2 < high) & (x > left) & (x < right)
            area = (high - low) * (right - left)
            assert weight[inside[kept]].sum() / area == pytest.approx(1, rel=0.03)


def test_w2_is_the_invariant_mass_of_the_hadrons() -> None:
    px, py, pz, _ = momenta(electrons(1000)).unbind(1)
    beam = torch.full_like(px, 50.0)
    x = dis.x_bj(px, py, pz, beam, beam)
    expected = dis.PROTON_MASS**2 + dis.q2(px, py, pz, beam) * (1 / x - 1)
    torch.testing.assert_close(dis.w2(px, py, pz, beam, beam), expected)


def test_q2_of_a_very_forward_electron_keeps_its_digits() -> None:
    # E' - pz' = 1e-12 GeV at E' = 50 GeV: the naive difference has no digit left.
    pt = torch.tensor([1e-5], dtype=torch.float64)
    pz = torch.tensor([50.0], dtype=torch.float64)
    q2 = dis.q2(pt, torch.zeros_like(pt), pz, torch.tensor([50.0], dtype=torch.float64))
    assert q2.item() == pytest.approx(100 * 1e-10 / 100, rel=1e-9)


def test_generated_q2_and_y_come_back() -> None:
    events = electrons(1000)
    px, py, pz, energy = momenta(events).unbind(1)
    beam = events.columns["beam_energy"]
    assert (dis.q2(px, py, pz, beam) >= 2.0 - 1e-9).all()
    x = dis.x_bj(px, py, pz, beam, beam)
    assert ((x > 0) & (x < 1)).all()
    assert kinematics.mass_shell_residual(px, py, pz, energy).max() < 1e-12
