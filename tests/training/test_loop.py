"""The one loop: exact resuming, workers that act as one, divergence, snapshots."""

import io
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed
import torch.multiprocessing
from torch import nn

from mleg_ray.config import ConfigError
from mleg_ray.definitions import Definitions, Observable
from mleg_ray.evaluation.statistics.distances import prepare_ks, two_sample
from mleg_ray.events import Batch, Events, EventSchema, Field, Group
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from mleg_ray.space import Space
from mleg_ray.training.batches import Minibatches, resident
from mleg_ray.training.loop import Progress, TrainingLoop
from mleg_ray.training.selection import Snapshot, SnapshotSelector, ks_rank_sum
from tests.dis_events import SCHEMA, electrons
from tests.recipes import (
    SMALL,
    features_of,
    fitted_map,
    objective_of,
    small_loop,
    small_run,
    training_events,
)


@pytest.fixture(params=sorted(SMALL))
def recipe(request: pytest.FixtureRequest) -> str:
    return request.param


CPU = torch.device("cpu")
FAMILIES = ["fatgan-quick", "bvae-dis", "flow-dis", "student-dis"]
OTHERS = ["fatgan", "avae-dis", "flow-matching-dis", "unfold-dis"]
# The losses of an MMD-GAN and a WAE couple all events of a worker.
UNCOUPLED = [*FAMILIES, *(pytest.param(recipe, marks=pytest.mark.slow) for recipe in OTHERS)]


def saved(state: dict[str, Any]) -> dict[str, Any]:
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    loaded: dict[str, Any] = torch.load(stream, weights_only=True)
    return loaded


def test_resumed_run_ends_in_the_same_weights(recipe: str) -> None:
    run, events = small_run(recipe), training_events()
    undisturbed, minibatches = small_loop(run, events)
    list(undisturbed.run(minibatches, 5))

    interrupted, minibatches = small_loop(run, events)
    for progress in interrupted.run(minibatches, 5):
        if progress.step == 10:
            break
    resumed, minibatches = small_loop(run, events)
    resumed.load_state_dict(saved(interrupted.state_dict()))
    assert [progress.step for progress in resumed.run(minibatches, 5)] == [15, 20]
    for name, value in undisturbed.ema.state_dict().items():
        assert torch.equal(resumed.ema.state_dict()[name], value), name
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_how_often_it_reports_changes_nothing(recipe: str) -> None:
    weights = []
    for report_every in (1, 7, 20):
        loop, minibatches = small_loop(small_run(recipe), training_events())
        list(loop.run(minibatches, report_every))
        weights.append(torch.cat([p.flatten() for p in loop.model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def _half(minibatches: Minibatches, rank: int) -> Minibatches:
    """Return the rows of every global minibatch that belong to one of two workers."""

    def start(move: int) -> Iterator[Batch]:
        for batch in minibatches(move):
            n = len(batch) // 2
            yield batch[rank * n : (rank + 1) * n]

    return start


def _worker(rank: int, recipe: str, steps: int, address: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{address}", rank=rank, world_size=2)
    run = _run_without_coupled_terms(recipe, steps)
    loop, minibatches = small_loop(run, training_events())
    list(loop.run(_half(minibatches, rank), steps))
    if rank == 0:
        torch.save(loop.model.state_dict(), out)
    torch.distributed.destroy_process_group()


def _run_without_coupled_terms(recipe: str, steps: int) -> RunConfig:
    # MMD couples the events of a worker, and dropout draws differently on each.
    alone = {
        "fatgan": ("objective.mmd_weight=0", "model.critic.dropout=0"),
        "student-dis": ("objective.sliced=0",),
    }.get(recipe, ())
    return small_run(recipe, f"training.steps={steps}", *alone)


@pytest.mark.parametrize("recipe", UNCOUPLED)
def test_two_workers_take_the_step_of_one_with_twice_the_batch(recipe: str, tmp_path: Path) -> None:
    alone, minibatches = small_loop(_run_without_coupled_terms(recipe, 3), training_events())
    list(alone.run(minibatches, 3))
    torch.multiprocessing.spawn(
        _worker, (recipe, 3, str(tmp_path / "address"), str(tmp_path / "weights")), nprocs=2
    )
    together = torch.load(tmp_path / "weights", weights_only=True)
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(together[name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_only_the_player_that_moves_changes() -> None:
    loop, minibatches = small_loop(small_run("fatgan-quick"), training_events())
    loop._schedule = {"critic": 3}
    before = {k: v.clone() for k, v in loop.model.state_dict().items()}
    next(loop.run(minibatches, 1))
    for name, value in loop.model.state_dict().items():
        # A Wasserstein critic's last bias cancels in its loss and has no gradient.
        still = name.startswith("generator") or name == "critic.net.2.bias"
        assert torch.equal(value, before[name]) == still, name


def test_average_follows_the_weights_with_its_decay() -> None:
    loop, minibatches = small_loop(small_run("bvae-dis"), training_events())
    start = [p.detach().clone() for p in loop.model.parameters()]
    next(loop.run(minibatches, 1))
    for first, now, average in zip(
        start, loop.model.parameters(), loop.ema.parameters(), strict=True
    ):
        torch.testing.assert_close(average, first + 0.9 * (now - first))  # warm-up: decay 1/10


def test_average_follows_the_buffers_too() -> None:
    run, physical = small_run("bvae-dis"), training_events()
    feature_map = fitted_map(run, physical)
    model = run.build_model(feature_map)
    model.autoencoder["encoder"].net.insert(1, norm := nn.BatchNorm1d(16))
    norm.register_buffer("mask", torch.zeros(2, dtype=torch.bool))
    loop = TrainingLoop(model, feature_map, objective_of(run, feature_map), run.training, CPU)
    shares = resident(features_of(feature_map, physical), 64, 1)
    norm.mask.fill_(True)
    next(loop.run(shares, 1))
    average = loop.ema.get_submodule("autoencoder.encoder.net.1")
    assert norm.running_mean.abs().min() > 0
    # From a mean of zero and a variance of one; the decay warms up from 1/10.
    torch.testing.assert_close(average.running_mean, 0.9 * norm.running_mean)
    torch.testing.assert_close(average.running_var, 0.1 + 0.9 * norm.running_var)
    assert average.num_batches_tracked == norm.num_batches_tracked == 1
    assert average.mask.all()


def test_events_that_a_model_remembers_stay_as_they_are() -> None:
    loop, minibatches = small_loop(small_run("avae-dis"), training_events())
    reference = loop.model.reference.clone()
    assert reference.std() > 0.5
    list(loop.run(minibatches, 20))
    assert torch.equal(loop.model.reference, reference)
    assert torch.equal(loop.ema.reference, reference)


def test_cosine_schedule_falls_to_zero() -> None:
    loop, minibatches = small_loop(small_run("fatgan-quick"), training_events())
    rates = [loop._optimisers["generator"].param_groups[0]["lr"] for _ in loop.run(minibatches, 1)]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[10] == pytest.approx(5e-4)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-5


def test_players_must_match_the_objective() -> None:
    with pytest.raises(ConfigError, match=r"players autoencoder; .* has critic, generator"):
        small_run("fatgan-quick", "objective={ kind = 'beta-vae', beta = 0.1 }")


def test_losses_that_depend_on_each_other_choose_no_snapshot() -> None:
    with pytest.raises(ConfigError, match="losses of critic, generator depend on each other"):
        small_run("fatgan-quick", "selection.by='loss'")
    plateau = "selection.plateau={patience=2, min_improvement=0.01}"
    with pytest.raises(ConfigError, match="a share of a loss, which has no zero, means nothing"):
        small_run("bvae-dis", "selection.by='loss'", plateau)


def selector_of(
    run: RunConfig, truth: Events, schema: EventSchema, definitions: Definitions
) -> SnapshotSelector:
    """Return the selector of a dataset whose validation events are these."""
    dataset = SimpleNamespace(
        load=lambda split, most: truth,
        schema=schema,
        manifest=SimpleNamespace(definitions=definitions),
    )
    return SnapshotSelector(run, dataset)


class TestSelection:
    def make(self, *observables: str) -> tuple[SnapshotSelector, RunConfig]:
        names = observables or ("electron.px", "electron.energy", "pt", "q2")
        run = small_run("bvae-dis", f"selection.observables={list(names)}")
        declared = Definitions(
            observables={
                "pt": Observable(expression="kinematics.transverse_momentum(electron)"),
                "q2": Observable(expression="dis.q2(electron, beam_energy)"),
            }
        )
        return selector_of(run, electrons(2000, 21), SCHEMA, declared), run

    def test_keeps_the_weights_of_the_smallest_ks_sum(self) -> None:
        selector, run = self.make()
        loop, minibatches = small_loop(run, training_events())
        seen = {}
        for progress in loop.run(minibatches, 4):
            snapshot = selector.consider(progress, loop, 0.0)
            seen[snapshot.step] = {k: v.clone() for k, v in loop.ema.state_dict().items()}
            assert snapshot.ks_sum == pytest.approx(sum(snapshot.ks.values()))
        assert selector.best is not None
        assert selector.best.ks_sum <= 1.01 * min(s.ks_sum for s in selector.history)
        assert list(selector.kept) == [selector.best.step]
        for name, value in seen[selector.best.step].items():
            assert torch.equal(selector.kept[selector.best.step][name], value)

    def test_keeps_the_weights_of_the_best_few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of 0.5, 0.2, nothing, 0.3, 0.201 and 0.1 the best first, which a tie makes the last."""
        selector, run = self.make()
        selector._keep = 3
        loop, _ = small_loop(run, training_events())
        sums = iter([0.5, 0.2, 0.3, 0.201, 0.1])
        monkeypatch.setattr(selector, "_judged", lambda _: ({"pt": next(sums)}, {}))
        kept = []
        for step in range(1, 7):
            with torch.no_grad():
                next(loop.ema.parameters()).fill_(step)
            selector.consider(Progress(step, {}, finite=step != 3), loop, 0.0)
            kept.append(list(selector.kept))
        assert kept == [[1], [2, 1], [2, 1], [2, 4, 1], [5, 2, 4], [6, 2, 5]]
        [first, *_] = dict(loop.ema.named_parameters())
        assert all((weights[first] == step).all() for step, weights in selector.kept.items())

    @pytest.mark.parametrize(
        ("ks_sums", "best"),
        [((0.5, 0.1, 0.1009, 0.102), 3), ((0.1009, 0.1, 0.0998, 0.2), 3), ((0.1, 0.09, 0.0995), 2)],
    )
    def test_of_snapshots_that_tie_the_last_is_kept(
        self, ks_sums: tuple[float, ...], best: int
    ) -> None:
        selector, _ = self.make()
        selector.history = [
            Snapshot(step=step, ks_sum=ks_sum, ks={}, losses={}, seconds=0.0, finite=True)
            for step, ks_sum in enumerate(ks_sums, start=1)
        ]
        assert selector.best is not None
        assert selector.best.step == best

    @pytest.mark.parametrize(
        ("losses", "best"), [((0.5, 0.1, 0.1009, 0.2), 2), ((-3, -4, None), 2)]
    )
    def test_by_loss_the_smallest_is_kept_without_ties(
        self, losses: tuple[float | None, ...], best: int
    ) -> None:
        selector, _ = self.make()
        selector._by = "loss"
        selector.history = [
            Snapshot(
                step=step,
                ks_sum=1.0 / step,
                ks={},
                losses={},
                validation_loss=loss,
                seconds=0.0,
                finite=True,
            )
            for step, loss in enumerate(losses, start=1)
        ]
        assert selector.best is not None
        assert selector.best.step == best
        assert selector.scores == [math.inf if loss is None else loss for loss in losses]

    def test_the_loss_is_that_of_the_validation_events(self) -> None:
        """-Σ w log p / n of the averaged model without dropout, the same at every call."""
        own = ("model.dropout=0.5", "selection.by='loss'", "selection.observables=['electron.px']")
        run = small_run("autoregressive-dis", *own)
        truth = training_events().weighted(torch.linspace(0, 2, len(training_events())))
        selector = selector_of(run, truth, SCHEMA, Definitions())
        loop, minibatches = small_loop(run, training_events())
        snapshot = selector.consider(next(loop.run(minibatches, 2)), loop, 0.0)
        batch = loop.feature_map.encode(truth, noise=Noise(torch.device("cpu")))
        with torch.no_grad():
            log_prob = loop.ema.log_prob(batch.x, batch.condition)
        expected = -float((batch.weight * log_prob).mean())
        assert snapshot.validation_loss == pytest.approx(expected, rel=1e-5)
        assert loop.loss(batch) == snapshot.validation_loss
        assert snapshot.flat()["validation_loss"] == snapshot.validation_loss

    def test_judging_twice_gives_the_same_number(self) -> None:
        selector, run = self.make()
        loop, minibatches = small_loop(run, training_events())
        progress = next(loop.run(minibatches, 2))
        first = selector.consider(progress, loop, 0.0)
        assert selector.consider(progress, loop, 0.0).ks == first.ks

    def test_diverged_run_keeps_the_last_good_snapshot(self) -> None:
        selector, run = self.make()
        loop, minibatches = small_loop(run, training_events())
        steps = loop.run(minibatches, 5)
        good = selector.consider(next(steps), loop, 0.0)
        with torch.no_grad():
            next(loop.model.parameters()).fill_(math.nan)
        progress = next(steps)
        assert not progress.finite
        bad = selector.consider(progress, loop, 0.0)
        assert bad.ks_sum == 4.0
        assert selector.best == good
        assert list(selector.kept) == [good.step]
        assert all(v.isfinite().all() for v in selector.kept[good.step].values())

    def test_state_survives_a_file(self) -> None:
        selector, run = self.make()
        loop, minibatches = small_loop(run, training_events())
        for progress in loop.run(minibatches, 10):
            selector.consider(progress, loop, 1.5)
        other, _ = self.make()
        other.load_state_dict(saved(selector.state_dict()))
        assert other.history == selector.history
        assert other.best == selector.best
        assert list(other.kept) == list(selector.kept)

    def test_the_floor_is_what_a_perfect_generator_would_score(self) -> None:
        """Kolmogorov's limit has the mean √(π/2) ln 2, in units of √(1/n + 1/5n)."""
        selector, _ = self.make()
        of_each = math.sqrt(math.pi / 2) * math.log(2) * math.sqrt(1.2 / 2000)
        assert selector.floor == pytest.approx(4 * of_each, rel=0.15)

    def test_unknown_observable_is_named(self) -> None:
        with pytest.raises(ConfigError, match="w2"):
            self.make("electron.px", "w2")


JETS = EventSchema(
    (Field(name="met"), Field(name="jet.pt"), Field(name="w", role="weight")),
    {"jet": Group(most=2, ordered_by="pt")},
)


def with_jets(count: list[int], scale: float = 1.0) -> Events:
    """Events with so many jets each, of transverse momenta that rise, and weights in turn."""
    n = len(count)
    present = torch.arange(2) < torch.tensor(count)[:, None]
    pt = scale * torch.arange(2.0 * n).double().reshape(n, 2)
    weight = torch.tensor([1.0, -0.5, 2.0]).double().repeat(n)[:n]
    columns = {"met": torch.arange(n).double(), "jet.pt": torch.where(present, pt, 0.0)}
    return Events(columns, {"jet": present}, weight)


class Made:
    """A loop whose generator makes these events, each time as many as are given."""

    def __init__(self, events: Events) -> None:
        self.ema = nn.Linear(1, 1)
        self.feature_map = SimpleNamespace(space=Space.numbers(2))
        self._events = events
        self._done = 0

    def observed(self, given: Events, *, generator: torch.Generator) -> Events:
        start, self._done = self._done, self._done + len(given)
        return self._events[start : self._done].weighted(given.weight)


def test_ranks_of_distances_sum_whatever_their_scale() -> None:
    """Ranks by column: (2, 1, 4, 3); (1½, 1½, 3, 4) with a tie; (2, 1, 3½, 3½), NaN last."""
    ks = np.array([[0.2, 0.1, 0.9], [0.1, 0.1, 0.8], [0.4, 0.5, np.nan], [0.3, 0.6, np.nan]])
    assert ks_rank_sum(ks).tolist() == [5.5, 3.5, 10.5, 10.5]
    assert ks_rank_sum(ks * [1, 1e-3, 7]).tolist() == ks_rank_sum(ks).tolist()


class TestSelectionOfObjects:
    truth = with_jets([2, 1, 0, 2, 1, 2])

    def judged(self, generated: Events, truth: Events | None = None) -> dict[str, float]:
        run = small_run("bvae-dis", 'selection.observables=["jet.count", "jet.pt"]')
        truth = self.truth if truth is None else truth
        selector = selector_of(run, truth, JETS, Definitions())
        ks, _ = selector._judged(Made(generated))  # type: ignore[arg-type]
        return ks

    def test_all_jets_count_with_the_weights_of_their_events(self) -> None:
        generated = with_jets([1, 2, 2, 0, 1, 1] * 5, scale=0.2)
        weight = self.truth.weight.repeat(5)
        of = {"truth": (self.truth, self.truth.weight), "generated": (generated, weight)}
        values, weights = {}, {}
        for whose, (events, w) in of.items():
            there = events.present["jet"]
            values[whose] = events.columns["jet.pt"][there].numpy()
            weights[whose] = w[there.nonzero()[:, 0]].numpy()
        expected = two_sample(prepare_ks, *values.values(), *weights.values())
        counts = [e.present["jet"].sum(dim=1).double().numpy() for e, _ in of.values()]
        found = self.judged(generated)
        assert found["jet.pt"] == pytest.approx(expected)
        assert found["jet.count"] == pytest.approx(
            two_sample(prepare_ks, *counts, self.truth.weight.numpy(), weight.numpy())
        )
        assert 0 < found["jet.pt"] < 1

    def test_no_jet_at_all_is_as_far_as_can_be(self) -> None:
        assert self.judged(with_jets([0] * 30))["jet.pt"] == 1.0
        assert self.judged(with_jets([0, 1, 0] * 10))["jet.pt"] == 1.0  # of negative weight alone

    def test_a_truth_without_jets_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"weights of 'jet\.pt' sum to 0 over the validation"):
            self.judged(self.truth, with_jets([0] * 6))


def test_training_curves_have_the_papers_chi2() -> None:
    """500 true events at 0 and at 1, 3000 and 2000 generated: ½ (100² / 500 + 100² / 500) = 20."""
    run = small_run("bvae-dis", 'selection.observables=["x"]')

    def events(zeros: int, ones: int) -> Events:
        x = torch.cat([torch.zeros(zeros), torch.ones(ones)]).double()
        return Events({"x": x}, {}, torch.ones(zeros + ones).double())

    selector = selector_of(run, events(500, 500), EventSchema((Field(name="x"),)), Definitions())
    made = Made(events(3000, 2000))
    snapshot = selector.consider(Progress(1, {}, finite=True), made, 0.0)  # type: ignore[arg-type]
    assert snapshot.chi2_paper == pytest.approx({"x": 20.0})
    assert snapshot.flat()["chi2_paper.x"] == snapshot.chi2_paper["x"]
    assert snapshot.ks_sum == pytest.approx(0.1)


def test_weights_travel_into_the_loss() -> None:
    run, events = small_run("bvae-dis"), training_events()
    feature_map = fitted_map(run, events)
    weight = torch.where(torch.arange(len(events)) % 2 == 0, 2.0, 0.0).double()
    kept = events[::2]
    losses = []
    for chosen in (events.weighted(weight), kept):
        features = features_of(feature_map, chosen)
        noise_free = objective_of(run, feature_map)
        model = run.build_model(feature_map)
        error = noise_free.loss(
            "autoencoder",
            model,
            feature_map,
            features,
            noise=_ZeroNoise(),  # type: ignore[arg-type]
        )[0]
        losses.append(error.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


class _ZeroNoise:
    def normal(self, n: int, width: int) -> torch.Tensor:
        return torch.zeros(n, width)
