"""The events that are compared, and what their numbers mean."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.shards import ShardEntry
from mleg_ray.config import Config, parse
from mleg_ray.errors import DataError
from mleg_ray.evaluation.distances import FloatArray
from mleg_ray.evaluation.histograms import Histogram
from mleg_ray.evaluation.tally import FineBins, Tally, merge
from mleg_ray.evaluation.unphysical import UnphysicalTally
from mleg_ray.events import Field
from mleg_ray.physics.observables import Definitions, Plane
from mleg_ray.randomness import derive_seed

MAX_EVENTS = 100_000
READ_SHARDS = 8  # at least, of a dataset with tallies
NO_DEFINITIONS = Definitions()


class Frame(Protocol):
    """What columns need to be: a mapping or a data frame."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the names."""
        ...

    def __getitem__(self, name: Any, /) -> Any:  # noqa: ANN401 - a column of any kind
        """Return a column."""
        ...


# Named columns (n,), or a matrix (n, d) whose columns are then called x0, x1 ...
Columns = Frame | NDArray[Any]


class Axis(Config):
    """How an observable is read and drawn: unit ("1" if none), LaTeX label, logarithmic or not.

    `derived` says that it is a function of the other columns.
    """

    unit: str = "1"
    label: str = ""
    log: bool = False
    description: str = ""
    derived: bool = False

    def edges(self, low: float, high: float, bins: int) -> FloatArray:
        """Return the edges (bins + 1,) of bins that are equal on the axis's own scale."""
        space = np.geomspace if self.log and low > 0 else np.linspace
        edges: FloatArray = space(low, high, bins + 1)
        return edges


class Origin(Config):
    """Where a sample comes from; `events` exist there, `compared` of them were drawn at random."""

    name: str
    events: int
    compared: int
    uri: str | None = None
    dataset_digest: str | None = None
    split: str | None = None
    conditions: dict[str, float] = {}
    provenance: dict[str, Any] = {}


@dataclass(frozen=True)
class Sample:
    """Events as named columns of shape (n,) with `weight` (n,), all float64.

    The events are in a canonical order, so that every figure, its seeded choices included, depends
    on which events there are and not on how they were stored. `unphysical` has counted all events
    of the origin, not only those drawn; so has `tally`, if the sample, or the one it
    judges, was written with one.
    """

    columns: Mapping[str, FloatArray]
    weight: FloatArray
    axes: Mapping[str, Axis]
    unphysical: UnphysicalTally
    origin: Origin
    definitions: Definitions = NO_DEFINITIONS
    tally: Tally | None = None

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def counted(self) -> int:
        """The number of events that a tally has counted, else of those drawn."""
        return self.tally.events if self.tally else len(self)

    def histogram(self, name: str, edges: FloatArray) -> Histogram:
        """Return the drawn events below, between and above `edges`, shape (len(edges) + 1,).

        What is not a number counts as above.
        """
        index = np.searchsorted(edges, self.columns[name], side="right")
        return Histogram.fill(index, self.weight, len(edges) + 1)

    def cells(self, plane: Plane) -> Histogram:
        """Return all counted events by the bins of a plane, shape (cells,)."""
        if self.tally is not None:
            return self.tally.planes[plane.name]
        index = plane.index(self.columns[plane.x], self.columns[plane.y])
        return Histogram.fill(index, self.weight, plane.cells)


class Binned(NamedTuple):
    """Both samples in the same bins: below, between and above `edges`, each (len(edges) + 1,).

    `events` generated ones were counted.
    """

    edges: FloatArray
    truth: Histogram
    generated: Histogram
    events: int


def from_arrays(
    columns: Columns,
    weights: ArrayLike | None = None,
    *,
    axes: Mapping[str, Axis] | None = None,
    definitions: Definitions | Mapping[str, Any] = NO_DEFINITIONS,
    name: str = "arrays",
) -> Sample:
    """Make a sample of plain columns, or of a data frame, of any generator.

    Columns have shape (n,), weights too (1 if absent); a matrix (n, d) has columns x0, x1 ...
    `axes` chooses what is compared, by default every column and the `definitions`' observables that
    have a label; constraints may use every column, planes and objects what is compared. Definitions
    may be given as a catalog entry's tables, a mapping.

    Raises:
        ConfigError: the definitions are not valid.
        DataError: lengths differ, a column of `axes` is absent, or a weight is not finite.
    """
    if not isinstance(definitions, Definitions):
        definitions = parse(Definitions, definitions, f"{name}: definitions")
    if axes is not None and not axes:
        raise DataError(f"{name}: axes names nothing to compare")
    if isinstance(columns, np.ndarray):
        if columns.ndim != 2:
            raise DataError(f"{name}: a matrix (n, d) or columns are needed, not {columns.shape}")
        columns = {f"x{i}": column for i, column in enumerate(columns.T)}
    arrays = {str(key): _numeric(name, key, columns[key]) for key in columns}
    shapes = {key: array.shape for key, array in arrays.items()}
    n = len(next(iter(arrays.values()), ()))
    weight = np.ones(n) if weights is None else _numeric(name, "weights", weights)
    for key, shape in (shapes | {"weights": weight.shape}).items():
        if shape != (n,):
            raise DataError(f"{name}: column '{key}' has shape {shape}, not ({n},) as the first")
    if not np.isfinite(weight).all():
        raise DataError(f"{name}: weight not finite, first in row {np.argmin(np.isfinite(weight))}")
    largest = np.abs(weight).max(initial=0.0)
    if not 1e-100 < largest < 1e100 and largest != 0:
        raise DataError(f"{name}: weights as large as {largest:g}; multiply all by a common factor")
    definitions.check(arrays, axes if axes is not None else arrays)
    tensors = definitions.columns({key: torch.from_numpy(array) for key, array in arrays.items()})
    if axes is None:
        axes = {key: Axis() for key in arrays} | derived_axes(definitions)
    missing = [key for key in axes if key not in tensors]
    if missing:
        raise DataError(f"{name}: no column '{missing[0]}'; there are {', '.join(tensors)}")
    tally = UnphysicalTally.of(tensors, list(arrays), torch.from_numpy(weight), definitions)
    everything = {key: column.numpy() for key, column in tensors.items()}
    origin = Origin(name=name, events=n, compared=n)
    return _ordered(Sample(everything, weight, axes, tally, origin, definitions))


def from_dataset(
    dataset: Dataset,
    split: str | None = None,
    *,
    seed: int,
    max_events: int = MAX_EVENTS,
    bins: FineBins | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Sample:
    """Draw at most `max_events` random events of a split; count the unphysical among all of them.

    With the `bins` of another sample's tally, all events are counted in these too. The dataset is
    read once, shard by shard; `progress` hears how many events are done.
    """
    total = dataset.rows(split)
    rng = np.random.default_rng(derive_seed(seed, "evaluate/draw"))
    chosen = np.sort(rng.choice(total, min(total, max_events), replace=False, shuffle=False))
    manifest = dataset.manifest
    axes = compared_axes(manifest.fields, manifest.conditions, manifest)
    parts: list[dict[str, FloatArray]] = []
    weights: list[FloatArray] = []
    unphysical: UnphysicalTally | None = None
    tally: Tally | None = None
    done = 0
    for batch in dataset.batches(split):
        table = dataset.table(batch)
        counted = UnphysicalTally.of(
            {name: torch.from_numpy(column) for name, column in table.items()},
            dataset.schema.event,
            batch.weight,
            manifest,
        )
        unphysical = counted if unphysical is None else unphysical + counted
        if bins is not None:
            part = Tally.of(table, bins, manifest.planes, counted, batch.weight.numpy())
            tally = part if tally is None else tally + part
        first, last = np.searchsorted(chosen, (done, done + len(batch)))
        rows = chosen[first:last] - done
        parts.append({name: table[name][rows] for name in axes})
        weights.append(batch.weight.numpy()[rows])
        done += len(batch)
        progress(done)
    assert unphysical is not None  # Dataset.batches yields at least one batch or raises
    origin = Origin(
        name=dataset.manifest.name,
        events=total,
        compared=len(chosen),
        uri=dataset.uri,
        dataset_digest=dataset.digest,
        split=split,
        conditions=dataset.manifest.conditions,
        provenance=dataset.manifest.provenance,
    )
    columns = {name: np.concatenate([part[name] for part in parts]) for name in axes}
    weight = np.concatenate(weights)
    definitions = manifest.definitions
    return _ordered(Sample(columns, weight, axes, unphysical, origin, definitions, tally))


def from_tallies(
    dataset: Dataset,
    *,
    seed: int,
    max_events: int = MAX_EVENTS,
    progress: Callable[[int], None] = lambda rows: None,
) -> Sample:
    """Describe a generated dataset of any size by its tallies and the events of a few shards.

    All events count in `tally` and `unphysical`; the columns are `max_events` random events of
    random shards, eight if there are so many: shards are independent draws of one distribution, and
    one that were not would show in the tally. `progress` hears how many events are done.

    Raises:
        DataError: a tally or shard is gone, damaged or not that of the manifest.
    """
    bins = fine_bins(dataset)
    assert bins is not None
    manifest = dataset.manifest
    shards = dataset.shards()
    rng = np.random.default_rng(derive_seed(seed, "evaluate/draw"))
    chosen: list[ShardEntry] = []
    for k in rng.permutation(len(shards)):
        if len(chosen) >= READ_SHARDS and sum(shard.rows for shard in chosen) >= max_events:
            break
        chosen.append(shards[k])
    read = manifest.model_copy(update={"shards": tuple(chosen)})
    subset = Dataset(dataset.uri, read, dataset.digest)
    sample = from_dataset(subset, seed=seed, max_events=max_events, progress=progress)

    def tallies() -> Iterator[tuple[str, bytes]]:
        done = 0
        for shard in shards:
            assert shard.tally is not None
            yield f"{dataset.uri}/{shard.tally.file}", shard.tally.read(dataset.uri)
            done += shard.rows
            progress(done)

    tally = merge(tallies(), bins)
    origin = sample.origin.model_copy(update={"events": dataset.rows()})
    return replace(sample, unphysical=tally.unphysical, tally=tally, origin=origin)


def fine_bins(dataset: Dataset) -> FineBins | None:
    """Return the bins in which every shard was counted when it was written, None if not all were.

    Raises:
        DataError: they are gone, damaged or not those of the manifest.
    """
    manifest = dataset.manifest
    if manifest.bins is None or not all(shard.tally for shard in manifest.shards):
        return None
    return FineBins.from_bytes(manifest.bins.read(dataset.uri))


def binned(truth: Sample, generated: Sample, name: str, edges: FloatArray) -> Binned:
    """Count all events of both samples of an observable.

    Where the generated sample has a tally, edges are moved to the nearest of the tally's own; if
    these leave less than half of the bins, the events drawn are counted.
    """
    tally = generated.tally
    if tally is None or not tally.bins.cover(name, edges):
        t, g = (sample.histogram(name, edges) for sample in (truth, generated))
        return Binned(edges, t, g, len(generated))
    edges = tally.bins.snap(name, edges)
    t = truth.tally.histogram(name, edges) if truth.tally else truth.histogram(name, edges)
    return Binned(edges, t, tally.histogram(name, edges), tally.events)


def compared_axes(
    fields: Iterable[Field], conditions: Mapping[str, float], definitions: Definitions
) -> dict[str, Axis]:
    """Return what of a dataset is compared and drawn.

    These are the event fields, the conditions that vary from event to event (a sample asked for at
    other energies must show), and the observables with a label; an observable without one only
    serves constraints.
    """
    varying = [
        f
        for f in fields
        if f.role == "event" or (f.role == "condition" and f.name not in conditions)
    ]
    axes = {f.name: Axis(unit=f.unit, description=f.description) for f in varying}
    return axes | derived_axes(definitions)


def derived_axes(definitions: Definitions) -> dict[str, Axis]:
    """Return the observables that have a label."""
    return {
        name: Axis(unit=o.unit, label=o.label, log=o.log, derived=True)
        for name, o in definitions.observables.items()
        if o.label
    }


def judged_by(truth: Dataset, generated: Dataset) -> Dataset:
    """Return the generated dataset with the truth's definitions.

    Tallies made with other definitions are left out.

    Raises:
        DataError: fields, units, roles or conditions differ; the message names the first.
    """
    expected = _physical(truth.manifest.fields)
    given = _physical(generated.manifest.fields)
    for name in dict.fromkeys((*expected, *given)):
        if expected.get(name) != given.get(name):
            raise DataError(
                f"{generated.uri}: field '{name}' is {given.get(name, 'absent')}, but "
                f"{expected.get(name, 'absent')} in the truth {truth.uri}; "
                "compare samples of the same fields and units"
            )
    asked, had = truth.manifest.conditions, generated.manifest.conditions
    for name in dict.fromkeys((*asked, *had)):
        if asked.get(name) != had.get(name):
            raise DataError(
                f"{generated.uri}: condition '{name}' is {had.get(name, 'not fixed')}, but "
                f"{asked.get(name, 'not fixed')} in the truth {truth.uri}; "
                "sample at the truth's condition"
            )
    definitions = truth.manifest.definitions
    update: dict[str, Any] = dict(definitions)
    if generated.manifest.definitions != definitions:
        update["bins"] = None
    return Dataset(generated.uri, generated.manifest.model_copy(update=update), generated.digest)


def aligned(sample: Sample, axes: Iterable[str]) -> Sample:
    """Return the sample with its columns in the order of `axes`, its events ordered by them."""
    names = list(axes)
    if list(sample.axes) == names:
        return sample
    return _ordered(replace(sample, axes={name: sample.axes[name] for name in names}))


def require_comparable(truth: Sample, generated: Sample) -> None:
    """Check that both samples have the same columns, units and constraints.

    Raises:
        DataError: they differ; the message names the first difference.
    """
    for name in dict.fromkeys((*truth.axes, *generated.axes)):
        for here, there in ((truth, generated), (generated, truth)):
            if name not in here.axes:
                raise DataError(f"'{name}' is a column of {there.origin.name} only")
        a, b = truth.axes[name].unit, generated.axes[name].unit
        if a != b:
            raise DataError(f"'{name}' is in {a} in the truth but in {b} in the generated sample")
    for rules in ("constraints", "selection"):
        ours, theirs = (getattr(s.definitions, rules) for s in (truth, generated))
        for name in set(ours) & set(theirs):
            if ours[name] != theirs[name]:
                raise DataError(f"{rules}: '{name}' is not the same rule in both samples")
    judged = set(truth.unphysical.violating) ^ set(generated.unphysical.violating)
    if judged:
        raise DataError(f"constraint '{min(judged)}' was counted in one of the two samples only")


def _numeric(name: str, key: object, column: Any) -> FloatArray:  # noqa: ANN401 - of any kind
    if np.ma.isMaskedArray(column):
        raise DataError(f"{name}: column '{key}' is masked; fill or drop what is masked")
    array = np.asarray(column)
    if array.dtype.kind not in "fiub" and array.size > 0:
        raise DataError(f"{name}: column '{key}' holds {array.dtype}; real numbers are needed")
    return array.astype(np.float64)


def _ordered(sample: Sample) -> Sample:
    """Return the sample with the columns of its axes alone, its events in their canonical order."""
    compared = {name: sample.columns[name] for name in sample.axes}
    order = np.lexsort((sample.weight, *reversed(compared.values())))
    ordered = {name: column[order] for name, column in compared.items()}
    return replace(sample, columns=ordered, weight=sample.weight[order])


def _physical(fields: Iterable[Field]) -> dict[str, str]:
    """Describe what generated and true events must share: unit and role of each field."""
    return {f.name: f"{f.role} field in {f.unit}" for f in fields if f.role != "weight"}
