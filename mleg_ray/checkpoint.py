"""A checkpoint: one directory that needs nothing else to sample.

`run.toml` holds the resolved configuration, `weights.safetensors` the model and its feature map,
`card.json` what the dataset is and how the model did. A teacher from which it learned lies within,
a checkpoint of its own in `parts/teacher`. No pickle is read or written.
"""

import math
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Literal, Self

import torch
from pydantic import model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

import mleg_ray
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.description import Description
from mleg_ray.config import Config, parse, parse_toml, read_config
from mleg_ray.definitions import passing
from mleg_ray.errors import CheckpointError, ConfigError, UserError
from mleg_ray.events import Events, EventSchema
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model, generate, log_density
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from mleg_ray.space import Space
from mleg_ray.storage import absolute, exists, join, read_bytes, sha256, write_bytes, write_json

CHECKPOINT = "checkpoint"  # the folder's name in that of its run
STUDIES = "studies"  # below a storage root
RUN, WEIGHTS, CARD = "run.toml", "weights.safetensors", "card.json"
TEACHER = "parts/teacher"
MOST_TRIES = 1000  # for an event that passes a `where`


class DatasetCard(Description):
    """What a checkpoint remembers of the dataset it was trained on: all but its labels."""

    dataset_digest: str

    @staticmethod
    def of(dataset: Dataset) -> "DatasetCard":
        """Describe a prepared dataset."""
        described = dataset.manifest.without(dataset.schema.labels)
        return DatasetCard(dataset_digest=dataset.digest, **dict(described))


class Card(Config):
    """What anybody who uses the checkpoint should know of it."""

    format_version: Literal[2] = 2
    dataset: DatasetCard
    train_events: int
    condition_range: dict[str, tuple[float, float]]
    outside_fraction: float
    step: int
    metrics: dict[str, float]
    history: tuple[dict[str, float], ...]
    seconds: float
    environment: dict[str, str]
    teacher_digest: str = ""
    weights_sha256: str = ""
    run_sha256: str = ""

    @model_validator(mode="after")
    def _every_condition_has_a_range(self) -> Self:
        missing = set(self.dataset.schema_.conditions) - set(self.condition_range)
        if missing:
            raise ValueError(f"condition_range lacks {', '.join(sorted(missing))}")
        return self


@dataclass(eq=False, repr=False)
class Checkpoint:
    """A trained model with its feature map, ready to generate physical events.

    `teacher` is the checkpoint from which it learned, if there is one.
    """

    run: RunConfig
    card: Card
    feature_map: FeatureMap
    model: Model
    uri: str = ""
    teacher: "Checkpoint | None" = None

    def __post_init__(self) -> None:
        self.model.eval().requires_grad_(False)

    def generate(self, given: Events, *, generator: torch.Generator) -> Events:
        """Generate one physical event under the conditions of each that is given.

        These are on the model's device (see `given`), as is the generator, the only source of
        randomness. What is returned has the fields, in the schema's units, and the conditions and
        weights given. Events that do not fulfil the run's `where` are generated again.

        Raises:
            CheckpointError: after `MOST_TRIES` some still do not.
        """
        made = generate(self.model, self.feature_map, given, generator=generator)
        if not (where := self.run.where):
            return made
        for _ in range(MOST_TRIES):
            kept = passing(where, self.card.dataset.joined(made))
            if kept.all():
                return made
            good, bad = kept.nonzero()[:, 0], (~kept).nonzero()[:, 0]
            again = generate(self.model, self.feature_map, given[bad], generator=generator)
            made = Events.concatenate([made[good], again])[torch.cat([good, bad]).argsort()]
        raise CheckpointError(
            f"{self.uri}: after {MOST_TRIES:,} tries {len(bad):,} of {len(made):,} events do not "
            f"fulfil {' and '.join(where)}, as its train events do; train longer"
        )

    def given(self, n: int, conditions: Mapping[str, float] | None = None) -> Events:
        """Return n events that have conditions alone: these, and those that never vary.

        Raises:
            ConfigError: a condition is missing, unknown, not finite, or has another value than the
                only one, or steps cannot take it.
        """
        fixed, asked = self.card.dataset.conditions, dict(conditions or {})
        wanted = set(self.schema.conditions)
        if endless := [name for name, value in asked.items() if not math.isfinite(value)]:
            name = endless[0]
            raise ConfigError(f"{self.uri}: {name} = {asked[name]}: a condition is a finite number")
        wrong = {name for name in asked if fixed.get(name, asked[name]) != asked[name]}
        if wrong or set(asked) - wanted or wanted - set(asked) - set(fixed):
            raise ConfigError(
                f"{self.uri}: conditions must name each of "
                f"{', '.join(self.schema.varying(fixed)) or 'none'}; they name "
                f"{', '.join(asked) or 'none'}"
                + (f"; {', '.join(sorted(wrong))} has one value" if wrong else "")
            )
        weight = torch.ones(n, dtype=torch.float64, device=self.device)
        values = fixed | asked
        columns = {name: weight.new_full((n,), values[name]) for name in self.schema.conditions}
        given = Events(columns, {}, weight)
        self.feature_map.require_conditions(given)
        return given

    @property
    def schema(self) -> EventSchema:
        """The fields of its events, and its conditions."""
        return self.card.dataset.schema_

    @property
    def noise_space(self) -> Space:
        """The layout of the noise that `decode` takes; `CheckpointError` if that is none."""
        if not self.model.draws_noise:
            raise CheckpointError(
                f"{self.uri}: a model of kind '{self.run.model.kind}' cannot teach; take a flow "
                "or a GAN"
            )
        return self.model.noise_space

    def decode(self, noise: Tensor, given: Events) -> Events:
        """Map noise (n, d) under the conditions of events to physical events.

        Gradients flow to both.
        """
        condition = self.feature_map.condition(given)
        return self.feature_map.decode(self.model.decode(noise, condition), given)

    @property
    def has_density(self) -> bool:
        """Whether `log_density` is known."""
        return self.model.has_density

    def log_density(self, events: Events) -> Tensor:
        """Return the log density (n,) of events, see `mleg_ray.models.log_density`.

        It is the model's, which also makes events that do not fulfil the run's `where`.
        """
        return log_density(self.model, self.feature_map, events, noise=Noise(self.device))

    @property
    def digest(self) -> str:
        """SHA-256 that names this checkpoint: its weights and its configuration."""
        return sha256((self.card.weights_sha256 + self.card.run_sha256).encode())

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.feature_map.weight_mean.device

    def save(self, uri: str) -> None:
        """Write the directory; the card comes last, so a checkpoint without one is not whole."""
        if self.teacher:
            replace(self.teacher).save(join(uri, TEACHER))  # a copy, so that it keeps its place
        tensors = _tensors(self.model, self.feature_map).state_dict()
        weights = save({name: value.cpu().contiguous() for name, value in tensors.items()})
        run = self.run.to_toml().encode()
        self.card = self.card.model_copy(
            update={"weights_sha256": sha256(weights), "run_sha256": sha256(run)}
        )
        write_bytes(join(uri, WEIGHTS), weights)
        write_bytes(join(uri, RUN), run)
        write_json(join(uri, CARD), self.card.model_dump(mode="json"))
        self.uri = uri

    @staticmethod
    def load(uri: str, device: torch.device | str = "cpu") -> "Checkpoint":
        """Read and verify a checkpoint directory.

        Raises:
            CheckpointError: no checkpoint there, files altered or truncated, or weights that do
                not fit the configuration beside them.
        """
        missing = [name for name in (RUN, WEIGHTS, CARD) if not exists(join(uri, name))]
        if missing:
            raise CheckpointError(
                f"{uri}: not a checkpoint, it lacks {', '.join(missing)}; "
                "name the directory that `mleg train` printed"
            )
        try:
            content = read_bytes(join(uri, RUN))
            card = read_config(Card, join(uri, CARD))
            run = parse(RunConfig, parse_toml(content, uri), uri)
        except (UserError, ValueError) as error:
            raise CheckpointError(
                f"{uri}: cannot be read: {error}\nThis is mleg_ray {mleg_ray.__version__}; if "
                f"another version wrote it (see 'environment' in {CARD}), use that or train again"
            ) from None
        if not card.run_sha256:
            raise CheckpointError(
                f"{uri}: written by an older version, whose {CARD} proves no {RUN}; train again"
            )
        weights = read_bytes(join(uri, WEIGHTS))
        proofs = {RUN: (content, card.run_sha256), WEIGHTS: (weights, card.weights_sha256)}
        for file, (there, digest) in proofs.items():
            if sha256(there) == digest:
                continue
            raise CheckpointError(
                f"{join(uri, file)}: truncated or altered, its SHA-256 differs from the card's; "
                "copy the checkpoint again or train again"
            )
        feature_map = run.features.build(card.dataset.schema_, card.dataset.conditions)
        model = run.build_model(feature_map)
        try:
            _tensors(model, feature_map).load_state_dict(load(weights))
        except (RuntimeError, SafetensorError) as error:
            raise CheckpointError(
                f"{uri}: weights do not fit {RUN}: {' '.join(str(error).split())}; copy the "
                "checkpoint again or train again"
            ) from None
        teacher = Checkpoint.load(join(uri, TEACHER), device) if card.teacher_digest else None
        if teacher and teacher.digest != card.teacher_digest:
            raise CheckpointError(
                f"{teacher.uri}: not the teacher that the card of {uri} names; copy the checkpoint "
                "again or train again"
            )
        return Checkpoint(run, card, feature_map.to(device), model.to(device), uri, teacher)


def _tensors(model: Model, feature_map: FeatureMap) -> nn.ModuleDict:
    """Return the owner of all that is learned, by the names that it has in a file."""
    return nn.ModuleDict({"model": model, "feature_map": feature_map})


def run_uri(storage: str, name: str) -> str:
    """Return the folder of a run below a storage root, or of a trial below its study's folder."""
    return join(storage, "runs", name)


def run_folder(uri: str) -> PurePosixPath:
    """Return the path that names a checkpoint: that of its run, if it lies in one."""
    path = PurePosixPath(absolute(uri))
    return path.parent if path.name == CHECKPOINT else path


def run_label(uri: str) -> str:
    """Return a short name of a checkpoint: that of its run, and of the study it belongs to."""
    folder = run_folder(uri)
    study = folder.parent.parent
    return f"{study.name}-{folder.name}" if study.parent.name == STUDIES else folder.name


def environment() -> dict[str, str]:
    """Return the versions that made a result: code, commit if known, Python and libraries.

    What is made on Ray has its version too: see `mleg_ray.cluster.session.environment`.
    """
    return {
        "mleg_ray": mleg_ray.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: version(name) for name in ("torch", "numpy", "pyarrow")},
    }


def _commit() -> str:
    """Return the checkout's commit, marked if files differ from it; "unknown" outside one."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()
