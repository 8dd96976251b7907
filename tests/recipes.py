"""Small runs of every family for tests: the shipped recipes with little networks and few steps."""

import math

import torch

from mleg_ray.events import Batch, Events
from mleg_ray.features import FeatureMap
from mleg_ray.objectives import Objective, Setting, Teacher
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from mleg_ray.space import Part, Space
from mleg_ray.training.batches import Minibatches, resident
from mleg_ray.training.loop import TrainingLoop
from tests.dis_events import ELECTRON, PAIRS, SCHEMA, VERTEX, electrons, momenta

ADVERSARIES = (
    "model.noise_dim=4",
    "model.generator.widths=[16, 16]",
    "model.critic.widths=[16, 16]",
)
SMALL = {
    "fatgan": ADVERSARIES,
    "fatgan-vanilla": (*ADVERSARIES, "objective.mmd_weight=0"),
    "fatgan-lsgan": (*ADVERSARIES, "objective.mmd_weight=0"),
    "fatgan-wgan-clipped": (*ADVERSARIES, "objective.mmd_weight=0"),
    "fatgan-mmd-gan": ADVERSARIES,
    "gan-dp-toys-paper": ADVERSARIES,
    "cramer-gan-toys": ADVERSARIES,
    "fatgan-clas": (*ADVERSARIES, "objective.mmd_weight=0"),
    "fatgan-quick": ("model.generator.widths=[16, 16]", "model.critic.widths=[16, 16]"),
    "unfold-dis": ADVERSARIES,
    "bvae-dis": ("model.encoder.widths=[16]", "model.decoder.widths=[16]"),
    "autoregressive-dis": ("model.bins=4", "model.hidden=[16]"),
    "flow-dis": ("model.transforms=2", "model.bins=4", "model.hidden=[16]"),
    "unfold-flow": (
        "model.transforms=2",
        "model.bins=4",
        "model.hidden=[16]",
        "features.steps=[{ kind = 'dis-kinematic' }]",
        "objective.proposals=4",
    ),
    "flow-matching-dis": ("model.network.widths=[16]", "model.ode_steps=2"),
    "student-dis": ("model.network.widths=[16]", "objective.pairs=500"),
    "wae-dis": ("model.encoder.widths=[16]", "model.decoder.widths=[16]"),
    "swae-dis": ("model.encoder.widths=[16]", "model.decoder.widths=[16]"),
    "avae-dis": (
        "model.encoder.widths=[16]",
        "model.decoder.widths=[16]",
        "model.reference_events=100",
    ),
}


def small_run(recipe: str, *assignments: str) -> RunConfig:
    """Return a shipped recipe shrunk to milliseconds a step."""
    quick = ("training.steps=20", "training.batch_size=64", "selection.every=10")
    return RunConfig.load(recipe, (*SMALL[recipe], *quick, *assignments))


def fitted_map(run: RunConfig, events: Events, conditional: bool = False) -> FeatureMap:
    """Build and fit a run's feature map on DIS events."""
    fixed = {} if conditional else {"beam_energy": 50.0}
    return run.features.build(SCHEMA, fixed).fit([events])


def features_of(feature_map: FeatureMap, events: Events, run: RunConfig | None = None) -> Batch:
    """Return events as the loop of a run wants them: float32 features, conditions and weights."""
    noise = Noise(torch.device("cpu"))
    if run:
        return run.objective.traits.encode(feature_map, events, noise=noise)
    return feature_map.encode(events, noise=noise)


def small_loop(
    run: RunConfig, events: Events, conditional: bool = False
) -> tuple[TrainingLoop, Minibatches]:
    """Return a loop on `events` and its minibatches."""
    feature_map = fitted_map(run, events, conditional)
    features = features_of(feature_map, events, run)
    model = run.build_model(feature_map)
    model.remember(features.x, features.condition)
    objective = objective_of(run, feature_map)
    loop = TrainingLoop(model, feature_map, objective, run.training, torch.device("cpu"))
    minibatches = resident(features, run.training.batch_size, run.training.seed)
    return loop, minibatches


class Rotation:
    """A teacher that scatters every electron as its noise says: z0 its energy, z2 its angle."""

    schema = SCHEMA
    noise_space = Space({"event": Part((3,), circle=(2,))})
    has_density = False

    def decode(self, noise: torch.Tensor, given: Events) -> Events:
        """Return the events that noise becomes; see `Teacher`."""
        events = electrons(len(given), 12)
        angle = math.pi * noise[:, 2]
        pt = momenta(events)[:, :2].norm(dim=1)
        turned = dict(zip(ELECTRON[:2], (pt * angle.cos(), pt * angle.sin()), strict=True))
        return events.replacing((), turned | dict(given.columns))

    def log_density(self, events: Events) -> torch.Tensor:
        """It has none."""
        raise NotImplementedError


class Smearing:
    """A detector that measures every component of an electron with 1%, or as well as `width`."""

    schema = PAIRS
    noise_space = Space.numbers(3)
    has_density = True

    def __init__(self, width: float = 0.01) -> None:
        self._width = width

    def decode(self, noise: torch.Tensor, given: Events) -> Events:
        """Return the measured events; see `Teacher`."""
        momentum = momenta(given, VERTEX)[:, :3] * (1 + self._width * noise)
        parts = (*momentum.unbind(1), momentum.norm(dim=1))
        return given.replacing((), dict(zip(ELECTRON, parts, strict=True)))

    def log_density(self, events: Events) -> torch.Tensor:
        """Return that of px, py, pz, each normal about the true one."""
        true, seen = momenta(events, VERTEX)[:, :3], momenta(events, ELECTRON)[:, :3]
        width = self._width * true.abs()
        return torch.distributions.Normal(true, width).log_prob(seen).sum(dim=1)


TEACHERS: dict[str, Teacher] = {
    "distillation": Rotation(),
    "unfolding": Smearing(),
    "unfolding-likelihood": Smearing(),
}


def setting_of(feature_map: FeatureMap, teacher: Teacher | None = None) -> Setting:
    """Return the setting of a run on DIS events of one energy."""
    return Setting(SCHEMA, feature_map, {"beam_energy": (50.0, 50.0)}, 1, teacher)


def objective_of(run: RunConfig, feature_map: FeatureMap) -> Objective:
    """Build a run's objective; one that needs a teacher has that of `TEACHERS`."""
    return run.objective.bind(setting_of(feature_map, TEACHERS.get(run.objective.kind)))


def training_events(n: int = 2000, conditional: bool = False) -> Events:
    """Return toy DIS events at one beam energy or at three."""
    return electrons(n, 11, (10.0, 30.0, 50.0) if conditional else (50.0,))
