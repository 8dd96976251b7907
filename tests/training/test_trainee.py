"""A trainee alone: why it ends, what it saves, how it resumes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import CHECKPOINT, Checkpoint
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import Batch
from mleg_ray.training import trainee as trainee_module
from mleg_ray.training.batches import Minibatches
from mleg_ray.training.loop import TrainingLoop
from mleg_ray.training.share import by_weight, fitted_map, open_share
from mleg_ray.training.trainee import Moment, Trainee, other_snapshots
from tests.prepared import prepared_dataset
from tests.recipes import small_run

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepared_dataset(tmp_path_factory.mktemp("dataset"))


def trainee(dataset: Dataset, *assignments: str) -> Trainee:
    run = small_run("bvae-dis", "selection.events=200", *assignments)
    return Trainee.alone(run, dataset, {}, CPU)


def judged(moments: list[Moment]) -> list[int]:
    return [moment.step for moment in moments if moment.snapshot]


def weights(of: Trainee) -> torch.Tensor:
    return torch.cat([p.flatten() for p in of.loop.model.parameters()])


@pytest.mark.parametrize("steps", ["", '{ kind="quantile", fields=["electron.px"], tail=0.2 }'])
def test_a_fit_is_shown_to_its_end(
    dataset: Dataset, steps: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted_map(small_run("bvae-dis", f"features.steps=[{steps}]"), dataset)
    assert capsys.readouterr().err.startswith("Fitting the feature map: 100% after")


def test_ends_with_its_steps(dataset: Dataset) -> None:
    moments = list(trainee(dataset, "training.steps=25").train())
    assert judged(moments) == [10, 20, 25]
    assert [moment.ended for moment in moments if moment.ended] == ["steps"]
    assert moments[-1].ended


def test_a_model_of_train_rows_draws_them_by_their_weights(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of 0 and 2 in turns: every second event is kept, each twice."""
    run = small_run("avae-dis", "selection.events=200")
    heads: list[Batch] = []

    def opened(*arguments: Any) -> tuple[Minibatches, Batch]:
        minibatches, head = open_share(*arguments)
        head = head.weighted(torch.tensor([0.0, 2.0]).repeat(len(head) // 2))
        heads.append(head)
        return minibatches, head

    monkeypatch.setattr(trainee_module, "open_share", opened)
    of = Trainee.alone(run, dataset, {}, CPU)
    kept = of.loop.model.reference
    assert isinstance(kept, torch.Tensor)
    expected = heads[0].x[1::2].repeat_interleave(2, dim=0)[: len(kept)]
    torch.testing.assert_close(kept[: len(expected)], expected)


def test_rows_come_by_weight() -> None:
    """Of equal weights each once; of others as their sums say; below zero is none."""
    assert by_weight(torch.full((5,), 0.3)).tolist() == [0, 1, 2, 3, 4]
    assert by_weight(torch.tensor([1.0, 0.0, 3.0, 0.0])).tolist() == [0, 2, 2, 2]
    with pytest.raises(DataError, match="1 of 2 events have weights below zero"):
        by_weight(torch.tensor([2.0, -1.0]))


def test_ends_on_a_plateau(dataset: Dataset) -> None:
    plateau = "selection.plateau={patience=2, min_improvement=0.9, smoothing=1}"
    moments = list(trainee(dataset, "training.steps=100", plateau).train())
    assert judged(moments) == [10, 20, 30]
    assert moments[-1].ended == "plateau"


def test_ends_where_the_loss_of_unseen_events_rises(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third of five losses is the smallest; two more without a smaller one are the end."""
    losses = iter([-1.0, -1.5, -2.0, -1.9, -1.95])
    monkeypatch.setattr(TrainingLoop, "loss", lambda *_: next(losses))
    plateau = "selection.plateau={patience=2, min_improvement=0, smoothing=1}"
    of = trainee(dataset, "training.steps=100", "selection.by='loss'", plateau)
    moments = list(of.train())
    assert judged(moments) == [10, 20, 30, 40, 50]
    assert moments[-1].ended == "plateau"
    best = of.best()
    assert best is not None
    assert best.card.step == 30
    assert [entry["validation_loss"] for entry in best.card.history] == of.selector.scores


def test_ends_in_time(dataset: Dataset) -> None:
    moments = list(trainee(dataset, "training.steps=1000", "training.seconds=1e-6").train())
    assert judged(moments) == [10]
    assert moments[-1].ended == "time"


def test_ends_when_it_diverges(dataset: Dataset) -> None:
    diverging = trainee(dataset, "training.optimisers.autoencoder.learning_rate=1e30")
    moments = list(diverging.train())
    assert moments[-1].ended == "diverged"
    assert diverging.best() is None


def test_resumes_to_the_same_weights(dataset: Dataset, tmp_path: Path) -> None:
    whole = trainee(dataset)
    list(whole.train())
    interrupted = trainee(dataset)
    for moment in interrupted.train():
        if moment.snapshot:
            interrupted.save(str(tmp_path))
            break
    again = trainee(dataset)
    again.resume(str(tmp_path))
    assert judged(list(again.train())) == [20]
    assert torch.equal(weights(again), weights(whole))
    assert [s.step for s in again.selector.history] == [10, 20]


def test_what_had_ended_says_so_again(dataset: Dataset, tmp_path: Path) -> None:
    first = trainee(dataset)
    *_, last = first.train()
    first.save(str(tmp_path))
    second = trainee(dataset)
    second.resume(str(tmp_path))
    assert list(second.train()) == [last]
    best = second.best()
    assert best is not None
    saved = Checkpoint.load(str(tmp_path / CHECKPOINT))
    assert saved.card.history == best.card.history
    for name, value in saved.model.state_dict().items():
        assert torch.equal(best.model.state_dict()[name], value), name


def test_each_snapshot_that_is_kept_is_a_checkpoint(dataset: Dataset, tmp_path: Path) -> None:
    """Of five snapshots three; of a training that was interrupted too."""
    settings = ("training.steps=50", "selection.keep=3")
    seen: dict[int, torch.Tensor] = {}
    interrupted, whole = trainee(dataset, *settings), trainee(dataset, *settings)
    for moment in interrupted.train():
        if moment.step == 20 and moment.snapshot:
            interrupted.save(str(tmp_path))
            break
    whole.resume(str(tmp_path))
    for moment in whole.train():
        if moment.snapshot:
            seen[moment.step] = next(whole.loop.ema.parameters()).clone()
    whole.save(str(tmp_path))
    best = whole.best()
    assert best is not None
    others = list(other_snapshots(str(tmp_path), best))
    assert [best.card.step, *(one.card.step for one in others)] == list(whole.selector.kept)
    assert len(others) == 2
    sums = {moment.step: moment.ks_sum for moment in whole.selector.history}
    for one in others:
        one.save(str(tmp_path / str(one.card.step)))
        loaded = Checkpoint.load(str(tmp_path / str(one.card.step)))
        assert loaded.card.metrics["ks_sum"] == sums[one.card.step]
        if one.card.step > 20:
            assert torch.equal(next(loaded.model.parameters()), seen[one.card.step])
    left = set(sums) - set(whole.selector.kept)
    assert max(one.card.metrics["ks_sum"] for one in others) <= min(sums[step] for step in left)


def test_unknown_observable_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="no w2"):
        trainee(dataset, 'selection.observables=["w2"]')


def test_a_bootstrap_replica_has_its_own_weights(dataset: Dataset, tmp_path: Path) -> None:
    def trained(*assignments: str) -> torch.Tensor:
        made = trainee(dataset, "training.steps=10", *assignments)
        list(made.train())
        return weights(made)

    assert torch.equal(trained("training.bootstrap=true"), trained("training.bootstrap=true"))
    assert not torch.equal(trained("training.bootstrap=true"), trained())


def test_bootstrap_of_too_few_events_is_refused(tmp_path: Path) -> None:
    few = prepared_dataset(tmp_path / "few", shard_rows=100)
    with pytest.raises(DataError, match="a bootstrap of 800 train events tells little"):
        trainee(few, "training.bootstrap=true")


def test_trains_on_the_events_that_where_selects(dataset: Dataset) -> None:
    where = "electron.pz <= -5"
    chosen = trainee(dataset, f"where=['{where}']")
    [*_, last] = chosen.train()
    assert last.ended == "steps"
    pz = dataset.load("train").columns["electron.pz"]
    best = chosen.best()
    assert best is not None
    assert 0 < best.card.train_events == int((pz <= -5).sum()) < len(pz)
    assert best.card.dataset.name == f"toy-dis where {where}"
    assert dataset.selecting((where,)).selecting((where,)).manifest.name == best.card.dataset.name
