"""The pictures of a landscape, and its command from the checkpoint to the folder."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mleg_ray import cli
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.commands import analyses
from tests.checkpoints import small_checkpoint
from tests.prepared import prepared_dataset


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with a dataset and a GAN trained on it."""
    root = tmp_path_factory.mktemp("storage")
    dataset = prepared_dataset(root / "datasets" / "dis-ep-50", 200)
    checkpoint = small_checkpoint(root / "runs" / "gan" / "checkpoint")
    card = json.loads((Path(checkpoint.uri) / "card.json").read_text())
    card["dataset"]["dataset_digest"] = dataset.digest
    (Path(checkpoint.uri) / "card.json").write_text(json.dumps(card))
    return root


def run(storage: Path, *options: str) -> None:
    checkpoint = storage / "runs" / "gan" / "checkpoint"
    asked = ["--storage", str(storage), "--grid", "5", "--pairs", "2", "--events", "100"]
    cli.main(["landscape", str(checkpoint), *asked, *options])


def test_command_draws_what_it_computed(storage: Path) -> None:
    with pytest.raises(SystemExit) as end:
        run(storage, "--player", "critic")
    assert end.value.code == 0
    folder = storage / "reports" / "landscape-gan-critic"
    found = json.loads((folder / "landscape.json").read_text())
    checkpoint = Checkpoint.load(str(storage / "runs" / "gan" / "checkpoint"))
    assert found["checkpoint"] == checkpoint.digest
    assert found["surfaces"][0][2][2] == found["loss"]
    assert found["roughness"]["uncertainty"] > 0
    for name in ("surface", "contours"):
        picture = Image.open(folder / f"{name}.png").convert("RGB")
        assert len(picture.getcolors(2**24) or ()) > 20  # not an empty frame


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--player", "flow"], "no player 'flow'; a model of kind 'gan' has --player"),
        (["--player", "critic", "--grid", "6"], "mleg landscape: grid must be odd"),
        (["--player", "critic", "--pairs", "1"], "pairs: "),
        (["--player", "critic", "--reach", "nan"], "reach: "),
        (["--player", "critic", "--events", "1e6"], "200 validation events, not 1,000,000"),
    ],
)
def test_bad_requests_are_answered_before_any_work(
    storage: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as end:
        run(storage, *options, "--out", str(storage / "nothing"))
    assert end.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (storage / "nothing").exists()


def test_other_files_are_refused_before_any_work(
    storage: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(analyses, "landscape", None)
    (tmp_path / "surface.png").write_text("mine")
    with pytest.raises(SystemExit) as end:
        run(storage, "--player", "critic", "--out", str(tmp_path))
    assert end.value.code == 2
    assert "holds other files and no plan.json" in " ".join(capsys.readouterr().err.split())
    assert [place.read_text() for place in tmp_path.iterdir()] == ["mine"]


def test_the_same_command_completes_what_a_killed_one_left(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("--player", "generator", "--out", str(tmp_path / "out"))
    with monkeypatch.context() as killed, pytest.raises(SystemExit):
        killed.setattr(analyses, "write_json", interrupted)
        run(storage, *asked)
    left = {place.name for place in (tmp_path / "out").iterdir()}
    assert left == {"plan.json", "surface.png", "contours.png"}
    with pytest.raises(SystemExit) as end:
        run(storage, *asked)
    assert end.value.code == 0
    assert json.loads((tmp_path / "out" / "landscape.json").read_text())["spec"]["grid"] == 5


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
