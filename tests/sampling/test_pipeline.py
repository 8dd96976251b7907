"""What is computed of each event, interpreted and compiled."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.evaluation.samples.unphysical import broken
from mleg_ray.sampling.pipeline import Generated, Pipeline, has_compiler
from mleg_ray.sampling.plan import BATCH, SampleSpec
from mleg_ray.sampling.spectra import constant
from tests.checkpoints import jets_checkpoint, layers_checkpoint, small_checkpoint

CONDITIONS = {"beam_energy": 50.0}
BATCH_EVENTS = BATCH["cpu"].of(1)
needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C++ compiler: CXX, or g++")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def spec(checkpoint: Checkpoint) -> SampleSpec:
    return SampleSpec(
        checkpoint=checkpoint.digest,
        events=BATCH_EVENTS,
        shard_events=BATCH_EVENTS,
        seed=1,
        conditions={name: constant(value) for name, value in CONDITIONS.items()},
        compiled=False,
        batch_events=BATCH_EVENTS,
    )


def batches(checkpoint: Checkpoint, compiled: bool) -> list[Generated]:
    pipeline = Pipeline(checkpoint, spec(checkpoint), compiled=compiled)
    generator = torch.Generator().manual_seed(1)
    return [pipeline(generator, {}) for _ in range(2)]


def assert_consistent(checkpoint: Checkpoint, events: Generated) -> None:
    """What is counted and what is broken follow from what is stored."""
    dataset, schema = checkpoint.card.dataset, checkpoint.card.dataset.schema_
    stored = {name: column.double() for name, column in events.stored.items()}
    joined = dataset.joined(schema.events(stored, CONDITIONS))
    for name, column in events.counted.items():
        expected = joined.columns[name].float()
        torch.testing.assert_close(column, expected, rtol=1e-6, atol=1e-7)
    masks = broken(joined, schema.event, dataset)
    assert list(events.broken) == list(masks)
    for name, mask in masks.items():
        assert torch.equal(events.broken[name], mask), name


def test_counted_and_broken_follow_from_stored(checkpoint: Checkpoint) -> None:
    assert_consistent(checkpoint, batches(checkpoint, compiled=False)[0])


@needs_compiler
def test_compiled_events_are_the_same_but_for_rounding(checkpoint: Checkpoint) -> None:
    compiled, again = batches(checkpoint, True), batches(checkpoint, True)
    for ours, repeated, plain in zip(compiled, again, batches(checkpoint, False), strict=True):
        for name, column in ours.stored.items():
            assert column.dtype == plain.stored[name].dtype
            assert torch.equal(column, repeated.stored[name])
            np.testing.assert_allclose(column, plain.stored[name], rtol=2e-4, atol=2e-4)
        assert_consistent(checkpoint, ours)
    assert len(compiled[0].stored["electron.px"]) == BATCH_EVENTS
    assert not torch.equal(compiled[0].stored["electron.px"], compiled[1].stored["electron.px"])


@needs_compiler
@pytest.mark.parametrize("save", [small_checkpoint, jets_checkpoint, layers_checkpoint])
def test_compiled_code_is_one_piece(save: Callable[[Path], Checkpoint], tmp_path: Path) -> None:
    """Where it breaks, each part would be called from Python, at twice the price."""
    checkpoint = save(tmp_path)
    conditions = dict.fromkeys(checkpoint.schema.conditions, constant(50.0))
    asked = spec(checkpoint).model_copy(update={"conditions": conditions, "batch_events": 64})
    counters.clear()
    Pipeline(checkpoint, asked, compiled=True)(torch.Generator().manual_seed(1), {})
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == 1


WITHOUT_COMPILER = """
import sys, torch
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.sampling.pipeline import Pipeline, has_compiler
from tests.sampling.test_pipeline import spec
assert not has_compiler()
checkpoint = Checkpoint.load(sys.argv[1])
Pipeline(checkpoint, spec(checkpoint), compiled=True)(torch.Generator().manual_seed(1), {})
"""


def test_node_without_compiler_says_so(checkpoint: Checkpoint) -> None:
    # In a process of its own: torch remembers for ever what a compiler could do.
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER, checkpoint.uri],
        env=os.environ | {"CXX": "no-such-compiler", "TORCHINDUCTOR_FX_GRAPH_CACHE": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert re.search(r"ResourceError: this node cannot compile .*ompiler.*--no-comp", done.stderr)
