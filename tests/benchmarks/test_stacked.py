"""Replicas of an ensemble are lone runs: same seeds, same events, same weights."""

import pytest
import torch
from torch import nn

from benchmarks.common.stacked import StackedLoop, stack
from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import Minibatches, bootstrap, resident
from mleg_ray.training.loop import TrainingLoop
from tests.recipes import features_of, fitted_map, objective_of, small_run, training_events

CPU = torch.device("cpu")
RATE = {"fatgan-quick": "generator", "bvae-dis": "autoencoder", "avae-dis": "autoencoder"}


@pytest.fixture(params=sorted(RATE))
def recipe(request: pytest.FixtureRequest) -> str:
    return request.param


def runs(recipe: str) -> list[RunConfig]:
    """Return three runs that differ in seed and learning rate."""
    rate = f"training.optimisers.{RATE[recipe]}.learning_rate"
    return [
        small_run(recipe, f"training.seed={seed}", f"{rate}={value}")
        for seed, value in ((1, 1e-3), (2, 1e-3), (7, 3e-4))
    ]


def shares(members: list[RunConfig], events: Batch) -> list[Minibatches]:
    """Return each run's minibatches of its own bootstrap sample."""
    return [
        resident(bootstrap(events, run.training.seed), run.training.batch_size, run.training.seed)
        for run in members
    ]


def stacked_loop(
    members: list[RunConfig], models: list[Model], feature_map: FeatureMap
) -> StackedLoop:
    objective = objective_of(members[0], feature_map)
    return StackedLoop(models, feature_map, objective, [r.training for r in members], CPU)


def test_each_replica_is_a_lone_run(recipe: str) -> None:
    members, physical = runs(recipe), training_events()
    feature_map = fitted_map(members[0], physical)
    events = features_of(feature_map, physical)
    models = [run.build_model(feature_map) for run in members]
    loop = stacked_loop(members, models, feature_map)
    progress = list(loop.together(shares(members, events), 10))
    assert [p.step for p in progress] == [10, 20]
    assert progress[-1].finite
    for i, (run, share) in enumerate(zip(members, shares(members, events), strict=True)):
        lone = TrainingLoop(
            run.build_model(feature_map),
            feature_map,
            objective_of(run, feature_map),
            run.training,
            CPU,
        )
        list(lone.run(share, 10))
        together = loop.replica(i).state_dict()
        for name, value in lone.ema.state_dict().items():
            torch.testing.assert_close(together[name], value, rtol=1e-5, atol=1e-5, msg=name)
        moved = [
            (a - b).abs().max()
            for a, b in zip(lone.ema.parameters(), models[i].parameters(), strict=True)
        ]
        assert max(moved) > 1e-3  # else the agreement would mean nothing


def test_each_replica_remembers_its_own_events() -> None:
    members, physical = runs("avae-dis"), training_events()
    feature_map = fitted_map(members[0], physical)
    events = features_of(feature_map, physical)
    models = [run.build_model(feature_map) for run in members]
    for i, model in enumerate(models):
        model.remember(events.x[i:], events.condition[i:])
    loop = stacked_loop(members, models, feature_map)
    list(loop.together(shares(members, events), 20))
    for i in range(3):
        assert torch.equal(loop.replica(i).reference, events.x[i : i + 100])


def test_a_diverging_replica_leaves_the_others_alone() -> None:
    members, physical = runs("bvae-dis"), training_events()
    feature_map = fitted_map(members[0], physical)
    events = features_of(feature_map, physical)
    models = [run.build_model(feature_map) for run in members]
    with torch.no_grad():
        next(models[1].parameters()).fill_(torch.nan)
    loop = stacked_loop(members, models, feature_map)
    [last] = loop.together(shares(members, events), 20)
    assert not last.finite
    finite = [all(p.isfinite().all() for p in loop.replica(i).parameters()) for i in range(3)]
    assert finite == [True, False, True]


def test_bootstrap_keeps_the_sum_of_weights() -> None:
    run = small_run("bvae-dis")
    physical = training_events(20_000)
    events = features_of(fitted_map(run, physical), physical)
    resampled = bootstrap(events, 1)
    assert resampled.weight.sum() == pytest.approx(20_000, rel=0.03)
    assert resampled.weight.var() == pytest.approx(1.0, rel=0.1)
    assert torch.equal(resampled.x, events.x)
    assert not torch.equal(bootstrap(events, 2).weight, resampled.weight)


class TestRefusals:
    def loop(self, *members: RunConfig) -> StackedLoop:
        feature_map = fitted_map(members[0], training_events())
        return StackedLoop(
            [run.build_model(feature_map) for run in members],
            feature_map,
            objective_of(members[0], feature_map),
            [run.training for run in members],
            CPU,
        )

    def test_coupled_events(self) -> None:
        with pytest.raises(ConfigError, match="mix the replicas"):
            self.loop(small_run("fatgan"), small_run("fatgan", "training.seed=2"))

    def test_other_differences(self) -> None:
        with pytest.raises(ConfigError, match="seed and learning rates only"):
            self.loop(small_run("bvae-dis"), small_run("bvae-dis", "training.batch_size=65"))

    def test_layers_that_are_not_plain(self) -> None:
        run = small_run("flow-dis")
        feature_map = fitted_map(run, training_events())
        with pytest.raises(ConfigError, match="Flow: only models of plain linear layers"):
            stack([run.build_model(feature_map) for _ in range(2)])

    def test_layers_that_couple_the_rows(self) -> None:
        run = small_run("bvae-dis")
        models = [run.build_model(fitted_map(run, training_events())) for _ in range(2)]
        for model in models:
            model.autoencoder["encoder"].net.append(nn.BatchNorm1d(4, affine=False))
        with pytest.raises(ConfigError, match="only models of plain linear layers"):
            stack(models)
