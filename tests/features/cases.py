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

    def build(self) -> Step:
        """Build the step for the schema."""
        objects = self.schema.objects
        columns = {
            f.name: Quantity((objects[f.group],) if f.group in objects else f.shape)
            for f in self.schema.fields
            if f.role in ("event", "condition")
        }
        return self.config.build(Layout(columns, self.schema.groups))


def _config(kind: str, **settings: object) -> StepConfig:
    return STEPS.parse({"kind": kind, **settings})


P = ELECTRON[:3]
HERA_BEAMS = {"electron_beam": "electron_beam", "proton_beam": "proton_beam"}
CASES: dict[str, list[Case]] = {
    "angle": [Case(_config("angle", fields=["jet.phi"]), JETS, jets, ("jet.phi",))],
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
    "mass-shell": [Case(_config("mass-shell", group="electron"), SCHEMA, electrons, ())],
    "pion-pair": [Case(_config("pion-pair"), PHOTOPRODUCTION.schema_, pions, ())],
    "pixels": [
        Case(
            _config("pixels", fields=["image"], scale=0.1, threshold=0.01),
            SHOWERS,
            showers,
            ("image",),
        ),
    ],
    "ratio": [Case(_config("ratio", field="met", to="energy"), JETS, jets, ("met",))],
    "spherical": [Case(_config("spherical", group="electron"), SCHEMA, electrons, P, on_shell)],
}
