"""Little untrained checkpoints: they generate physical electrons, though of no trained spectrum."""

import math
from pathlib import Path

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Card, Checkpoint, DatasetCard, environment
from mleg_ray.sampling.plan import ShardPlan, ShardRecord
from mleg_ray.sampling.sampler import Sampler
from tests.dis_events import FIELDS, GROUPS
from tests.recipes import fitted_map, small_run, training_events


def made(sampler: Sampler, shard: ShardPlan) -> ShardRecord:
    """Generate and write a shard, as a worker does."""
    return sampler.write(shard, sampler.generate(shard))


def small_checkpoint(
    folder: Path, *assignments: str, recipe: str = "fatgan-quick", conditional: bool = False
) -> Checkpoint:
    """Save an untrained checkpoint, for one beam energy (50 GeV) or for 10 to 50 GeV."""
    run, events = small_run(recipe, *assignments), training_events(conditional=conditional)
    spec = DatasetSpec.load("dis-ep-50")
    feature_map = fitted_map(run, events, conditional)
    model = run.build_model(feature_map)
    card = Card(
        dataset=DatasetCard(
            name=spec.name,
            dataset_digest="0" * 64,
            fields=FIELDS,
            groups=GROUPS,
            conditions={} if conditional else {"beam_energy": 50.0},
            **dict(spec.definitions),
        ),
        train_events=len(events),
        condition_range={"beam_energy": (10.0, 50.0) if conditional else (50.0, 50.0)},
        outside_fraction=0.0,
        step=0,
        metrics={},
        history=(),
        seconds=0.0,
        environment=environment(),
    )
    Checkpoint(run, card, feature_map, model).save(str(folder))
    return Checkpoint.load(str(folder))


def diverged_checkpoint(folder: Path) -> Checkpoint:
    """Save a checkpoint whose generator has NaN among its weights."""
    checkpoint = small_checkpoint(folder)
    next(checkpoint.model.parameters()).data.fill_(math.nan)
    checkpoint.save(str(folder))
    return Checkpoint.load(str(folder))
