"""The main job end to end, small: it ends in a report, and completes what an earlier run left."""

from pathlib import Path

import pytest

import mleg_ray as mleg
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.commands.quickstart import SHARD_EVENTS, quickstart
from mleg_ray.evaluation.scorecards import Scorecard

pytest.importorskip("pythia8mc", reason="the main job's events need the extra 'pythia'")

RECIPE = """
[run]
dataset = "small.toml"
features.steps = [{ kind = "dis-kinematic", q2_min = 2.0 }]
objective = { kind = "wgan-gp", gradient_penalty = 1.0, critic_updates = 1 }

[run.model]
kind = "gan"
noise_dim = 4
generator = { widths = [16, 16] }
critic = { widths = [16, 16] }

[run.training]
steps = 60
batch_size = 64
optimisers.generator = { learning_rate = 1e-3, betas = [0.0, 0.9] }
optimisers.critic = { learning_rate = 1e-3, betas = [0.0, 0.9] }

[run.selection]
every = 30
observables = ["electron.px", "electron.energy", "q2"]
"""

DATASET = """
extends = "dis-ep-50"
name = "small"
shard_events = 200

[source]
kind = "pythia-dis"
events = 2000
q2_min = 2.0
m_hat_min = 4.0
seed = 5
"""


def test_from_events_to_report_and_again(
    ray_cluster: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(DATASET)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    storage = tmp_path / "storage"
    quickstart(storage=str(storage), recipe="recipe.toml", events=3000)
    told = capsys.readouterr().err
    (report,) = storage.glob("reports/*-test/*/report.html")
    (sample,) = storage.glob("samples/*")
    assert str(report) in told
    assert str(sample) in told
    assert "arquet" not in told.replace(str(tmp_path), "")  # of Ray Data's own words and bars
    assert Dataset.open(str(sample)).rows() == 3000
    card = Scorecard.model_validate_json((report.parent / "scorecard.json").read_text())
    assert {"c2st_auc", "ks", "w1", "js", "kl", "chi2_ndf", "unphysical_rate"} <= set(card.figures)

    events = {path: path.read_bytes() for path in sample.rglob("*.parquet")}
    made = {path: path.stat().st_mtime_ns for path in storage.rglob("*.parquet")}
    monkeypatch.setenv("MLEG_STORAGE", str(storage))
    (run,) = storage.glob("runs/*/checkpoint")
    again = mleg.sample(run, 3000, shard_events=SHARD_EVENTS)
    assert again.uri == str(sample)
    judged = mleg.evaluate(again)
    assert judged.figures == card.figures  # by the same events, which it found by itself
    assert capsys.readouterr().out == ""  # results are returned

    report.unlink()  # as if the first run had been interrupted here
    quickstart(storage=str(storage), recipe="recipe.toml", events=3000)
    assert report.exists()
    assert {path: path.read_bytes() for path in sample.rglob("*.parquet")} == events
    assert {path: path.stat().st_mtime_ns for path in storage.rglob("*.parquet")} == made
