"""From labelled events to the clusters of a hidden layer: the exclusive reaction, end to end."""

import json
from pathlib import Path

import pytest
import torch

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.prepare import finish, make_shard, plan_dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cli import main
from mleg_ray.commands import analyses
from mleg_ray.events import four_momentum
from mleg_ray.interpret.events import SPLIT, random_events
from mleg_ray.physics.dis import PROTON_MASS
from mleg_ray.physics.photoproduction import PION_MASS
from mleg_ray.run import RunConfig
from mleg_ray.training.trainee import Trainee
from tests.dis_events import momenta
from tests.prepared import prepared_dataset
from tests.recipes import ADVERSARIES

QUICK = (*ADVERSARIES, "training.steps=4", "training.batch_size=64", "selection.every=4")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage root with a small dataset, and a checkpoint that was hardly trained."""
    root: Path = tmp_path_factory.mktemp("storage")
    settings = ("source.events=3600", "shard_events=120")
    plan = plan_dataset(DatasetSpec.load("gamma-p-to-p-pi-pi", settings), str(root))
    dataset = finish(plan, {shard.index: make_shard(plan, shard.index) for shard in plan.shards})
    run = RunConfig.load("fatgan-photoproduction", QUICK)
    trainee = Trainee.alone(run, dataset, {}, torch.device("cpu"))
    for _ in trainee.train():
        pass
    trainee.save(str(root / "runs" / "photo"))
    return root


def test_training_sees_momenta_and_no_label(storage: Path) -> None:
    checkpoint = Checkpoint.load(str(storage / "runs" / "photo" / "checkpoint"))
    assert checkpoint.schema.labels == ()
    feature_map = checkpoint.feature_map
    assert (feature_map.space.width, feature_map.condition_space.width) == (9, 1)
    given = checkpoint.given(100, {"photon_energy": 2.5})
    events = checkpoint.generate(given, generator=torch.Generator().manual_seed(1))
    particles = [momenta(events, four_momentum(name)) for name in ("p", "pip", "pim")]
    p = torch.stack(particles, dim=1)
    squared = p[..., 3].square() - p[..., :3].square().sum(dim=2)
    masses = torch.tensor([PROTON_MASS, PION_MASS, PION_MASS], dtype=torch.float64)
    torch.testing.assert_close(squared, masses.square().expand(100, 3), rtol=1e-6, atol=1e-9)


def test_labels_belong_to_their_events(storage: Path) -> None:
    dataset = Dataset.prepared(str(storage), "gamma-p-to-p-pi-pi")
    events = random_events(dataset, SPLIT, 200, seed=3)
    whole, names = dataset.load("validation"), four_momentum("p")
    for row in (0, 17, 199):
        same = (momenta(whole, names) == momenta(events, names)[row]).all(dim=1).nonzero()
        assert whole.columns["channel"][same.item()] == events.columns["channel"][row]


def run(storage: Path, out: Path, *options: str) -> int | str | None:
    """Run the command on the small checkpoint; return its exit status."""
    checkpoint = str(storage / "runs" / "photo" / "checkpoint")
    asked = ["--events=200", "--perplexity=20", f"--storage={storage}", f"--out={out}"]
    with pytest.raises(SystemExit) as end:
        main(["latent", checkpoint, *asked, *options])
    return end.value.code


def test_the_command_writes_figures_clusters_and_pictures(
    storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(storage, out, "--player=critic", "--layer=2") == 0
    assert capsys.readouterr().out.strip() == str(out)
    result = json.loads((out / "latent.json").read_text())
    assert set(result["separation"]) == set(result["purity"]) == {"channel", "photon_energy"}
    assert set(result["separation"]["channel"]) == {"features", "input", "layer", "pca", "t-sne"}
    assert len(result["tsne"]) == 200
    pictures = {"cluster", "channel", "photon_energy", "true-generated"}
    assert {place.stem for place in out.glob("*.png")} == pictures
    assert set(result["told_apart"]) == {"features", "input", "layer", "pca"}
    clusters = Dataset.open(str(out / "clusters"))
    assert clusters.rows("validation") == 200
    assert set(clusters.schema.labels) == {"channel", "cluster"}
    assert {"channel", "cluster"} <= set(clusters.load("validation").columns)


def test_a_generators_events_are_told_by_their_condition(storage: Path, tmp_path: Path) -> None:
    """Made events have no label; the network is given the photon energy, the noise knows none."""
    assert run(storage, tmp_path, "--player=generator", "--layer=1") == 0
    result = json.loads((tmp_path / "latent.json").read_text())
    assert set(result["separation"]) == {"photon_energy"}
    told = {
        space: figure["value"] for space, figure in result["separation"]["photon_energy"].items()
    }
    assert told["input"] < 0.5 < 0.7 < told["layer"]
    clusters = Dataset.open(str(tmp_path / "clusters"))
    assert clusters.schema.conditions == ("photon_energy",)
    assert clusters.schema.labels == ("cluster",)


def test_events_at_other_conditions_are_looked_at(storage: Path, tmp_path: Path) -> None:
    """At 2.5 GeV, between the energies that were learned; a generator takes the conditions."""
    values = ("name=between", "source.photon_energies=[2.5, 3]", "source.events=600")
    spec = DatasetSpec.load("gamma-p-to-p-pi-pi", (*values, "shard_events=50"))
    plan = plan_dataset(spec, str(storage))
    between = finish(plan, {shard.index: make_shard(plan, shard.index) for shard in plan.shards})
    for player, asked in (("critic", "between:test"), ("generator", "between")):
        out = tmp_path / player
        assert run(storage, out, f"--player={player}", "--layer=1", f"--truth={asked}") == 0
        result = json.loads((out / "latent.json").read_text())
        assert result["dataset"] == between.digest
        found = Dataset.open(str(out / "clusters")).load().columns["photon_energy"]
        assert set(found.tolist()) == {2.5, 3.0}


def test_events_of_another_kind_are_refused(
    storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = prepared_dataset(tmp_path / "electrons", 300)
    out = tmp_path / "out"
    assert run(storage, out, "--player=critic", "--layer=1", f"--truth={other.uri}") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "it lacks, or has in other units, p.px, p.py" in told
    assert "choose another --truth" in told
    assert not out.exists()


def test_an_analysis_takes_the_place_of_another(storage: Path, tmp_path: Path) -> None:
    assert run(storage, tmp_path, "--player=critic", "--layer=1") == 0
    (tmp_path / "notes.txt").write_text("mine")
    assert run(storage, tmp_path, "--player=generator", "--layer=1") == 0
    assert {place.stem for place in tmp_path.glob("*.png")} == {"cluster", "photon_energy"}
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_same_command_completes_what_a_killed_one_left(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as killed:
        killed.setattr(analyses, "planes_png", interrupted)
        assert run(storage, out, "--player=critic", "--layer=1") == 130
    assert {place.name for place in out.iterdir()} == {"plan.json", "clusters"}
    assert run(storage, out, "--player=critic", "--layer=1") == 0
    assert (out / "latent.json").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "holds other files and no plan.json; choose another --out"),
        (["--layer=3"], "has --layer 1 to 2, not 3"),
        (["--events=1e6"], "validation events, not 1,000,000"),
    ],
)
def test_bad_requests_are_answered_before_any_work(
    storage: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(analyses, "activations", None)
    (tmp_path / "thesis.tex").write_text("mine")
    assert run(storage, tmp_path, "--player=generator", "--layer=1", *options) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert [place.name for place in tmp_path.iterdir()] == ["thesis.tex"]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
