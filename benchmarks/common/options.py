"""What rows are asked for: classes whose fields are the options of a command line.

See `benchmarks.__main__`. Their methods say what becomes of a row in its small form, and train,
sample and judge as several rows do.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

import torch
import typer

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.sources.pythia_pp import PythiaPPConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.sample import default_target, sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import run_name, train
from mleg_ray.commands.judging import evaluate
from mleg_ray.commands.options import Assignments
from mleg_ray.errors import ConfigError
from mleg_ray.evaluation.scorecards import Scorecard
from mleg_ray.events import Events
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, join

Thing = TypeVar("Thing")

RESULTS = Path(__file__).parents[1] / "results"
TAPE2 = "dis-ep-50-tape2"  # the events of the authors of FAT-GAN

Trials = Annotated[int, typer.Option(min=1, help="Of a study.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often to measure in turn, for medians.")]
TAPES = typer.Option(
    "--root",
    exists=True,
    file_okay=False,
    help="Folder of the events of FAT-GAN's and cFAT-GAN's authors, not part of the project.",
)
Tapes = Annotated[Path, TAPES]
Seeds = Annotated[
    list[int],
    typer.Option(
        "--seed", min=1, default_factory=lambda: [1], show_default="1", help="Repeatable."
    ),
]


def one_of(known: Collection[str]) -> Callable[[list[str]], list[str]]:
    """Return what a repeatable option calls to refuse a value that is none of those known."""

    def checked(asked: list[str]) -> list[str]:
        if unknown := [name for name in asked if name not in known]:
            raise typer.BadParameter(f"there is no {unknown[0]}; choose of {', '.join(known)}")
        return asked

    return checked


# The same small networks and steps for every GAN of the dissertation: some minutes of one CPU. A
# rival of another kind, with its own networks, may have the same steps.
SMALL_STEPS = (
    "training.steps=3000",
    "training.batch_size=512",
    "training.threads=1",
    "selection.every=100",
)
ADAM = '{ learning_rate = 5e-4, betas = [0.5, 0.9], schedule = "cosine" }'
SMALL_GAN = (
    "model.noise_dim=8",
    "model.generator.widths=[64, 64, 64]",
    "model.critic.widths=[128, 128, 128]",
    f"training.optimisers.generator={ADAM}",
    f"training.optimisers.critic={ADAM}",
    *SMALL_STEPS,
)
# With the dissertation's own values, a GPU's work, in place of recipes of some minutes of one CPU.
PAPER = {
    "dsgan": "dsgan-paper",
    "fatgan": "fatgan-paper",
    "fatgan-spherical": "fatgan-spherical-paper",
    "cfatgan": "cfatgan-paper",
    "fold-toy": "fold-toy-paper",
    "fold-toy-direct": "fold-toy-direct-paper",
    "response-electrons": "response-paper",
    "mleg-lightcone": "mleg-lightcone-paper",
    "unfold-dis": "unfold-paper",
}
# The small form of a dataset and of a training.
FEW_EVENTS = 2000
FEW_COLLISIONS = 1000  # of Pythia and a detector
FEW_STEPS = (
    "training.steps=4",
    "training.batch_size=64",
    "training.threads=1",
    "selection.every=2",
    "selection.events=200",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every row takes."""

    out: Annotated[
        Path,
        typer.Option(help="Folder of JSON and pictures.", show_default="benchmarks/results"),
    ] = RESULTS
    small: Annotated[
        bool,
        typer.Option("--small", help="So small that figures mean nothing: to see that it runs."),
    ] = False

    keeps: ClassVar[bool] = False  # what was measured before with other values and seeds

    @property
    def values(self) -> Mapping[str, object]:
        """What else distinguishes one measurement from another with the same labels."""
        return {}

    def session(self) -> contextlib.AbstractContextManager[None]:
        """Return what has to be there while the row is measured."""
        return contextlib.nullcontext()

    def some(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """Return all, or in the small form the first alone."""
        return things[:1] if self.small else things

    def few(self, number: int, small: int = FEW_EVENTS) -> int:
        """Return a number, of events say, or in the small form another if that is smaller."""
        return min(number, small) if self.small else number

    def tapes(self, name: str, root: Path, *assignments: str) -> DatasetSpec:
        """Return the dataset of that name in the catalog, whose files lie in the folder `root`."""
        own = (f"source.root={root}", f"shard_events={self.few(5000, 100)}")
        return DatasetSpec.load(name, (*own, *assignments))


@dataclass(frozen=True, kw_only=True)
class Repeated(Options):
    """What a row takes that measures side by side, in turn."""

    rounds: Rounds = 5

    @property
    def turns(self) -> range:
        """The numbers of the rounds, of one in the small form."""
        return range(1, self.few(self.rounds, 1) + 1)


@dataclass(frozen=True, kw_only=True)
class Stored(Options):
    """What a row takes that keeps datasets, runs and samples."""

    storage: Annotated[
        str, typer.Option(help="Root of datasets, runs, samples and reports; also s3://.")
    ] = "mleg-storage/benchmarks"

    @property
    def place(self) -> str:
        """The root of what is kept, another one in the small form."""
        return absolute(join(self.storage, "small") if self.small else self.storage)

    def prepared(self, name: str, events: int | None = None) -> Dataset:
        """Prepare a dataset of the catalog, or so many events of it.

        In the small form they are few, those of p p collisions fewer and without pile-up.
        """
        own = [] if events is None else [f"source.events={events}"]
        if self.small:
            source = DatasetSpec.load(name).source
            place = "source.of" if source.kind == "folded" else "source"
            own = [f"{place}.events={FEW_EVENTS}", f"shard_events={FEW_EVENTS // 10}"]
            if isinstance(source, PythiaPPConfig):
                rows = FEW_COLLISIONS // (10 * len(source.processes))
                few = f"source.events={FEW_COLLISIONS}"
                own = [few, f"shard_events={rows}", "source.pile_up=0"]
        return prepare(DatasetSpec.load(name, tuple(own)), self.place)

    def tape2(self, root: Path) -> Dataset:
        """Prepare the events of the authors of FAT-GAN, which lie in the folder `root`."""
        return prepare(self.tapes(TAPE2, root), self.place)

    def judged(
        self, checkpoint: Checkpoint, dataset: Dataset, seed: int
    ) -> tuple[Dataset, Scorecard]:
        """Sample ten times the test split, and judge it by that; the report is in the storage."""
        events = 10 * dataset.rows("test")
        target = default_target(self.place, checkpoint.uri, events, seed)
        generated = sample(checkpoint.uri, events, target, seed=seed)
        report = join(self.place, "reports", target.rsplit("/", 1)[-1])
        return generated, evaluate(generated.uri, dataset, "test", report, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Assigned(Stored):
    """What a row takes that overrides values of recipes."""

    assignments: Assignments = None

    @property
    def assigned(self) -> tuple[str, ...]:
        """The assignments, `section.key=value`."""
        return tuple(self.assignments or ())


@dataclass(frozen=True, kw_only=True)
class Training(Assigned):
    """What a row takes that trains recipes."""

    seeds: Seeds

    keeps: ClassVar[bool] = True

    @property
    def values(self) -> Mapping[str, object]:
        """What the recipes' values are overridden by."""
        return {"set": list(self.assigned)}

    def session(self) -> contextlib.AbstractContextManager[None]:
        """Return a connected Ray."""
        return ray_session()

    def require(self, *recipes: str, dataset: str | None = None) -> None:
        """Refuse values that one of the recipes has not, before anything is prepared.

        Raises:
            ConfigError: a recipe is on other events than the `dataset`; see `RunConfig.load`.
        """
        for recipe in recipes:
            found = RunConfig.load(recipe, self.assigned).dataset
            if dataset and found != dataset:
                raise ConfigError(
                    f"{recipe}: on {found}, and this row has events of {dataset}; choose a recipe "
                    f"whose dataset = {dataset!r}"
                )

    def trained(
        self, recipe: str, seed: int, *own: str, dataset: Dataset | None = None
    ) -> Checkpoint:
        """Train a recipe with a seed and the values `own`, which `--set` overrides.

        The dataset is the recipe's own, which is prepared first, unless another is given.
        """
        values = (*own, *(FEW_STEPS if self.small else ()), f"training.seed={seed}")
        if dataset is not None:
            values = (f"dataset={dataset.manifest.name}", *values)
        run = RunConfig.load(recipe, (*values, *self.assigned))
        events = dataset or self.prepared(run.dataset)
        return train(run, events, self.place, name=run_name(recipe, run, events))


@dataclass(frozen=True, kw_only=True)
class Paper(Training):
    """What a row of the dissertation takes, whose own recipes have networks for a GPU."""

    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Recipes with the dissertation's own values, or as they are, for a GPU; else some "
            "minutes of one CPU each.",
        ),
    ] = False

    @property
    def values(self) -> Mapping[str, object]:
        """What the recipes' values are overridden by, and whether they are less without."""
        return {**super().values, "full": self.full}

    def quick(self, *values: str) -> tuple[str, ...]:
        """Return what recipes are assigned if they are not trained in full."""
        return () if self.full else values

    def for_budget(self, name: str) -> str:
        """Return a recipe, or in full the one with the dissertation's own values if there is."""
        return PAPER.get(name, name) if self.full else name


@dataclass(frozen=True, kw_only=True)
class Ensemble(Paper):
    """What a row takes that trains replicas: of fewer than three the spread means nothing."""

    replicas: Annotated[int, typer.Option(min=3, help="Of an ensemble.")] = 10

    def bootstrapped(self, recipe: str, seed: int, *own: str) -> Iterator[tuple[int, Checkpoint]]:
        """Train a recipe's replicas, each on a bootstrap sample of its own.

        They are yielded with the seeds of their data and weights, of which ensembles of different
        `seed` share none.
        """
        size = self.few(self.replicas, 3)
        for replica in range((seed - 1) * size + 1, seed * size + 1):
            yield replica, self.trained(recipe, replica, "training.bootstrap=true", *own)


@dataclass(frozen=True, kw_only=True)
class OnTapes(Paper):
    """What a row of the dissertation takes that trains on the events of FAT-GAN's authors."""

    root: Tapes


def generated(model: Checkpoint, events: int, seed: int) -> Events:
    """Return as many events of a model whose conditions never vary."""
    rng = torch.Generator().manual_seed(seed)
    return model.generate(model.given(events), generator=rng)
