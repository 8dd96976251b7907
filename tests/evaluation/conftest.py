"""Small samples with known differences, and datasets of random electrons on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mleg_ray.catalog.codec import of_events
from mleg_ray.catalog.dataset import PREPARED, SAMPLED, Dataset, DatasetManifest
from mleg_ray.catalog.shards import write_shard
from mleg_ray.definitions import Constraint, Definitions, Observable
from mleg_ray.evaluation.samples.sample import Axis, EventSample, from_arrays
from mleg_ray.events import EventSchema, Field
from mleg_ray.storage import write_json
from tests.dis_events import ELECTRON, FIELDS, GROUPS, SCHEMA, electrons

DEFINITIONS = Definitions(
    constraints={"x_limit": Constraint(expression="x <= 2")},
    selection={"x_cut": Constraint(expression="x <= 1")},
)
OBSERVABLES = {
    "pt": Observable(expression="kinematics.transverse_momentum(electron)", log=True),
    "q2": Observable(expression="dis.q2(electron, beam_energy)"),
    "x_bj": Observable(expression="dis.x_bj(electron, beam_energy, beam_energy)"),
    "mass_shell_residual": Observable(expression="kinematics.mass_shell_residual(electron)"),
}
ELECTRON_CONSTRAINTS = {
    "energy_below_beam": Constraint(expression="electron.energy <= beam_energy", tolerance=1e-5),
    "mass_shell": Constraint(expression="mass_shell_residual <= 1e-5"),
}


def gaussian(
    n: int, seed: int, *, shift: float = 0.0, correlation: float = 0.6, weighted: bool = False
) -> EventSample:
    """Two correlated standard normal columns; if `weighted`, a tenth of the weights is negative."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, n)
    y = correlation * (x - shift) + np.sqrt(1 - correlation**2) * rng.normal(0, 1, n)
    weights = np.where(rng.uniform(size=n) < 0.1, -1.0, 1.5) if weighted else np.ones(n)
    return from_arrays({"x": x, "y": y}, weights, axes=AXES, definitions=DEFINITIONS)


AXES = {"x": Axis(unit="GeV", label="x"), "y": Axis()}
JET_DEFINITIONS = Definitions(
    constraints={"acceptance": Constraint(expression="jet.eta <= 2.5")},
    selection={"jets": Constraint(expression="jet.count >= 1")},
)


def with_jets(
    n: int, seed: int, *, shift: float = 0.0, correlation: float = 0.6, weighted: bool = False
) -> EventSample:
    """Normal missing momentum and up to three jets: the more and the harder, the larger it is."""
    rng = np.random.default_rng(seed)
    met = rng.normal(shift, 1, n)
    count = rng.binomial(3, 1 / (1 + np.exp(-correlation * met)))
    owner = np.repeat(np.arange(n), count)
    pt = np.exp(0.4 * (correlation * met[owner] + rng.normal(0, 1, len(owner))))
    columns = {
        "met": met,
        "jet.count": count,
        "jet.pt": pt[np.lexsort((-pt, owner))],
        "jet.eta": rng.normal(0, 1 + shift / 2, len(owner)),
    }
    weights = np.where(rng.uniform(size=n) < 0.1, -1.0, 1.5) if weighted else np.ones(n)
    return from_arrays(columns, weights, definitions=JET_DEFINITIONS)


def with_images(
    n: int,
    seed: int,
    *,
    shift: float = 0.0,
    correlation: float = 0.6,
    weighted: bool = False,
    image: np.ndarray | None = None,
) -> EventSample:
    """An energy and 6 x 6 cells, of which up to four around the middle are lit, harder with it."""
    rng = np.random.default_rng(seed)
    energy = np.exp(rng.normal(shift, 0.5, n))
    place = np.rint(np.abs(rng.normal(0, 1, (n, 4, 2))) - 0.5).clip(0, 2).astype(int)
    above = rng.random((n, 4, 2)) < 0.5 + 0.2 * shift
    row, column = np.moveaxis(np.where(above, 3 + place, 2 - place), -1, 0)
    cells = np.zeros((n, 6, 6), dtype=np.float32)
    lit = rng.exponential(1 + shift, (n, 4)) * energy[:, None] ** correlation
    np.add.at(cells, (np.arange(n)[:, None], row, column), lit)
    weights = np.where(rng.uniform(size=n) < 0.1, -1.0, 1.5) if weighted else np.ones(n)
    columns = {"energy": energy, "image": cells if image is None else image}
    return from_arrays(columns, weights, axes=IMAGE_AXES, definitions=IMAGE_DEFINITIONS)


IMAGE_AXES = {
    "energy": Axis(condition=True),
    "total": Axis(derived=True),
    "response": Axis(derived=True),
    "occupancy": Axis(derived=True),
}
IMAGE_DEFINITIONS = Definitions(
    observables={
        "total": Observable(expression="images.total(image)"),
        "response": Observable(expression="detector.response(total, energy)"),
        "occupancy": Observable(expression="images.occupancy(image, 0.01)"),
    },
    constraints={"response": Constraint(expression="energy <= 3")},
    selection={"some": Constraint(expression="total > 1")},
)


def rebuilt(
    sample: EventSample, order: np.ndarray, factor: float = 1.0, **columns: np.ndarray
) -> EventSample:
    """The sample's events in another order, with weights times a factor, some columns replaced."""
    taken = {
        name: column.take(order).values
        for name, column in sample.columns.items()
        if not sample.axes[name].derived
    }
    taken |= {name: images.take(order).dense for name, images in sample.images.items()}
    return from_arrays(
        taken | columns,
        sample.weight[order] * factor,
        axes=sample.axes,
        definitions=sample.definitions,
    )


def joined(truth: np.ndarray, squares: np.ndarray) -> list[list[int]]:
    """The bins that χ² compares together, of the truth's Σw and Σw² by bin, by a loop over bins."""
    alone = [b for b in range(len(truth)) if truth[b] > 0 and truth[b] ** 2 / squares[b] >= 10]
    groups: list[list[int]] = [[]]
    for b in [b for b in range(len(truth)) if b not in alone]:
        groups[-1].append(b)
        weight, square = truth[groups[-1]].sum(), squares[groups[-1]].sum()
        if weight > 0 and weight**2 / square >= 10:
            groups.append([])
    alone.sort(key=lambda b: truth[b] ** 2 / squares[b])
    return [*groups[:-1], [*groups[-1], alone[0]], *([b] for b in alone[1:])]


# What makes samples, and two of their columns.
Toy = tuple[Callable[..., EventSample], str, str]
TOYS: dict[str, Toy] = {
    "numbers": (gaussian, "x", "y"),
    "objects": (with_jets, "jet.pt", "jet.eta"),
}

IMAGES: Toy = (with_images, "energy", "total")

DatasetMaker = Callable[..., Dataset]


@pytest.fixture
def make_dataset(tmp_path: Path) -> DatasetMaker:
    """Write electrons as a dataset of four shards, half of them test."""

    def make(
        name: str,
        events: int = 4000,
        seed: int = 0,
        *,
        sampled: bool = False,
        fields: tuple[Field, ...] = FIELDS,
        conditions: dict[str, float] | None = None,
        smearing: float = 0.0,
        checkpoint: dict[str, str] | None = None,
    ) -> Dataset:
        noise = np.random.default_rng(seed).normal(1, smearing, events) if smearing else 1.0
        drawn = of_events(electrons(events, seed), SCHEMA)
        columns = {key: values * noise for key, values in drawn.items() if key in ELECTRON}
        folder = tmp_path / name
        shards = [
            write_shard(
                str(folder),
                f"{i}.parquet",
                {key: values[i::4] for key, values in columns.items()},
                EventSchema(fields, GROUPS).without({f.name for f in fields if f.role != "event"}),
                {},
                split="test" if i % 2 else "train",
            )
            for i in range(4)
        ]
        manifest = DatasetManifest(
            name=name,
            fields=fields,
            groups=GROUPS,
            conditions={"beam_energy": 50.0} if conditions is None else conditions,
            observables=OBSERVABLES,
            constraints=ELECTRON_CONSTRAINTS,
            provenance={"checkpoint": checkpoint or {}},
            shards=shards,
        )
        write_json(
            str(folder / (SAMPLED if sampled else PREPARED)), manifest.model_dump(mode="json")
        )
        return Dataset.open(str(folder))

    return make
