"""Random scattered electrons for tests: physical by construction, no generator needed."""

import math

import torch

from mleg_ray.events import Events, EventSchema, Field, Group, four_momentum

ELECTRON = four_momentum("electron")
FIELDS = (
    *(Field(name=name, unit="GeV") for name in ELECTRON),
    Field(name="beam_energy", unit="GeV", role="condition"),
)
HERA = {"electron": 27.5, "proton": 920.0}  # GeV
GROUPS = {"electron": Group(pdg_id=11, mass=0.0)}
SCHEMA = EventSchema(FIELDS, GROUPS)
VERTEX = four_momentum("vertex")
PAIRS = EventSchema(
    [*FIELDS[:4], *(Field(name=name, unit="GeV", role="condition") for name in VERTEX)],
    {**GROUPS, "vertex": Group(truth_of="electron")},
)
HERA_SCHEMA = EventSchema(
    [
        *FIELDS[:4],
        *(Field(name=f"{name}_beam", unit="GeV", role="condition") for name in HERA),
    ],
    GROUPS,
)
Q2_MIN = 2.0


def electrons(n: int, seed: int = 0, beam_energies: tuple[float, ...] = (50.0,)) -> Events:
    """Draw Q² like 1/Q⁴ above 2 GeV², y between Q²/s and 1, φ uniform; weights 1."""
    u = torch.rand(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    beam = torch.tensor(beam_energies, dtype=torch.float64)[torch.arange(n) % len(beam_energies)]
    return _scattered(u, beam, beam, {"beam_energy": beam})


def hera_electrons(n: int, seed: int = 0, y_min: float = 0.0) -> Events:
    """Draw the same of HERA's beams, with y above a least one."""
    u = torch.rand(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    beams = [torch.full((n,), energy, dtype=torch.float64) for energy in HERA.values()]
    names = (f"{name}_beam" for name in HERA)
    return _scattered(u, *beams, dict(zip(names, beams, strict=True)), y_min)


def _scattered(
    u: torch.Tensor,
    electron_beam: torch.Tensor,
    proton_beam: torch.Tensor,
    conditions: dict[str, torch.Tensor],
    y_min: float = 0.0,
) -> Events:
    s = 4 * electron_beam * proton_beam
    q2 = 1 / (1 / Q2_MIN - u[:, 0] * (1 / Q2_MIN - 1 / (0.9 * s)))
    # It stays a little inside y = Q²/s, that is x_bj = 1.
    y = (q2 / s).clamp(min=y_min) ** (0.999 * u[:, 1])
    plus, minus, phi = 2 * electron_beam * (1 - y), q2 / (2 * electron_beam), 2 * math.pi * u[:, 2]
    pt = (plus * minus).sqrt()
    parts = (pt * phi.cos(), pt * phi.sin(), (plus - minus) / 2, (plus + minus) / 2)
    columns = dict(zip(ELECTRON, parts, strict=True)) | conditions
    return Events(columns, {}, torch.ones(len(u), dtype=torch.float64))


def momenta(events: Events, names: tuple[str, ...] = ELECTRON) -> torch.Tensor:
    """Return columns of events as a matrix (n, their number)."""
    return torch.stack([events.columns[name] for name in names], dim=1)


def measured(n: int) -> Events:
    """Return electrons measured with 1% of p and 10 mrad, under those at the vertex."""
    true = momenta(electrons(n, 3))
    p, theta = true[:, 3], torch.acos(true[:, 2] / true[:, 3])
    phi = torch.atan2(true[:, 1], true[:, 0])
    z = torch.randn(n, 3, generator=torch.Generator().manual_seed(2)).double()
    p, theta, phi = p * (1 + 0.01 * z[:, 0]), theta + 0.01 * z[:, 1], phi + 0.01 * z[:, 2]
    pt = p * theta.sin()
    parts = (pt * phi.cos(), pt * phi.sin(), p * theta.cos(), p)
    columns = dict(zip(ELECTRON, parts, strict=True))
    columns |= dict(zip(VERTEX, true.unbind(1), strict=True))
    return Events(columns, {}, torch.ones(n, dtype=torch.float64))
