"""Exported files make the events that `mleg sample` makes, in other programs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import mleg_ray as mleg
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cli import app
from mleg_ray.errors import CheckpointError
from mleg_ray.exporting.generation import Generation
from mleg_ray.exporting.targets import TARGETS
from mleg_ray.models import generate
from mleg_ray.randomness import stream
from tests.checkpoints import jets_checkpoint, layers_checkpoint, small_checkpoint
from tests.exporting.programs import RUN, inputs_of

PARITY = 1e-5  # of the mean size of a field
# Of a checkpoint beside the first: to write ONNX takes seconds.
QUICK = [pytest.param(t, marks=pytest.mark.slow) if t == "onnx" else t for t in TARGETS]


def assert_same(
    found: dict[str, np.ndarray], expected: dict[str, np.ndarray], parity: float = PARITY
) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        size = np.abs(values.astype(np.float64)).mean()
        np.testing.assert_allclose(found[name], values, rtol=parity, atol=parity * size)


def expected_of(checkpoint: Checkpoint, *inputs: torch.Tensor) -> dict[str, np.ndarray]:
    """Return what a checkpoint makes of noise and conditions."""
    varying = checkpoint.schema.varying(checkpoint.card.dataset.conditions)
    given = checkpoint.given(len(inputs[0]), dict.fromkeys(varying, 1.0))
    columns = dict(zip(varying, inputs[1].T, strict=True)) if varying else {}
    events = checkpoint.decode(inputs[0], given.replacing((), columns))
    made = {name: events.columns[name].numpy() for name in checkpoint.schema.event}
    return made | {name: count.numpy() for name, count in events.counts.items()}


@pytest.mark.parametrize("target", TARGETS)
def test_a_generator_of_one_energy(tmp_path: Path, target: str) -> None:
    checkpoint = small_checkpoint(tmp_path / "gan")
    generation = Generation(checkpoint)
    inputs = inputs_of(generation, 3000)
    assert generation.inputs == ("noise",)
    assert_same(RUN[target](generation, tmp_path, *inputs), expected_of(checkpoint, *inputs))


@pytest.mark.parametrize("target", QUICK)
def test_a_student_at_any_energy(tmp_path: Path, target: str) -> None:
    teacher = small_checkpoint(tmp_path / "flow", recipe="flow-dis", conditional=True)
    checkpoint = small_checkpoint(
        tmp_path / "student", recipe="student-dis", conditional=True, teacher=teacher
    )
    generation = Generation(checkpoint)
    inputs = inputs_of(generation, 3000)
    assert generation.inputs == ("noise", "conditions")
    assert generation.card.noise.uniform == (2,)
    assert_same(RUN[target](generation, tmp_path, *inputs), expected_of(checkpoint, *inputs))


def test_the_events_are_those_of_sampling(tmp_path: Path) -> None:
    """From the same seed: noise and all that follows."""
    checkpoint = small_checkpoint(tmp_path)
    model, feature_map = checkpoint.model, checkpoint.feature_map
    sampled = generate(model, feature_map, checkpoint.given(100), generator=stream(5))
    made = Generation(checkpoint)(model.draw(100, generator=stream(5)))
    for name, values in made.items():
        assert torch.equal(values, sampled.columns[name])


@pytest.mark.parametrize("target", QUICK)
def test_objects_and_their_number(tmp_path: Path, target: str) -> None:
    checkpoint = jets_checkpoint(tmp_path / "jets")
    generation = Generation(checkpoint)
    inputs = inputs_of(generation, 500)
    expected = expected_of(checkpoint, *inputs)
    assert set(expected["jet.count"]) > {1.0, 2.0}
    assert_same(RUN[target](generation, tmp_path, *inputs), expected)


def test_images(tmp_path: Path) -> None:
    checkpoint = layers_checkpoint(tmp_path / "layers")
    generation = Generation(checkpoint)
    inputs = inputs_of(generation, 100)
    assert_same(RUN["cpp"](generation, tmp_path, *inputs), expected_of(checkpoint, *inputs))


def test_the_card_says_what_it_is(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "student", conditional=True)
    card = Generation(checkpoint).card
    assert (card.name, card.dataset, card.model) == ("student", "dis-ep-50", "gan")
    assert card.checkpoint_digest == checkpoint.digest
    assert [field.unit for field in card.fields] == ["GeV"] * 4
    assert [field.name for field in card.conditions] == ["beam_energy"]
    assert card.condition_range == {"beam_energy": (10.0, 50.0)}
    assert Generation(small_checkpoint(tmp_path / "fixed")).card.fixed == {"beam_energy": 50.0}


def test_what_one_pass_cannot_make_is_refused(tmp_path: Path) -> None:
    kept = small_checkpoint(tmp_path / "kept", recipe="avae-dis")
    with pytest.raises(CheckpointError, match=r"'alpha-vae' draws of 100 rows .* `mleg sample`"):
        Generation(kept)
    cut = small_checkpoint(tmp_path / "cut", "where=['electron.energy > 10']")
    with pytest.raises(CheckpointError, match=r"fulfil electron.energy > 10 .* without `where`"):
        Generation(cut)


def test_the_command_writes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = small_checkpoint(tmp_path / "runs" / "gan" / "checkpoint")
    monkeypatch.chdir(tmp_path)
    assert mleg.export(checkpoint, "cpp") == str(tmp_path / "gan.hpp")
    text = (tmp_path / "gan.hpp").read_text()
    assert text == TARGETS["cpp"].write(Generation(checkpoint)).decode()
    assert 'units[] = {"GeV", "GeV", "GeV", "GeV"}' in text
    result = CliRunner().invoke(app, ["export", checkpoint.uri, "--to", "fortran"])
    assert result.exit_code == 2
    assert "torchscript" in result.output


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("recipe", "parity"),
    [
        ("fatgan", PARITY),
        ("student-dis", PARITY),
        ("bvae-dis", PARITY),
        ("flow-dis", 10 * PARITY),  # splines enlarge the rounding of single precision
    ],
)
def test_many_events(tmp_path: Path, target: str, recipe: str, parity: float) -> None:
    teacher = small_checkpoint(tmp_path / "flow", recipe="flow-dis", conditional=True)
    checkpoint = small_checkpoint(
        tmp_path / "checkpoint",
        recipe=recipe,
        conditional=True,
        teacher=teacher if recipe == "student-dis" else None,
    )
    generation = Generation(checkpoint)
    inputs = inputs_of(generation, 100_000)
    assert_same(
        RUN[target](generation, tmp_path, *inputs), expected_of(checkpoint, *inputs), parity
    )
