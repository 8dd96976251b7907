"""The coordinates of a scattered electron under unequal beams, by values computed by hand."""

import math

import pytest
import torch

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from mleg_ray.features.steps import STEPS
from mleg_ray.features.steps.base import Layout, Quantity, Step
from mleg_ray.physics import dis
from tests.dis_events import ELECTRON, HERA_SCHEMA, hera_electrons
from tests.features.cases import HERA_BEAMS

S = 4 * 27.5 * 920  # GeV²


def step(kind: str, **settings: object) -> Step:
    columns = {field.name: Quantity() for field in HERA_SCHEMA.fields}
    return STEPS.parse({"kind": kind, **settings}).build(Layout(columns, HERA_SCHEMA.groups))


def scattered(q2: float, y: float, phi: float = 0.5) -> dict[str, torch.Tensor]:
    """Return an electron by its Q² = 2 E_e (E' - pz) and y = 1 - (E' + pz) / 2 E_e."""
    minus, plus = q2 / 55, 55 * (1 - y)
    pt = math.sqrt(minus * plus)
    numbers = (pt * math.cos(phi), pt * math.sin(phi), (plus - minus) / 2, (plus + minus) / 2)
    columns = dict(zip(ELECTRON, numbers, strict=True)) | {
        "electron_beam": 27.5,
        "proton_beam": 920.0,
    }
    return {name: torch.tensor([value]).double() for name, value in columns.items()}


@pytest.mark.parametrize(("q2", "y"), [(4.0, 0.3), (90.0, 0.06), (2500.0, 0.8)])
def test_light_cone_momenta_are_logarithms_of_q2_and_y(q2: float, y: float) -> None:
    made = step("dis-lightcone", electron_beam="electron_beam").encode(scattered(q2, y))
    # Alanazi 2022, eq. 24: ν1 = ln(E' - pz), ν2 = ln(2 E_e - E' - pz).
    assert made["electron.nu1"].item() == pytest.approx(math.log(q2 / 55))
    assert made["electron.nu2"].item() == pytest.approx(math.log(55 * y))
    assert made["electron.phi"].item() == pytest.approx(0.5 / math.pi)


@pytest.mark.parametrize(("q2", "y"), [(4.0, 0.3), (90.0, 0.06), (2500.0, 0.8)])
def test_kinematic_coordinates_are_those_of_the_formulas(q2: float, y: float) -> None:
    made = step("dis-kinematic", **HERA_BEAMS).encode(scattered(q2, y))
    tau, x = q2 / S, q2 / (S * y)
    share = math.log(x) / math.log(tau)
    expected = math.log((q2 - 2) / (1 - tau)), math.log(share / (1 - share))
    assert made["electron.u1"].item() == pytest.approx(expected[0])
    assert made["electron.u2"].item() == pytest.approx(expected[1])


@pytest.mark.parametrize("q2", [0.3, 1.9, 2.0, 2.2, 500.0])
def test_an_edge_of_q2_is_smeared_by_its_formula(q2: float) -> None:
    lone, columns = step("dis-kinematic", **HERA_BEAMS, q2_smearing=0.1), scattered(q2, 0.3)
    odds, least = q2 / (S - q2), 2 / (S - 2)
    r = 1 - least / odds
    rho = (r + math.sqrt(r**2 + 4 * 0.1**2)) / 2
    made = lone.encode(columns)
    assert made["electron.u1"].item() == pytest.approx(math.log((S - 2) * odds * rho))
    back = lone.decode(columns | made)
    px, py, pz, _ = back.values()
    assert dis.q2(px, py, pz, columns["electron_beam"]).item() == pytest.approx(q2)
    events = Events(columns, {}, torch.ones(1).double())
    assert not lone.outside(events)
    assert step("dis-kinematic", **HERA_BEAMS).outside(events).item() == (q2 <= 2)


@pytest.mark.parametrize(("q2", "y"), [(4.0, 0.3), (90.0, 0.06), (9000.0, 0.8)])
def test_a_cut_on_y_ends_the_range_of_its_logarithm(q2: float, y: float) -> None:
    made = step("dis-kinematic", **HERA_BEAMS, y_min=0.05).encode(scattered(q2, y))
    lowest = max(q2 / S, 0.05)  # of 9,000 GeV² it is Q²/s, 0.089
    share = 1 - math.log(y) / math.log(lowest)
    assert made["electron.u2"].item() == pytest.approx(math.log(share / (1 - share)))


@pytest.mark.parametrize(("q2", "y"), [(4.0, 0.3), (90.0, 0.06), (2500.0, 0.8)])
def test_a_critic_sees_the_gaps_to_the_beam(q2: float, y: float) -> None:
    lone, columns = step("dis-kinematic", **HERA_BEAMS), scattered(q2, y)
    seen = lone.view(columns | lone.encode(columns))
    pz = columns["electron.pz"].item()
    assert seen["electron.log_pz_gap"].item() == pytest.approx(math.log(27.5 - pz))
    # 4 E_p E_e (y - τ) is W² - M².
    names = (*ELECTRON[:3], "electron_beam", "proton_beam")
    hadrons = dis.w2(*(columns[name] for name in names)).item() - dis.PROTON_MASS**2
    assert seen["electron.log_energy_gap"].item() == pytest.approx(math.log(hadrons / (4 * 920)))


def test_whatever_is_generated_lies_within_the_cuts() -> None:
    lone = step("dis-kinematic", **HERA_BEAMS, m_hat_min=4.0, y_min=0.05)
    u = 6 * torch.randn(3, 5000, generator=torch.Generator().manual_seed(1)).double()
    columns = dict(zip(lone.writes, u, strict=True))
    for name, energy in (("electron_beam", 27.5), ("proton_beam", 920.0)):
        columns[name] = torch.full((5000,), energy).double()
    px, py, pz, _ = lone.decode(columns).values()
    y = dis.inelasticity(px, py, pz, columns["electron_beam"])
    x = dis.x_bj(px, py, pz, columns["electron_beam"], columns["proton_beam"])
    assert (dis.q2(px, py, pz, columns["electron_beam"]) >= 2 * (1 - 1e-9)).all()
    assert (y >= 0.05 * (1 - 1e-9)).all()
    assert (y <= 1).all()
    assert (x <= 1 + 1e-9).all()


def test_electrons_beyond_the_cut_on_y_are_outside() -> None:
    lone = step("dis-kinematic", **HERA_BEAMS, y_min=0.05)
    parts = [scattered(4.0, y) for y in (0.04, 0.06)]
    columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    assert lone.outside(Events(columns, {}, torch.ones(2).double())).tolist() == [True, False]


def test_a_mass_that_no_beams_reach_is_an_error() -> None:
    lone = step("dis-kinematic", **HERA_BEAMS, m_hat_min=400.0)
    with pytest.raises(ConfigError, match="no less than √s, which is 318.1"):
        lone.require(hera_electrons(10))
