"""`mleg fit` of tables as they come, beside CTGAN, TVAE and a Gaussian copula of the same minutes.

Of each table `mleg fit` makes the train and test split, and trains with no option but its minutes;
the rivals learn the train split for as long. Each generates as many events as that has, and is
judged by the test split: of the three classifiers' areas under the ROC curve (AUC) the largest, and
the share of events beyond an end or off a mass shell that `mleg fit` found.

Beside them are other true events (the train split: what any generator is limited by), a bootstrap
of these, and events of which each column is that of another. Weights, also negative, are given to
the rivals as one more column, objects as columns that are padded with zero. Events a second: from
noise to columns in memory, by one process.
"""

import contextlib
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.common.options import Stored, generated, one_of
from benchmarks.common.results import Results, Row, estimate, timed
from benchmarks.common.table_rivals import Rival, Table, rivals
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.sources.readers import Lists
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.session import ray_session
from mleg_ray.commands.fit import fit
from mleg_ray.evaluation.samples.datasets import from_events, independent_fields
from mleg_ray.evaluation.samples.sample import EventSample
from mleg_ray.evaluation.scorecards import scorecard, worst
from mleg_ray.events import Events, group_of
from mleg_ray.fitting.slots import SLOT
from mleg_ray.fitting.tables import read_all

Array = NDArray[Any]

SEED = 1
TOY_EVENTS = 20_000
JETS = 5
WEIGHT = "weight"


def in_files(*paths: str) -> Callable[["Asked"], list[str] | None]:
    """Return a table in files below the root."""

    def files(options: "Asked") -> list[str] | None:
        places = [options.root / path for path in paths] if options.root else []
        return (
            [str(place) for place in places] if places and all(map(Path.exists, places)) else None
        )

    return files


def flat_part(path: str) -> Callable[["Asked"], Table | None]:
    """Return the columns of one number an event, those of lists left out."""

    def columns(options: "Asked") -> Table | None:
        found = in_files(path)(options)
        if found is None:
            return None
        table = read_all(found[0]).columns
        return {name: x for name, x in table.items() if not isinstance(x, Lists)}

    return columns


def muon_pairs(options: "Asked") -> Table:
    """Return both muons, vertices, missing momentum and jets, zero where there is none.

    Hashemi et al., arXiv:1901.05282, rotate one muon's p_y away: these 18 columns then are 17.
    """
    events = options.prepared("zmumu-13tev").load()
    columns = {name: x.numpy() for name, x in events.columns.items() if "jet" not in name}
    momenta = {
        name.replace(".", "_"): x for name, x in columns.items() if not name.endswith("charge")
    }
    jets = np.where(events.present["jet"], events.columns["jet.pt"], 0.0)
    return momenta | {f"jet{k + 1}_pt": jets[:, k] for k in range(JETS)}


def toy(options: "Asked") -> Table:
    """Return spikes, whole numbers, angles and weights of both signs, none of them independent."""
    n = options.few(TOY_EVENTS)
    rng = np.random.default_rng(SEED)
    scale = rng.lognormal(3.0, 0.5, n)
    objects = rng.poisson(scale / 10)
    charge = rng.choice([-1, 1], n)
    isolation = rng.exponential(0.1 * (1 + objects))
    score = rng.beta(2.0, 1.0 + objects)
    return {
        "scale": scale,
        "objects": objects,
        "charge": charge,
        "isolation": np.where(rng.random(n) < 0.4, 0.0, isolation),
        "score": np.where(objects == 0, -999.0, score),
        "phi": rng.vonmises(charge * math.pi / 2, scale / 20),
        WEIGHT: np.where(rng.random(n) < 0.2 * score, -1.0, 1.0),
    }


TABLES: Mapping[str, Callable[["Asked"], Table | list[str] | None]] = {
    "tape2": in_files("fat-gan/tape2.txt"),
    "cms-muons": in_files("cms-open-data/Zmumu_Run2011A.csv"),
    "cms-masses": in_files("cms-open-data/Zmumu_Run2011A_masses.csv"),
    "hzz": flat_part("root/uproot-HZZ.root"),
    "zmumu-13tev": muon_pairs,
    "toy": toy,
}


@dataclass(frozen=True, kw_only=True)
class Asked(Stored):
    """Which tables, and for how long."""

    root: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of fat-gan/, cms-open-data/ and root/, not part of the project.",
        ),
    ] = None
    tables: Annotated[
        list[str],
        typer.Option(
            "--table",
            default_factory=lambda: list(TABLES),
            show_default="all",
            callback=one_of(TABLES),
            help="Repeatable.",
        ),
    ]
    minutes: Annotated[float, typer.Option(min=0.01, help="Of each training.")] = 5.0

    keeps = True

    @property
    def values(self) -> Mapping[str, object]:
        """How long is trained."""
        return {"minutes": self.minutes}

    def session(self) -> contextlib.AbstractContextManager[None]:
        """Return a connected Ray."""
        return ray_session()


def measure(options: Asked, results: Results) -> None:
    """Fit each table, let its rivals learn the same events, and judge all."""
    others = rivals()
    for name in options.tables:
        table = TABLES[name](options)
        if table is None:
            print(f"{name} is left out: its events are not below --root")
            continue
        judge, checkpoint = fitted(name, table, options.minutes)
        generated(checkpoint, 1, SEED)  # the first ones are slower
        own, seconds = timed(partial(generated, checkpoint, len(judge.train), SEED))
        cost = {"training s": checkpoint.card.seconds, "events/s": len(own) / seconds}
        results.add({"table": name, "events": "mleg fit"}, judge.figures(own) | cost)
        for rival, learn in others.items():
            made, cost = judge.rival(learn, 60 * options.minutes)
            results.add({"table": name, "events": rival}, judge.figures(made) | cost)
        for null, events in judge.nulls().items():
            results.add({"table": name, "events": null}, judge.figures(events))


def fitted(name: str, table: Table | list[str], minutes: float) -> tuple["Judge", Checkpoint]:
    """Fit in a new folder that is deleted; return what judges, and what was trained."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        found = fit(table, name=name, minutes=minutes, yes=True, storage="storage")
        assert found is not None
        return Judge(found.dataset), Checkpoint.load(found.checkpoint)


class Judge:
    """Compares events with the test split of a dataset, and teaches rivals its train split."""

    def __init__(self, dataset: Dataset) -> None:
        self._manifest, self._fields = dataset.manifest, dataset.schema.event
        self._objects = dataset.schema.objects
        self._weighted = dataset.schema.weight is not None
        self.train = dataset.load("train")
        self._truth = self._sample(dataset.load("test"))

    def figures(self, events: Events) -> Row:
        """Return the worst classifier's AUC and the share of unphysical events."""
        card = scorecard(self._truth, self._sample(events), metrics=("c2st_auc", "unphysical_rate"))
        classifier, area = worst(card.figures["c2st_auc"])
        unphysical = estimate(card.figures["unphysical_rate"]["any"])
        return {"classifier": classifier, "AUC": estimate(area), "unphysical": unphysical}

    def rival(self, learn: Rival, seconds: float) -> tuple[Events, Row]:
        """Return as many events of a rival as the train split has, and what they cost."""
        table = self._table(self.train)
        sample, training = timed(lambda: learn(table, seconds, SEED))
        made, sampling = timed(lambda: sample(len(self.train)))
        cost = {"training s": training, "events/s": len(self.train) / sampling}
        return self._events(made), cost

    def _table(self, events: Events) -> Table:
        """Return events as columns of numbers: of a field of objects one for each, padded."""
        table: dict[str, Array] = {}
        for name in self._fields:
            slots = events.columns[name].reshape(len(events), -1).unbind(dim=1)
            table |= {f"{name}{SLOT}{k}": x.numpy() for k, x in enumerate(slots)}
        return table | ({WEIGHT: events.weight.numpy()} if self._weighted else {})

    def _events(self, table: Table) -> Events:
        """Return the events of such columns; what orders objects is above zero where one is."""
        columns = {name: torch.from_numpy(x) for name, x in table.items()}
        n = len(next(iter(columns.values())))
        weight = columns.pop(WEIGHT, torch.ones(n).double())
        slots: dict[str, list[torch.Tensor]] = {}
        for name, column in columns.items():
            slots.setdefault(name.partition(SLOT)[0], []).append(column)
        columns = {name: torch.stack(parts, dim=1) for name, parts in slots.items()}
        present = {}
        for group in self._objects:
            by = columns[f"{group}.{self._manifest.groups[group].ordered_by}"]
            order = by.argsort(dim=1, descending=True, stable=True)
            present[group] = there = by.gather(1, order) > 0
            for name in [name for name in columns if group_of(name) == group]:
                columns[name] = torch.where(there, columns[name].gather(1, order), 0.0)
        alone = {n: x[:, 0] for n, x in columns.items() if group_of(n) not in self._objects}
        return Events(columns | alone, present, weight)

    def nulls(self) -> dict[str, Events]:
        """Return what limits any generator, and what needs none."""
        rng = np.random.default_rng(SEED)
        rows = torch.from_numpy(rng.integers(len(self.train), size=len(self.train)))
        return {
            "true": self.train,
            "bootstrap": self.train[rows],
            "independent": independent_fields(self.train, self._fields, rng),
        }

    def _sample(self, events: Events) -> EventSample:
        return from_events(events.choose(self._fields), self._manifest)
