"""What the rows have in common: options, training, and what becomes of their figures."""

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from common import results
from common.results import Row, rounded

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.session import environment
from mleg_ray.cluster.train import run_name, train
from mleg_ray.evaluation.estimate import Estimate
from mleg_ray.evaluation.scorecards import Scorecard
from mleg_ray.run import RunConfig
from mleg_ray.storage import write_bytes, write_json

Thing = TypeVar("Thing")

# The same small networks and steps for every GAN of the quick budget: some minutes of one CPU.
ADAM = '{ learning_rate = 5e-4, betas = [0.5, 0.9], schedule = "cosine" }'
SMALL_GAN = (
    "model.noise_dim=8",
    "model.generator.widths=[64, 64, 64]",
    "model.critic.widths=[128, 128, 128]",
    "training.steps=3000",
    "training.batch_size=512",
    "training.threads=1",
    f"training.optimisers.generator={ADAM}",
    f"training.optimisers.critic={ADAM}",
    "selection.every=100",
)
# The smoke budget: seconds, to see that a row runs to its end.
FEW_STEPS = (
    "training.steps=4",
    "training.batch_size=64",
    "training.threads=1",
    "selection.every=2",
    "selection.events=200",
)
FEW_EVENTS = 2000


@dataclass(frozen=True)
class Options:
    """What a row is measured with; `root` is the folder of the authors' tapes, or empty."""

    row: str
    budget: Literal["smoke", "quick", "full"]
    root: str
    seeds: tuple[int, ...]
    replicas: int
    assignments: tuple[str, ...]
    storage: str

    def budgeted(self, quick: tuple[str, ...]) -> tuple[str, ...]:
        """Return what the quick budget assigns, with few steps at `smoke`, nothing at `full`."""
        return {"smoke": (*quick, *FEW_STEPS), "quick": quick, "full": ()}[self.budget]

    def some(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """Return all, or at the smoke budget the first alone."""
        return things[:1] if self.budget == "smoke" else things

    def few(self, number: int, at_smoke: int = FEW_EVENTS) -> int:
        """Return a number, of events say, or at the smoke budget another if that is smaller."""
        return min(number, at_smoke) if self.budget == "smoke" else number

    def prepared(self, name: str) -> Dataset:
        """Prepare a dataset of the catalog, few events of it at the smoke budget."""
        spec = DatasetSpec.load(name)
        if self.budget == "smoke":
            source = "source.of" if spec.source.kind == "folded" else "source"
            own = (f"{source}.events={FEW_EVENTS}", f"shard_events={FEW_EVENTS // 10}")
            spec = DatasetSpec.load(name, own)
        return prepare(spec, self.storage)

    def trained(
        self,
        recipe: str,
        seed: int,
        *own: str,
        quick: tuple[str, ...] = (),
        dataset: Dataset | None = None,
    ) -> Checkpoint:
        """Train a recipe with a seed: `quick` at that budget, then `own`, then the user's `--set`.

        The dataset is the recipe's own, which is prepared first, unless another is given.
        """
        values = (*self.budgeted(quick), *own, f"training.seed={seed}")
        if dataset is not None:
            values = (f"dataset={dataset.manifest.name}", *values)
        run = RunConfig.load(recipe, (*values, *self.assignments))
        events = dataset or self.prepared(run.dataset)
        return train(run, events, self.storage, name=run_name(recipe, run, events))


class Results:
    """The figures of a row of the dissertation's table.

    They are printed, and written to JSON, as they come, beside those of other seeds and other
    `--set`: what was measured before, and before an interruption, is kept.
    """

    def __init__(self, options: Options) -> None:
        self._set = list(options.assignments)
        self._name = f"paper-electron-{options.row}-{options.budget}"
        self._place = results.RESULTS / f"{self._name}.json"
        there = json.loads(self._place.read_text()) if self._place.exists() else {"rows": []}
        self._rows: list[Row] = there["rows"]

    def add(self, labels: Row, seed: int, figures: Row) -> None:
        """Keep what was measured of that which the labels name, with a seed."""
        known = json.loads(json.dumps({"of": labels, "seed": seed, "set": self._set}))
        self._rows = [row for row in self._rows if any(row[key] != known[key] for key in known)]
        self._rows.append(known | {"figures": figures, "with": environment()})
        print(rounded(labels | {"seed": seed} | figures), flush=True)
        result = {"cores": os.cpu_count(), "rows": self._rows, "medians": self._medians()}
        write_json(str(self._place), result)

    def finish(self) -> None:
        """Print the medians over the seeds, if there are several."""
        for row in self._medians():
            print(rounded(row), flush=True)

    def draw(self, picture: bytes, name: str = "") -> None:
        """Keep a picture (PNG)."""
        parts = [self._name, name] if name else [self._name]
        write_bytes(str(results.RESULTS / f"{'-'.join(parts)}.png"), picture)

    def _medians(self) -> list[Row]:
        groups: dict[str, list[Row]] = {}
        for row in self._rows:
            if row["set"] == self._set:
                groups.setdefault(json.dumps(row["of"]), []).append(row)
        return [
            group[0]["of"] | {"median of": len(group)} | _median([row["figures"] for row in group])
            for group in groups.values()
            if len(group) > 1
        ]


def _median(rows: list[Row]) -> Row:
    result: Row = {}
    for name, first in rows[0].items():
        values = [row[name] for row in rows if name in row]
        if isinstance(first, list):
            result[name] = [statistics.median(column) for column in zip(*values, strict=True)]
        elif isinstance(first, int | float):
            result[name] = statistics.median(values)
    return result


def estimates(card: Scorecard, *metrics: str) -> Row:
    """Return value, floor and the floor's spread of all that a scorecard has of some metrics."""
    return {
        f"{metric}, {subject}": [figure.value, figure.floor, figure.floor_spread]
        for metric in metrics
        for subject, figure in card.figures[metric].items()
        if isinstance(figure, Estimate)
    }
