"""One run: a dataset, how it is mapped, what is trained, and how its snapshot is chosen."""

import re
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field as Option
from pydantic import PositiveFloat, PositiveInt, SerializeAsAny, model_validator

from mleg_ray.config import Config, inside, override, parse, read_extended
from mleg_ray.definitions import Inequality
from mleg_ray.errors import ConfigError
from mleg_ray.features import FeatureMap, FeatureMapConfig
from mleg_ray.memory import MIB, AtOnce
from mleg_ray.models import MODELS, Model, ModelConfig, Spaces
from mleg_ray.objectives import AnyObjective
from mleg_ray.optimisers import OPTIMISERS, Fraction, OptimiserConfig
from mleg_ray.randomness import derive_seed

CHUNK_BYTES = 128 * MIB  # as events are stored
TABLES = ("run", "space", "study")  # of a recipe
TOO_LARGE = re.compile("can't allocate|overflow", re.IGNORECASE)  # in PyTorch's words


class TrainingConfig(Config):
    """How long and how a model is trained.

    A step is one round of the objective's schedule (five critic moves and one generator move,
    say). `batch_size` is per worker. Up to `memory_budget` bytes of features are kept whole on the
    worker's device; beyond, chunks of `chunk_events`, of `CHUNK_BYTES` at most, are streamed and
    shuffled. `seconds` ends training early, at the first judgement after that time. `threads` is
    the number of CPUs of a worker, by default its share of the machine; small networks gain little
    from a second thread, and lose much where another process wants that core. In a `bootstrap`
    replica every train event counts a Poisson number of times, drawn from the seed: how replicas of
    several seeds scatter is the uncertainty that the size of the train split leaves.
    """

    steps: PositiveInt
    seconds: PositiveFloat | None = None
    batch_size: PositiveInt
    seed: int = 1
    ema_decay: Fraction = 0.999
    memory_budget: PositiveInt = 2_000_000_000
    chunk_events: PositiveInt = 131_072
    threads: PositiveInt | None = None
    bootstrap: bool = False
    optimisers: dict[str, SerializeAsAny[Annotated[OptimiserConfig, OPTIMISERS.chosen()]]]

    @property
    def chunk(self) -> AtOnce:
        """What is streamed at a time."""
        return AtOnce(CHUNK_BYTES, events=self.chunk_events)


class PlateauConfig(Config):
    """When the score no longer falls: `patience` judgements without the relative `min_improvement`.

    Each judgement is smoothed to the median of the last `smoothing`.
    """

    patience: PositiveInt
    min_improvement: Fraction = 0.01
    smoothing: PositiveInt = 3


class SelectionConfig(Config):
    """Every `every` steps a score decides whether the snapshot is the best.

    `by` is the score: `ks_sum`, over `observables`, or the `loss` of the validation events, which
    rises where a model learns the train events by heart; distances of single observables do not.
    The weights of the `keep` best are kept, each a checkpoint of its own in the end, and as many
    times the model's size in memory and in what resuming needs. `events` bounds the validation
    events; five times as many are generated. Training ends early on a `plateau`.
    """

    every: PositiveInt
    by: Literal["ks_sum", "loss"] = "ks_sum"
    keep: PositiveInt = 1
    observables: Annotated[tuple[str, ...], Option(min_length=1)]
    events: PositiveInt = 20_000
    plateau: PlateauConfig | None = None

    @model_validator(mode="after")
    def _losses_have_no_zero(self) -> Self:
        if self.by == "loss" and self.plateau and self.plateau.min_improvement:
            raise ValueError(
                "plateau.min_improvement: a share of a loss, which has no zero, means nothing; set "
                "it to 0, or by = 'ks_sum'"
            )
        return self


class RunConfig(Config):
    """The `[run]` table of a recipe in `tuning/`.

    `teacher` is what a student learns from, or the response through which an unfolding looks: the
    directory or URI of a checkpoint, or a recipe, of which the run in the same storage is meant, a
    student's on the same dataset. What is trained on are the dataset's events that fulfil all
    comparisons of `where`, such as `jet.count <= 4`, and so do those that are generated.
    """

    dataset: str
    where: tuple[Inequality, ...] = ()
    teacher: str | None = None
    features: FeatureMapConfig = FeatureMapConfig()
    model: SerializeAsAny[Annotated[ModelConfig, MODELS.chosen()]]
    objective: AnyObjective
    training: TrainingConfig
    selection: SelectionConfig

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        traits = self.objective.traits
        if traits.needs_teacher and self.teacher is None:
            raise ConfigError(
                f"objective.kind '{self.objective.kind}' needs a teacher: a recipe that was "
                "trained, or the directory of a checkpoint"
            )
        if self.teacher is not None and not traits.needs_teacher:
            raise ConfigError(f"teacher: objective.kind '{self.objective.kind}' learns from none")
        players = set(traits.schedule)
        if self.selection.by == "loss" and len(players) > 1:
            raise ConfigError(
                f"selection.by: the losses of {', '.join(sorted(players))} depend on each other, "
                "and tell nothing of a snapshot; choose 'ks_sum'"
            )
        if players != set(self.model.players):
            raise ConfigError(
                f"objective.kind '{self.objective.kind}' trains a model with the players "
                f"{', '.join(sorted(players))}; model.kind '{self.model.kind}' has "
                f"{', '.join(sorted(self.model.players))}"
            )
        if players != set(self.training.optimisers):
            raise ConfigError(
                f"training.optimisers must name exactly the players {', '.join(sorted(players))}"
            )
        return self

    def build_model(self, feature_map: FeatureMap) -> Model:
        """Build the model that fits the map; its first weights depend on `training.seed` alone.

        Raises:
            ConfigError: a network does not fit the map's spaces, the objective its quantities, or
                the model the memory.
        """
        self.objective.require(feature_map.quantity_names)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self.training.seed, "weights"))
            try:
                with inside("model"):
                    return self.model.build(Spaces.of(feature_map))
            except (RuntimeError, TypeError) as error:
                if not TOO_LARGE.search(str(error)):
                    raise
                raise ConfigError(
                    "model: its networks are too large for this machine's memory; lower their "
                    "widths or depths"
                ) from None

    @staticmethod
    def load(recipe: str, assignments: tuple[str, ...] = ()) -> "RunConfig":
        """Read the `[run]` of `tuning/RECIPE.toml` or a path, with `--set` assignments applied.

        Raises:
            ConfigError: see `read_recipe`; or a key is missing, unknown or has an impossible value.
        """
        tables, origin = read_recipe(recipe)
        return parse(RunConfig, override(tables["run"], assignments), f"{origin}: run")


def read_recipe(recipe: str, needed: tuple[str, ...] = ("run",)) -> tuple[dict[str, Any], str]:
    """Return the tables of `tuning/RECIPE.toml` or a path, and that path.

    A recipe may extend another one's `[run]`, see `inherited`.

    Raises:
        ConfigError: the recipe cannot be read, lacks a `needed` table, or has other than `TABLES`.
    """
    tables, origin = read_extended(recipe, "tuning", TABLES[0], TABLES)
    for name in needed:
        if name not in tables:
            raise ConfigError(f"{origin}: no [{name}] table; it needs {', '.join(needed)}")
    return tables, origin
