"""A checkpoint is one directory that needs nothing else, and is refused when it is not whole."""

import io
import json
import math
import pickletools
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import torch

from mleg_ray.checkpoint import CARD, RUN, WEIGHTS, Checkpoint, environment
from mleg_ray.definitions import passing
from mleg_ray.errors import CheckpointError, ConfigError
from tests.checkpoints import small_checkpoint
from tests.dis_events import momenta
from tests.recipes import SMALL


def generated(checkpoint: Checkpoint) -> torch.Tensor:
    given = checkpoint.given(
        50, {} if checkpoint.card.dataset.conditions else {"beam_energy": 30.0}
    )
    return momenta(checkpoint.generate(given, generator=torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("conditional", [False, True], ids=["one energy", "energies"])
@pytest.mark.parametrize("recipe", sorted(SMALL))
def test_every_family_survives_saving(tmp_path: Path, recipe: str, conditional: bool) -> None:
    first = small_checkpoint(tmp_path / "a", recipe=recipe, conditional=conditional)
    first.save(str(tmp_path / "b"))
    second = Checkpoint.load(str(tmp_path / "b"))
    assert torch.equal(generated(first), generated(second))
    assert second.digest == first.digest
    assert second.card == first.card


def test_conditions_that_its_steps_cannot_take_are_refused(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "a", conditional=True)
    with pytest.raises(ConfigError, match=r"beam_energy = -5: outside the domain of features.con"):
        checkpoint.given(10, {"beam_energy": -5.0})
    with pytest.raises(ConfigError, match="beam_energy = nan: a condition is a finite number"):
        checkpoint.given(10, {"beam_energy": math.nan})


def test_only_events_like_those_it_learned_are_generated(tmp_path: Path) -> None:
    plain = small_checkpoint(tmp_path / "plain", conditional=True)
    selecting = small_checkpoint(
        tmp_path / "where", 'where=["q2 > 4.5", "phi < -0.4"]', conditional=True
    )
    given = plain.given(400, {"beam_energy": 30.0})
    given.columns["beam_energy"] = torch.linspace(20, 40, 400, dtype=torch.float64)
    before, after = (
        one.generate(given, generator=torch.Generator().manual_seed(3))
        for one in (plain, selecting)
    )
    passed = passing(selecting.run.where, plain.card.dataset.joined(before))
    assert 20 < int(passed.sum()) < 380
    assert passing(selecting.run.where, plain.card.dataset.joined(after)).all()
    # What passes at once stays, and each event has the condition it was asked under.
    assert torch.equal(momenta(after)[passed], momenta(before)[passed])
    assert torch.equal(after.columns["beam_energy"], given.columns["beam_energy"])


def test_a_model_of_which_no_event_is_like_those_it_learned(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path, 'where=["q2 > 1e9"]')
    with pytest.raises(CheckpointError, match="after 1,000 tries 50 of 50 .* q2 > 1e9.*train long"):
        generated(checkpoint)


def test_another_process_elsewhere_generates_the_same(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "a")
    script = (
        "import sys, torch\n"
        "from mleg_ray.checkpoint import Checkpoint\n"
        "checkpoint = Checkpoint.load(sys.argv[1])\n"
        "g = torch.Generator().manual_seed(3)\n"
        "events = checkpoint.generate(checkpoint.given(50), generator=g)\n"
        "names = ['px', 'py', 'pz', 'energy']\n"
        "print(sum(events.columns['electron.' + name].sum().item() for name in names))\n"
    )
    (tmp_path / "elsewhere").mkdir()
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path / "elsewhere",
    )
    assert float(answer.stdout) == pytest.approx(generated(checkpoint).sum().item(), rel=1e-6)


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    small_checkpoint(tmp_path)
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    *_, example = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example.replace("mleg-storage/runs/.../checkpoint", tmp_path.as_posix()), names)
    assert names["events"].columns["electron.px"].shape == (1000,)


def test_no_pickle_inside(tmp_path: Path) -> None:
    small_checkpoint(tmp_path / "a")
    for file in (tmp_path / "a").iterdir():
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever pickletools raises
            pickletools.dis(file.read_bytes(), out=io.StringIO())


@pytest.mark.parametrize("file", [RUN, WEIGHTS, CARD])
class TestDamage:
    def test_absent(self, tmp_path: Path, file: str) -> None:
        small_checkpoint(tmp_path)
        (tmp_path / file).unlink()
        with pytest.raises(CheckpointError, match=f"lacks {file}"):
            Checkpoint.load(str(tmp_path))

    def test_truncated(self, tmp_path: Path, file: str) -> None:
        small_checkpoint(tmp_path)
        content = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(content[: len(content) // 2])
        with pytest.raises(CheckpointError, match=str(tmp_path)):
            Checkpoint.load(str(tmp_path))


def test_altered_weights(tmp_path: Path) -> None:
    small_checkpoint(tmp_path)
    content = bytearray((tmp_path / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="truncated or altered"):
        Checkpoint.load(str(tmp_path))


def test_configuration_of_other_networks(tmp_path: Path) -> None:
    small_checkpoint(tmp_path)
    run = (tmp_path / RUN).read_text()
    assert "16" in run
    (tmp_path / RUN).write_text(run.replace("16", "17"))
    with pytest.raises(CheckpointError, match="altered"):
        Checkpoint.load(str(tmp_path))


def test_versions_are_told_where_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_ray(name: str) -> str:
        if name == "ray":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("importlib.metadata.version", without_ray)
    monkeypatch.setattr("mleg_ray.checkpoint.version", without_ray)
    assert environment()["torch"] == version("torch")
    assert "ray" not in environment()


def test_not_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint.*`mleg train`"):
        Checkpoint.load(str(tmp_path / "nothing"))


def test_card_of_another_format(tmp_path: Path) -> None:
    small_checkpoint(tmp_path)
    card = json.loads((tmp_path / CARD).read_text())
    (tmp_path / CARD).write_text(json.dumps(card | {"surprise": 1}))
    with pytest.raises(CheckpointError, match="unknown key 'surprise'"):
        Checkpoint.load(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 3}, "format_version is 3; this version of mleg_ray reads 2 only"),
        ({"run_sha256": ""}, "written by an older version"),
    ],
)
def test_card_of_another_version_says_so(tmp_path: Path, change, message) -> None:
    small_checkpoint(tmp_path)
    card = json.loads((tmp_path / CARD).read_text())
    (tmp_path / CARD).write_text(json.dumps(card | change))
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.load(str(tmp_path))


def test_a_folder_of_the_first_format_is_refused_for_its_version_alone(tmp_path: Path) -> None:
    """Its configuration is another one too, of which nothing need be said."""
    small_checkpoint(tmp_path)
    card = json.loads((tmp_path / CARD).read_text())
    card["format_version"] = 1
    card["dataset"]["particles"] = {}
    (tmp_path / CARD).write_text(json.dumps(card))
    run = (tmp_path / RUN).read_text()
    (tmp_path / RUN).write_text(run.replace("[run.features]", "[run.features]\nkind = 'dis'"))
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.load(str(tmp_path))
    first, hint = str(caught.value).splitlines()
    assert first == (
        f"{tmp_path}: cannot be read: {tmp_path / CARD}: format_version is 1; this version of "
        "mleg_ray reads 2 only: make it again, or use the version that made it"
    )
    assert hint.startswith("This is mleg_ray")


def test_a_teacher_travels_with_its_student_and_is_verified(tmp_path: Path) -> None:
    teacher = small_checkpoint(tmp_path / "flow", recipe="flow-dis")
    student = small_checkpoint(tmp_path / "student", recipe="student-dis", teacher=teacher)
    shutil.rmtree(tmp_path / "flow")
    loaded = Checkpoint.load(student.uri)
    assert loaded.teacher is not None
    assert loaded.teacher.digest == teacher.digest == loaded.card.teacher_digest
    assert generated(loaded.teacher).equal(generated(teacher))
    within = Path(student.uri) / "parts" / "teacher"
    shutil.rmtree(within)
    small_checkpoint(within, "model.bins=5", recipe="flow-dis")
    with pytest.raises(CheckpointError, match="not the teacher that the card of"):
        Checkpoint.load(student.uri)
