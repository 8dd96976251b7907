"""Inclusive deep-inelastic scattering e p -> e' X from Pythia 8 (an optional package, GPL)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field as Option
from pydantic import PositiveFloat, PositiveInt

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import (
    SOURCES,
    Source,
    SourceConfig,
    cut,
    divide,
)
from mleg_ray.catalog.sources.beams import (
    ELECTRON,
    HeadOnBeams,
    require_energies,
    scattered_electron,
)
from mleg_ray.catalog.sources.drawn import require_schema
from mleg_ray.errors import ConfigError, DataError, library
from mleg_ray.events import EventSchema, conversion
from mleg_ray.randomness import derive_seed

ELECTRON_ID, PROTON_ID = 11, 2212  # Particle Data Group numbers
MAX_SEED = 900_000_000  # Pythia's own limit
MB_GEV2 = 0.389379372  # (ħc)², mb GeV²: Particle Data Group
MOST_OUTSIDE = 1000  # events, for one that fulfils the cut on y


@SOURCES.register
class PythiaDISConfig(HeadOnBeams, SourceConfig):
    """The scattered electron of head-on e p collisions.

    `q2_min` (GeV²) and `m_hat_min` (GeV) are Pythia's cuts on the hard process: Q² > q2_min, and
    x s > m_hat_min² up to parton showers, so that a cut on the mass is a cut on small x. Events
    whose electron keeps more than 1 - `y_min` of its energy, as y tells, are left out.
    `beam_energies` (GeV) are the strata of a dataset whose beams' energies vary: one number for
    both, or the electron's and the proton's; where these are fixed conditions of the dataset they
    stay empty. `events` counts all strata. `pdf` is Pythia's number of the proton's parton
    distributions, by default NNPDF2.3 QCD+QED LO.
    """

    kind: Literal["pythia-dis"] = "pythia-dis"
    events: PositiveInt
    q2_min: PositiveFloat
    m_hat_min: float = Option(ge=0)
    y_min: float = Option(0.0, ge=0, lt=1)
    pdf: PositiveInt = 13
    beam_energies: tuple[PositiveFloat | tuple[PositiveFloat, PositiveFloat], ...] = ()
    seed: int

    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless the fields are an electron's and the beams are known."""
        units = {field.name: field.unit for field in schema.fields}
        require_schema(self.kind, schema, scattered_electron(self.beams, units))
        if bool(conditions) == bool(self.beam_energies):
            keys = " and ".join(f"conditions.{name}" for name in self.beams)
            raise ConfigError(
                f"beam_energies: give the beam energy once, here to let it vary, or else as {keys}"
            )
        if conditions:
            require_energies(self.kind, self.beams, conditions)
        if len(self.beams) == 1 and not all(isinstance(e, float) for e in self.beam_energies):
            raise ConfigError(
                f"beam_energies: '{self.electron_beam}' is the energy of both beams, so each is "
                "one number; name electron_beam and proton_beam apart for two"
            )
        for name, unit in units.items():
            conversion("GeV", unit, f"kind: {self.kind} makes the field '{name}'")

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> "PythiaDIS":
        """Build the source; `UserError` if Pythia is not installed."""
        units = {field.name: field.unit for field in schema.fields}
        scales = {name: conversion("GeV", units[name], name) for name in (*ELECTRON, *self.beams)}
        if conditions:
            names = (self.electron_beam, self.proton_beam)
            energies = [tuple(conditions[name] / scales[name] for name in names)]
        else:
            energies = [e if isinstance(e, tuple) else (e, e) for e in self.beam_energies]
        return PythiaDIS(self, energies, scales, shard_events)

    @property
    def settings(self) -> dict[str, str]:
        """Pythia's settings but for the beams' energies and the seed."""
        return dis_settings(self.q2_min, self.m_hat_min, self.pdf)

    def planned_events(self) -> int:
        """Return how many events there will be."""
        return self.events


class PythiaDIS(Source):
    """One freshly initialised Pythia a shard: 0.25 s each, and no shard depends on another."""

    def __init__(
        self,
        config: PythiaDISConfig,
        energies: Sequence[tuple[float, ...]],
        scales: Mapping[str, float],
        shard_events: int,
    ) -> None:
        self._config = config
        self._energies = energies
        self._scales = scales
        self._shard_events = shard_events
        # The energy enters, so that datasets at different energies are independent even if their
        # tables name the same seed.
        self._first_seeds = [
            derive_seed(config.seed, f"pythia {' on '.join(f'{e:g}' for e in told)} GeV") % MAX_SEED
            for told in map(self._told, energies)
        ]
        self._version = f"{_pythia().settings.parm('Pythia:versionNumber')}"

    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of each shard, one stratum a beam energy."""
        events = divide(self._config.events, len(self._energies))
        return [cut(rows, self._shard_events) for rows in events]

    def shard(self, index: int) -> Columns:
        """Generate the scattered electrons of shard `index`."""
        stratum, number = self.locate(index)
        rows = self.shard_rows()[stratum][number]
        electrons = _generate(self._settings(index), rows, self._config.y_min)
        columns = {name: electrons[:, i] for i, name in enumerate(ELECTRON)}
        beams = dict(zip(self._config.beams, self._told(self._energies[stratum]), strict=True))
        columns |= {name: np.full(rows, energy) for name, energy in beams.items()}
        return {name: values * self._scales[name] for name, values in columns.items()}

    def seed(self, index: int) -> int:
        """Return Pythia's seed of shard `index`: no two shards of an energy have the same."""
        stratum, number = self.locate(index)
        return (self._first_seeds[stratum] + number) % MAX_SEED + 1

    def provenance(self) -> dict[str, Any]:
        """Return Pythia's version and every setting that differs from its defaults."""
        settings = self._config.settings
        return {
            "generator": f"Pythia {self._version}",
            "settings": settings,
            "y_min": self._config.y_min,
            "beam_energies_gev": [
                told[0] if len(told) == 1 else list(told)
                for told in map(self._told, self._energies)
            ],
            "seed": self._config.seed,
            "first_seeds": [first + 1 for first in self._first_seeds],
        }

    def _settings(self, index: int) -> dict[str, str]:
        energies = self._energies[self.locate(index)[0]]
        return self._config.settings | _of_beams(energies, self.seed(index))

    def _told(self, energies: tuple[float, ...]) -> tuple[float, ...]:
        """Return the energies of the electron and the proton, or the one of both."""
        return energies[: len(self._config.beams)]


def dis_settings(q2_min: float, m_hat_min: float, pdf: int = 13) -> dict[str, str]:
    """Return Pythia's settings for neutral-current DIS without QED radiation.

    The process is t-channel γ*/Z exchange with Q² above a cut, showered with dipole recoil, which
    leaves Q² alone (B. Cabouat, T. Sjöstrand, arXiv:1710.00391). Photon emission is off for the
    lepton, so that its momentum tells Q² and x, and for initial-state quarks, whose recoil would
    raise or lower the electron's Q² in 0.9% of the events. Hadronisation comes after the electron
    is final, and is left out.
    """
    return {
        "Print:quiet": "on",
        "Beams:frameType": "2",
        "Beams:idA": f"{ELECTRON_ID}",
        "Beams:idB": f"{PROTON_ID}",
        "WeakBosonExchange:ff2ff(t:gmZ)": "on",
        "PhaseSpace:Q2Min": f"{q2_min}",
        "PhaseSpace:mHatMin": f"{m_hat_min}",
        "PDF:lepton": "off",
        "PDF:pSet": f"{pdf}",
        "TimeShower:QEDshowerByL": "off",
        "SpaceShower:QEDshowerByL": "off",
        "SpaceShower:QEDshowerByQ": "off",
        "SpaceShower:dipoleRecoil": "on",
        "SpaceShower:pTmaxMatch": "2",
        "HadronLevel:all": "off",
    }


def cross_section(config: PythiaDISConfig, conditions: Mapping[str, float], events: int) -> float:
    """Return the cross section in GeV⁻² of the hard process under fixed conditions in GeV.

    Pythia learns it from as many `events`, and better the more there are. It is that of all y.

    Raises:
        ConfigError: Pythia finds no phase space.
    """
    energies = conditions[config.electron_beam], conditions[config.proton_beam]
    pythia = _initialised(config.settings | _of_beams(energies, config.seed % MAX_SEED + 1))
    for _ in range(events):
        pythia.next()
    return float(pythia.infoPython().sigmaGen()) / MB_GEV2


def _of_beams(energies: Sequence[float], seed: int) -> dict[str, str]:
    electron, proton = energies
    return {
        "Beams:eA": f"{electron}",
        "Beams:eB": f"{proton}",
        "Random:setSeed": "on",
        "Random:seed": f"{seed}",
    }


def _initialised(settings: Mapping[str, str]) -> Any:  # noqa: ANN401 - Pythia has no types
    pythia = _pythia()
    for key, value in settings.items():
        assert pythia.readString(f"{key} = {value}"), key
    if not pythia.init():
        raise ConfigError(
            "source pythia-dis: Pythia finds no phase space for these beams and cuts: "
            + ", ".join(
                f"{key} = {settings[key]}" for key in ("Beams:eA", "Beams:eB", "PhaseSpace:Q2Min")
            )
        )
    return pythia


def _generate(settings: Mapping[str, str], rows: int, y_min: float) -> np.ndarray:
    """Return scattered electrons' (px, py, pz, E) in GeV with y >= y_min, shape (rows, 4)."""
    pythia = _initialised(settings)
    electrons = np.empty((rows, 4))
    most = 2 * float(settings["Beams:eA"]) * (1 - y_min)  # of E' + pz
    row = failures = outside = 0
    while row < rows:
        if not pythia.next():  # rare, below 1 in 1,000: a shower gave up
            failures += 1
            if failures > rows + 100:
                raise DataError("source pythia-dis: Pythia rejects more events than it makes")
            continue
        electron = _scattered_electron(pythia.event)
        if y_min and electron.e() + electron.pz() > most:
            outside += 1
            if outside > MOST_OUTSIDE * (row + 1):
                raise DataError(
                    f"source pythia-dis: hardly an event has y >= {y_min:g}; lower its y_min"
                )
            continue
        electrons[row] = electron.px(), electron.py(), electron.pz(), electron.e()
        row += 1
    return electrons


def _scattered_electron(event: Any) -> Any:  # noqa: ANN401 - Pythia's classes have no types
    """Return the last copy of the electron that leaves the hard process, entries 5 and 6."""
    outgoing = event[5] if event[5].id() == ELECTRON_ID else event[6]
    return event[outgoing.iBotCopyId()]


def _pythia() -> Any:  # noqa: ANN401 - an optional package without types
    return library("pythia8mc", "source pythia-dis", extra="pythia").Pythia("", False)  # no banner
