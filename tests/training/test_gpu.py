"""The same loop, sampling and checkpoints on a CUDA device."""

from pathlib import Path

import pytest
import torch

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.training.batches import Minibatches, resident
from mleg_ray.training.loop import TrainingLoop
from tests.checkpoints import small_checkpoint
from tests.recipes import SMALL, features_of, fitted_map, objective_of, small_run, training_events

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]
CUDA = torch.device("cuda")


def loop_on_cuda(recipe: str) -> tuple[TrainingLoop, Minibatches]:
    run, events = small_run(recipe), training_events()
    feature_map = fitted_map(run, events)
    features = features_of(feature_map, events)
    model = run.build_model(feature_map)
    model.remember(features.x, features.condition)
    feature_map.to(CUDA)
    loop = TrainingLoop(model, feature_map, objective_of(run, feature_map), run.training, CUDA)
    return loop, resident(features.to(CUDA), run.training.batch_size, 1)


@pytest.mark.parametrize("recipe", sorted(SMALL))
def test_interrupted_run_ends_in_the_same_weights(recipe: str) -> None:
    undisturbed, minibatches = loop_on_cuda(recipe)
    list(undisturbed.run(minibatches, 10))
    interrupted, minibatches = loop_on_cuda(recipe)
    next(interrupted.run(minibatches, 10))
    resumed, minibatches = loop_on_cuda(recipe)
    resumed.load_state_dict(interrupted.state_dict())
    list(resumed.run(minibatches, 10))
    for name, value in undisturbed.ema.state_dict().items():
        assert value.is_cuda
        torch.testing.assert_close(resumed.ema.state_dict()[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("recipe", sorted(SMALL))
def test_checkpoint_generates_on_cuda(tmp_path: Path, recipe: str) -> None:
    small_checkpoint(tmp_path, recipe=recipe)
    checkpoint = Checkpoint.load(str(tmp_path), CUDA)
    given = checkpoint.given(1000).to(CUDA)
    events = checkpoint.generate(given, generator=torch.Generator(CUDA).manual_seed(1))
    for column in events.columns.values():
        assert column.is_cuda
        assert column.isfinite().all()
