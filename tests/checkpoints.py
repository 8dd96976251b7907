"""Little untrained checkpoints: their events are of the right form, though of no true spectrum."""

import math
from pathlib import Path

import numpy as np
import torch

from mleg_ray.catalog.codec import checked, to_events
from mleg_ray.catalog.sources.drawn import DrawnConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Card, Checkpoint, DatasetCard, environment
from mleg_ray.config import parse
from mleg_ray.events import Events, Field
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model
from mleg_ray.run import RunConfig
from mleg_ray.sampling.job import SampleJob, making
from mleg_ray.sampling.plan import SampledShard, ShardPlan
from mleg_ray.sampling.sampler import Sampler
from tests.dis_events import FIELDS, GROUPS
from tests.recipes import fitted_map, small_run, training_events

JET_STEPS = [
    {"kind": "count", "group": "jet"},
    {"kind": "dequantise", "fields": ["jet.count"], "levels": 9},
    {"kind": "dequantise", "fields": ["jet.flavour"], "levels": 2},
    {"kind": "logarithm", "fields": ["jet.pt", "met.pt"]},
    {"kind": "angle", "fields": ["jet.phi", "met.phi"]},
]
LAYER_STEPS = [{"kind": "pixels", "fields": ["image"], "scale": 0.01, "threshold": 0.02}]


STRETCH = 10.0


def begin(job: SampleJob) -> None:
    """Claim a sample's folder, and leave it as a killed driver does."""
    with making(job):
        pass


def made(sampler: Sampler, shard: ShardPlan) -> SampledShard:
    """Generate and write a shard, as a worker does."""
    return sampler.write(shard, sampler.generate(shard))


def small_checkpoint(
    folder: Path,
    *assignments: str,
    recipe: str = "fatgan-quick",
    conditional: bool = False,
    teacher: Checkpoint | None = None,
) -> Checkpoint:
    """Save an untrained checkpoint, for one beam energy (50 GeV) or for 10 to 50 GeV."""
    if teacher:
        assignments = (f"teacher={teacher.uri}", *assignments)
    run, events = small_run(recipe, *assignments), training_events(conditional=conditional)
    spec = DatasetSpec.load("dis-ep-50")
    dataset = DatasetCard(
        name=spec.name,
        dataset_digest="0" * 64,
        fields=FIELDS,
        groups=GROUPS,
        conditions={} if conditional else {"beam_energy": 50.0},
        **dict(spec.definitions),
    )
    feature_map = fitted_map(run, events, conditional)
    model = run.build_model(feature_map)
    return _untrained(folder, run, dataset, feature_map, model, events, teacher)


def jets_checkpoint(folder: Path) -> Checkpoint:
    """Save an untrained checkpoint of up to eight jets an event, a missing momentum and weights."""
    return _toy_checkpoint(folder, "toy-jets", {"steps": JET_STEPS}, 2000)


def layers_checkpoint(folder: Path) -> Checkpoint:
    """Save an untrained checkpoint of sparse images (2, 12, 12) under 10 to 100 GeV."""
    features = {
        "steps": LAYER_STEPS,
        "conditions": [{"kind": "logarithm", "fields": ["energy"]}],
    }
    return _toy_checkpoint(folder, "toy-layers", features, 500)


def images_checkpoint(folder: Path) -> Checkpoint:
    """Save an untrained checkpoint of images of 64 x 64 pixels."""
    image = Field(name="image", unit="GeV", shape=(64, 64))
    dataset = DatasetCard(name="images", dataset_digest="0" * 64, fields=(image,))
    pixels = np.random.default_rng(1).exponential(size=(50, 64, 64)).astype(np.float32)
    events = dataset.schema_.events({"image": torch.from_numpy(pixels)}, {})
    run = _toy_run("images", {"steps": LAYER_STEPS})
    feature_map = run.features.build(dataset.schema_, {}).fit([events])
    return _untrained(folder, run, dataset, feature_map, run.build_model(feature_map), events)


def diverged_checkpoint(folder: Path) -> Checkpoint:
    """Save a checkpoint whose generator has NaN among its weights."""
    checkpoint = small_checkpoint(folder)
    next(checkpoint.model.parameters()).data.fill_(math.nan)
    checkpoint.save(str(folder))
    return Checkpoint.load(str(folder))


def _toy_checkpoint(folder: Path, name: str, features: dict[str, object], n: int) -> Checkpoint:
    """Save a small untrained GAN of a dataset of the catalog, its map fitted on n events.

    Its last weights are enlarged, so that events differ about as much as true ones.
    """
    spec = DatasetSpec.load(name)
    assert isinstance(spec.source, DrawnConfig)
    drawn = spec.source.draw(np.random.default_rng(1), n, {})
    columns, _ = checked(drawn, spec.stored, name)
    events = to_events(columns, spec.schema_, {})
    run = _toy_run(name, features)
    dataset = DatasetCard(dataset_digest="0" * 64, **dict(spec.described))
    feature_map = run.features.build(spec.schema_, spec.conditions).fit([events])
    model = run.build_model(feature_map)
    last = list(model.players()["generator"].parameters())[-2]
    last.data.mul_(STRETCH)
    return _untrained(folder, run, dataset, feature_map, model, events)


def _toy_run(name: str, features: dict[str, object]) -> RunConfig:
    values = small_run("fatgan-quick").model_dump(mode="json")
    return parse(RunConfig, values | {"dataset": name, "features": features}, name)


def _untrained(
    folder: Path,
    run: RunConfig,
    dataset: DatasetCard,
    feature_map: FeatureMap,
    model: Model,
    events: Events,
    teacher: Checkpoint | None = None,
) -> Checkpoint:
    conditions = {name: events.columns[name] for name in dataset.schema_.conditions}
    card = Card(
        dataset=dataset,
        train_events=len(events),
        condition_range={
            name: (float(values.min()), float(values.max())) for name, values in conditions.items()
        },
        outside_fraction=0.0,
        step=0,
        metrics={},
        history=(),
        seconds=0.0,
        environment=environment(),
        teacher_digest=teacher.digest if teacher else "",
    )
    Checkpoint(run, card, feature_map, model, teacher=teacher).save(str(folder))
    return Checkpoint.load(str(folder))
