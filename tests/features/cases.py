"""For each registered step: a setting of it, a schema, and events inside its domain."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.events import Events, EventSchema, Field, Group
from mleg_ray.features.steps import STEPS, Step, StepConfig
from mleg_ray.features.steps.base import Layout, Quantity
from tests.dis_events import (
    ELECTRON,
    HERA_SCHEMA,
    PAIRS,
    SCHEMA,
    electrons,
    hera_electrons,
    measured,
)

Columns = Mapping[str, Tensor]
MOST = 3
JETS = EventSchema(
    [
        Field(name="jet.pt", unit="GeV"),
        Field(name="jet.phi", unit="rad"),
        Field(name="jet.flavour", dtype="int8"),
        Field(name="energy", unit="GeV", role="condition"),
        Field(name="met", unit="GeV"),
    ],
    {"jet": Group(most=MOST, ordered_by="pt")},
)
SHOWERS = EventSchema(
    [
        Field(name="image", unit="GeV", shape=(2, 3, 3)),
        Field(name="energy", unit="GeV", role="condition"),
    ]
)
PHOTOPRODUCTION = DatasetSpec.load("gamma-p-to-p-pi-pi")


def jets(n: int, seed: int) -> Events:
    """Draw events of 0 to 3 jets, the hardest first, an energy above them, a missing momentum."""
    rng = torch.Generator().manual_seed(seed)
    present = torch.arange(MOST) < torch.randint(0, MOST + 1, (n, 1), generator=rng)
    u = torch.rand(3, n, MOST, generator=rng, dtype=torch.float64)
    columns = {
        "jet.pt": 20 * (-(u[0].sort(dim=1).values.log())) + 20,
        "jet.phi": math.pi * (2 * u[1] - 1),
        "jet.flavour": (u[2] < 0.3).to(torch.int8),
    }
    columns = {name: torch.where(present, column, 0) for name, column in columns.items()}
    energy = 500 + 100 * torch.rand(n, generator=rng, dtype=torch.float64)
    met = 5 + 50 * torch.rand(n, generator=rng, dtype=torch.float64)
    return Events(
        {**columns, "energy": energy, "met": met}, {"jet": present}, torch.ones(n).double()
    )


def heavy(n: int, seed: int) -> Events:
    """Draw the same with 100 GeV more of missing momentum."""
    events = jets(n, seed)
    return events.replacing((), {"met": events.columns["met"] + 100})


def no_jets(n: int, seed: int) -> Events:
    """Draw the same without any jet."""
    events = jets(n, seed)
    none = torch.zeros_like(events.present["jet"])
    gone = {k: torch.zeros_like(v) for k, v in events.columns.items() if k.startswith("jet.")}
    return Events({**events.columns, **gone}, {"jet": none}, events.weight)


def showers(n: int, seed: int) -> Events:
    """Draw images of 2 x 3 x 3 pixels, half of them empty."""
    rng = torch.Generator().manual_seed(seed)
    u = torch.rand(n, 2, 3, 3, generator=rng, dtype=torch.float64)
    image = torch.where(u < 0.5, 0.0, u)
    energy = 1 + torch.rand(n, generator=rng, dtype=torch.float64)
    return Events({"image": image, "energy": energy}, {}, torch.ones(n).double())


def pions(n: int, seed: int) -> Events:
    """Draw γ p -> p π⁺π⁻ at 3 GeV."""
    source = PHOTOPRODUCTION.source
    drawn = source.draw(np.random.default_rng(seed), n, {"photon_energy": 3.0})
    schema = PHOTOPRODUCTION.schema_
    return schema.events({name: torch.from_numpy(c) for name, c in drawn.items()}, {})


MUON = 0.10566  # GeV
CARTESIAN = ("px", "py", "pz")
TRANSVERSE = ("pt", "eta", "phi")
REST = [
    Field(name="met.px", unit="GeV"),
    Field(name="met.py", unit="GeV"),
    Field(name="iso"),
    Field(name="process", dtype="int8"),
    Field(name="jet.pt", unit="GeV"),
    Field(name="jet.eta"),
    Field(name="jet.phi", unit="rad"),
    Field(name="jet.iso"),
]
PAIR_GROUPS = {
    "mu1": Group(mass=MUON),
    "mu2": Group(mass=MUON),
    "met": Group(),
    "jet": Group(most=MOST, ordered_by="pt"),
}


def _of_muons(*parts: str) -> EventSchema:
    muons = [Field(name=f"{muon}.{part}") for muon in ("mu1", "mu2") for part in parts]
    return EventSchema([*muons, *REST], PAIR_GROUPS)


ENERGETIC = EventSchema(
    [Field(name=f"{group}.{part}") for group in ("mu1", "jet") for part in ("pt", "eta", "energy")],
    {"mu1": Group(mass=MUON), "jet": Group(most=MOST, ordered_by="pt")},
)
DIMUONS, POLAR = _of_muons(*CARTESIAN), _of_muons(*TRANSVERSE)


def polar(n: int, seed: int) -> Events:
    """Draw two muons, a missing momentum, jets, and isolations that are often zero."""
    rng = torch.Generator().manual_seed(seed)
    u = torch.rand(12, n, generator=rng, dtype=torch.float64)
    objects = jets(n, seed)
    present = objects.present["jet"]
    v = torch.rand(2, n, MOST, generator=rng, dtype=torch.float64)
    columns = {
        "mu1.pt": 20 - 20 * u[0].log(),
        "mu1.eta": 4 * u[1] - 2,
        "mu1.phi": math.pi * (2 * u[2] - 1),
        "mu2.pt": 20 - 10 * u[3].log(),
        "mu2.eta": 4 * u[4] - 2,
        "mu2.phi": math.pi * (2 * u[5] - 1),
        "met.px": 20 * (u[6] - 0.5),
        "met.py": 20 * (u[7] - 0.5),
        "iso": torch.where(u[8] < 0.4, 0.0, -u[9].log()),
        "process": (3 * u[10]).floor().to(torch.int8),
        "jet.pt": objects.columns["jet.pt"],
        "jet.eta": torch.where(present, 4 * v[0] - 2, 0),
        "jet.phi": objects.columns["jet.phi"],
        "jet.iso": torch.where(present & (v[1] > 0.5), v[1], 0),
    }
    return Events(columns, {"jet": present}, torch.ones(n).double())


def central(n: int, seed: int) -> Events:
    """Draw the same a little closer to the middle of the detector."""
    events = polar(n, seed)
    names = ("mu1.eta", "mu2.eta", "jet.eta")
    return events.replacing((), {name: 0.99 * events.columns[name] for name in names})


def energetic(n: int, seed: int) -> Events:
    """Draw jets of some mass, and one muon, with energies."""
    events = polar(n, seed)
    columns = events.columns
    jet, muon = (columns[f"{g}.pt"] * columns[f"{g}.eta"].cosh() for g in ("jet", "mu1"))
    mass = (0.1 + 0.2 * columns["jet.iso"]) * columns["jet.pt"]
    energies = {"jet.energy": torch.hypot(jet, mass), "mu1.energy": (muon**2 + MUON**2).sqrt()}
    names = [f"{group}.{part}" for group in ("mu1", "jet") for part in ("pt", "eta")]
    return Events(
        {**{name: columns[name] for name in names}, **energies}, events.present, events.weight
    )


def dimuons(n: int, seed: int) -> Events:
    """Draw the same in px, py and pz."""
    events = polar(n, seed)
    columns = dict(events.columns)
    for muon in ("mu1", "mu2"):
        pt, eta, phi = (columns.pop(f"{muon}.{part}") for part in TRANSVERSE)
        momentum = (pt * phi.cos(), pt * phi.sin(), pt * eta.sinh())
        columns |= {f"{muon}.{p}": v for p, v in zip(CARTESIAN, momentum, strict=True)}
    return Events(columns, events.present, events.weight)


def in_frame(n: int, seed: int) -> Events:
    """Draw the same with the second muon along +x."""
    events = dimuons(n, seed)
    pt = torch.hypot(events.columns["mu2.px"], events.columns["mu2.py"])
    return events.replacing((), {"mu2.px": pt, "mu2.py": torch.zeros_like(pt)})


OF_PAIR = ("pair.mass", "pair.acoplanarity", "pair.log_ratio_pt", "mu1.eta", "mu2.eta")
ACCEPTED = EventSchema(
    [Field(name=name) for name in OF_PAIR], {"pair": Group(), "mu1": Group(), "mu2": Group()}
)


def accepted(n: int, seed: int) -> Events:
    """Draw two massless particles of p_T > 20 within |η| < 2, as `pair` leaves them."""
    rng = torch.Generator().manual_seed(seed)
    u = torch.rand(5, n, generator=rng, dtype=torch.float64)
    pt2 = 20.01 - 10 * u[0].log()
    log_ratio = u[1].log() - 1e-6
    eta1, eta2, dphi = 4 * u[2] - 2, 4 * u[3] - 2, math.pi * (1.4 * u[4] + 0.3)
    opening = (eta1 - eta2).cosh() - dphi.cos()
    columns = {
        "pair.mass": (2 * pt2.square() / log_ratio.exp() * opening).sqrt(),
        "pair.acoplanarity": dphi / math.pi - 1,
        "pair.log_ratio_pt": log_ratio,
        "mu1.eta": eta1,
        "mu2.eta": eta2,
    }
    return Events(columns, {}, torch.ones(n).double())


def on_shell(columns: Columns) -> dict[str, Tensor]:
    """Give a massless electron its energy."""
    momentum = torch.stack([columns[name] for name in ELECTRON[:3]])
    return {**columns, ELECTRON[3]: momentum.square().sum(dim=0).sqrt()}


@dataclass(frozen=True)
class Case:
    """A step and events of its domain; `free` are the columns by which its Jacobian is.

    `complete` makes all columns of these; without free columns nothing continuous is changed.
    """

    config: StepConfig
    schema: EventSchema
    events: Callable[[int, int], Events]
    free: tuple[str, ...]
    complete: Callable[[Columns], dict[str, Tensor]] = dict
    exact: bool = True  # whether `inverse` undoes `forward`
    learns_of: Callable[[int, int], Events] | None = None  # if the domain is not all of it

    def build(self) -> Step:
        """Build the step for the schema; one that learns does so of other events."""
        objects = self.schema.objects
        columns = {
            f.name: Quantity((objects[f.group],) if f.group in objects else f.shape)
            for f in self.schema.fields
            if f.role in ("event", "condition")
        }
        step = self.config.build(Layout(columns, self.schema.groups))
        if step.learns:
            draw = self.learns_of or self.events
            step.learn([draw(5000, 11), draw(5000, 12)])
        return step


def _config(kind: str, **settings: object) -> StepConfig:
    return STEPS.parse({"kind": kind, **settings})


P = ELECTRON[:3]
HERA_BEAMS = {"electron_beam": "electron_beam", "proton_beam": "proton_beam"}
CASES: dict[str, list[Case]] = {
    "acceptance": [
        Case(
            _config("acceptance", groups=["mu1", "mu2"], pt=20.0, eta=2.5),
            ACCEPTED,
            accepted,
            ("pair.log_ratio_pt", "mu2.eta"),
        ),
    ],
    "atoms": [
        Case(_config("atoms", fields=["iso", "jet.iso"], at=[0.0]), DIMUONS, dimuons, ()),
    ],
    "angle": [Case(_config("angle", fields=["jet.phi"]), JETS, jets, ("jet.phi",))],
    "breakup": [
        Case(
            _config("breakup", parent="energy", product="met", other=173.0),
            JETS,
            heavy,
            ("met",),
        ),
    ],
    "category": [
        Case(_config("category", fields=["process"], levels=3), DIMUONS, dimuons, ()),
        Case(_config("category", fields=["jet.flavour"], levels=2), JETS, jets, ()),
    ],
    "count": [Case(_config("count", group="jet"), JETS, jets, ())],
    "dequantise": [
        Case(_config("dequantise", fields=["jet.flavour"], levels=2), JETS, jets, ()),
    ],
    "difference": [
        Case(_config("difference", field="met", to="energy"), JETS, jets, ("met",)),
    ],
    "dis-kinematic": [
        Case(_config("dis-kinematic"), SCHEMA, electrons, P, on_shell),
        Case(_config("dis-kinematic", m_hat_min=4.0), SCHEMA, electrons, P, on_shell),
        Case(
            _config("dis-kinematic", m_hat_min=4.0, q2_min=4.0, q2_smearing=0.1),
            SCHEMA,
            electrons,
            P,
            on_shell,
        ),
        Case(_config("dis-kinematic", **HERA_BEAMS), HERA_SCHEMA, hera_electrons, P, on_shell),
        Case(
            _config("dis-kinematic", **HERA_BEAMS, m_hat_min=4.0, y_min=0.05),
            HERA_SCHEMA,
            lambda n, seed: hera_electrons(n, seed, 0.05),
            P,
            on_shell,
        ),
    ],
    "dis-lightcone": [
        Case(_config("dis-lightcone"), SCHEMA, electrons, P, on_shell),
        Case(
            _config("dis-lightcone", electron_beam="electron_beam"),
            HERA_SCHEMA,
            hera_electrons,
            P,
            on_shell,
        ),
    ],
    "electron-response": [
        Case(_config("electron-response"), PAIRS, lambda n, seed: measured(n), P, on_shell)
    ],
    "gaussian-dequantise": [
        Case(_config("gaussian-dequantise", fields=["process"]), DIMUONS, dimuons, (), exact=False),
    ],
    "fraction": [Case(_config("fraction", fields=["met", "jet.pt"]), JETS, jets, ())],
    "gap": [
        Case(_config("gap", field="electron.pz", below="beam_energy"), SCHEMA, electrons, P[2:]),
        Case(_config("gap", field="met", below="energy"), JETS, jets, ("met",)),
    ],
    "interval": [
        Case(_config("interval", fields=["met"], low=1.0, high=60.0), JETS, jets, ("met",)),
        Case(_config("interval", fields=["jet.phi"], low=-4.0, high=4.0), JETS, jets, ("jet.phi",)),
    ],
    "logarithm": [
        Case(_config("logarithm", fields=["jet.pt", "met"]), JETS, jets, ("jet.pt", "met")),
        Case(_config("logarithm", fields=["met"], above=-1.0), JETS, jets, ("met",)),
    ],
    "mass": [
        Case(_config("mass", groups=["jet", "mu1"]), ENERGETIC, energetic, ("jet.energy",)),
    ],
    "mass-shell": [Case(_config("mass-shell", group="electron"), SCHEMA, electrons, ())],
    "ordered": [
        Case(_config("ordered", fields=["jet.pt"], above=20.0), JETS, jets, ("jet.pt",)),
        Case(
            _config("ordered", fields=["energy", "met"], above=-1.0),
            JETS,
            jets,
            ("energy", "met"),
        ),
    ],
    "pair": [
        Case(
            _config("pair", groups=["mu1", "mu2"], name="z"),
            POLAR,
            polar,
            ("mu1.pt", "mu2.pt", "mu2.phi"),
        ),
    ],
    "pion-pair": [Case(_config("pion-pair"), PHOTOPRODUCTION.schema_, pions, ())],
    "min-max": [
        Case(_config("min-max", fields=["jet.pt", "met"], high=60.0), JETS, jets, ("jet.pt", "met"))
    ],
    "pixels": [
        Case(
            _config("pixels", fields=["image"], scale=0.1, threshold=0.01),
            SHOWERS,
            showers,
            ("image",),
        ),
    ],
    "quantile": [
        Case(
            _config("quantile", fields=["mu1.pt", "jet.pt"], tail=0.005),
            POLAR,
            polar,
            ("mu1.pt", "jet.pt"),
        ),
        Case(
            _config("quantile", fields=["mu2.eta"], to="uniform", open=["high"], tail=0.005),
            POLAR,
            central,
            ("mu2.eta",),
            learns_of=polar,
        ),
        Case(
            _config("quantile", fields=["mu1.eta", "jet.eta"], open=[], tail=0.005),
            POLAR,
            central,
            ("mu1.eta", "jet.eta"),
            learns_of=polar,
        ),
    ],
    "ratio": [Case(_config("ratio", field="met", to="energy"), JETS, jets, ("met",))],
    "reflection": [
        Case(
            _config("reflection", by="mu1.pz", fields=["mu2.pz", "jet.eta"]), DIMUONS, dimuons, ()
        ),
    ],
    "rotation": [
        Case(
            _config("rotation", along="mu2", groups=["mu1", "met", "jet"]),
            DIMUONS,
            dimuons,
            ("mu2.px", "mu2.py", "mu1.px", "mu1.py", "met.px", "met.py", "jet.phi"),
        ),
        Case(
            _config("rotation", along="mu2", groups=["mu1", "met"]),
            POLAR,
            polar,
            ("mu2.phi", "mu1.phi", "met.px", "met.py"),
        ),
        Case(
            _config("rotation", along="mu2", groups=["mu1"], angle="dropped"), DIMUONS, in_frame, ()
        ),
    ],
    "scaled": [
        Case(_config("scaled", fields=["image"]), SHOWERS, showers, ("image",)),
        Case(_config("scaled", fields=["image"], scale=0.3), SHOWERS, showers, ("image",)),
    ],
    "shares": [Case(_config("shares", field="image"), SHOWERS, showers, ())],
    "slots": [Case(_config("slots", group="jet", above=20.0), DIMUONS, dimuons, ())],
    "spike": [
        Case(_config("spike", fields=["iso", "jet.iso"]), DIMUONS, dimuons, ()),
        Case(_config("spike", fields=["jet.iso"], above=0.5), DIMUONS, dimuons, ()),
    ],
    "symmetric-square": [Case(_config("symmetric-square", field="image"), SHOWERS, showers, ())],
    "typed-slots": [
        Case(_config("typed-slots", groups=["jet"], most=4, name="place"), JETS, jets, ())
    ],
    "spherical": [Case(_config("spherical", group="electron"), SCHEMA, electrons, P, on_shell)],
    "transverse": [
        Case(_config("transverse", group="mu1"), DIMUONS, dimuons, ("mu1.px", "mu1.py", "mu1.pz")),
        Case(_config("transverse", group="electron"), SCHEMA, electrons, P),
    ],
    "unary": [
        Case(_config("unary", fields=["process"], most=2), DIMUONS, dimuons, ()),
        Case(_config("unary", fields=["jet.flavour"], most=3), JETS, jets, ()),
    ],
    "uniform-dequantise": [
        Case(_config("uniform-dequantise", fields=["process"]), DIMUONS, dimuons, ()),
    ],
    "values": [
        Case(_config("values", fields=["process"], values=[0.0, 1.0, 2.0]), DIMUONS, dimuons, ()),
        Case(_config("values", fields=["jet.flavour"], values=[0.0, 1.0]), JETS, jets, ()),
    ],
    "zero-suppressed": [
        Case(_config("zero-suppressed", fields=["image"], threshold=0.3), SHOWERS, showers, ())
    ],
    "without": [Case(_config("without", groups=["jet"]), JETS, no_jets, ())],
}
