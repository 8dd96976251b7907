import re

import numpy as np
import pytest

import mleg_ray as mleg
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Card, DatasetCard
from mleg_ray.commands.judging import (
    compare,
    dataset_name,
    evaluate,
    report_folder,
    sampled,
    short_names,
)
from mleg_ray.errors import ConfigError, DataError, ResourceError
from mleg_ray.evaluation.scorecards import Scorecard, scorecard
from mleg_ray.evaluation.statistics.estimate import Estimate


def card_of(dataset: Dataset) -> Card:
    return Card(
        dataset=DatasetCard.of(dataset),
        train_events=2000,
        condition_range={"beam_energy": (50.0, 50.0)},
        outside_fraction=0.0,
        step=20,
        metrics={},
        history=({"step": 10, "ks_sum": 1.0}, {"step": 20, "ks_sum": 0.5}),
        seconds=1.0,
        environment={},
    )


def test_a_sample_is_judged_end_to_end(make_dataset, tmp_path):
    truth = make_dataset("truth", 4000, seed=1)
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "card.json").write_text(card_of(truth).model_dump_json())
    make_dataset(
        "sample", 8000, seed=2, sampled=True, smearing=0.05, checkpoint={"uri": str(checkpoint)}
    )
    out = tmp_path / "report"
    card = evaluate(
        str(tmp_path / "sample"),
        truth,
        "test",
        str(out),
        seed=1,
    )
    assert Scorecard.model_validate_json((out / "scorecard.json").read_text()) == card
    assert (card.truth.split, card.truth.events, card.generated.compared) == ("test", 2000, 2000)
    rate = card.figures["unphysical_rate"]["energy_below_beam"]
    assert rate.events == 8000
    assert rate.value > 0.1
    assert card.figures["unphysical_rate"]["mass_shell"].value == 0
    assert card.figures["c2st_auc"]["boosted trees"].verdict == "large"
    nothing = card.doing_nothing("c2st_auc")
    assert nothing is not None
    assert nothing.value > 0.9  # momenta of others are off the mass shell
    assert "Doing nothing" in (out / "report.html").read_text()
    assert (out / "figures" / "training-ks.png").is_file()
    noted = Dataset.open(str(tmp_path / "sample")).manifest.worth
    assert noted is not None
    assert (noted.truth, noted.split, noted.true_events) == (truth.digest, "test", 2000)
    assert list(noted.equivalent["electron.pz"]) == ["tail", "edge", "bulk"]
    for name, regions in noted.equivalent.items():
        for region, bound in regions.items():
            figure = card.figures["n_equivalent"][f"{name}, {region}"]
            assert (bound.events, bound.uncertainty) == (
                figure.value,
                figure.uncertainty if isinstance(figure, Estimate) else None,
            )
    bounds = noted.indistinguishable
    assert min(bound.events for bound in bounds.values()) == next(iter(bounds.values())).events


def test_a_sample_that_cannot_be_written_is_judged_all_the_same(
    make_dataset, tmp_path, monkeypatch, capsys
):
    truth = make_dataset("truth", 1000, seed=1)
    make_dataset("sample", 1000, seed=2, sampled=True)
    columns = {"x": np.arange(200.0)}
    card = scorecard(columns, columns, metrics=["ks"])
    monkeypatch.setattr("mleg_ray.commands.judging._judged", lambda *_: card)
    sample, manifest = str(tmp_path / "sample"), tmp_path / "sample" / "manifest.json"
    before = manifest.read_bytes()

    def refuse(*_: object) -> None:
        raise ResourceError(f"{sample}/manifest.json: no permission")

    monkeypatch.setattr("mleg_ray.commands.judging.note_worth", refuse)
    assert evaluate(sample, truth, "test", str(tmp_path / "report"), seed=1) is card
    told = " ".join(capsys.readouterr().err.split())
    assert "manifest.json: no permission; so the report alone says" in told
    assert manifest.read_bytes() == before


def test_nothing_is_written_for_a_sample_of_something_else(make_dataset, tmp_path):
    truth = make_dataset("truth")
    make_dataset("sample", sampled=True, conditions={"beam_energy": 40.0})
    with pytest.raises(DataError, match="condition 'beam_energy'"):
        evaluate(str(tmp_path / "sample"), truth, "test", str(tmp_path / "report"), seed=1)
    assert not (tmp_path / "report").exists()


def test_samples_and_reports_are_set_side_by_side(make_dataset, tmp_path, capsys):
    truth = make_dataset("truth", 4000, seed=1)
    samples = [str(tmp_path / name) for name in ("good", "bad")]
    make_dataset("good", 4000, seed=2, sampled=True)
    make_dataset("bad", 4000, seed=3, sampled=True, smearing=0.05)
    out = tmp_path / "both"
    cards = compare(samples, truth, "test", str(out), str(tmp_path), seed=1, events=1500)
    for card in cards.values():
        assert (card.truth.compared, card.generated.compared) == (1500, 1500)
    assert list(cards) == ["good", "bad"]
    assert "Classifier test" in capsys.readouterr().err
    again = compare(
        [str(out / "good"), str(out / "bad")], None, "test", str(out), str(tmp_path), seed=1
    )
    assert again == cards
    with pytest.raises(ConfigError, match=r"has no scorecard.json; name the truth"):
        compare(samples, None, "test", str(out), str(tmp_path), seed=1)


def test_names_are_as_short_as_tells_them_apart():
    assert short_names(["/a/b/x", "/a/c/x"]) == {"/a/b/x": "b", "/a/c/x": "c"}
    assert short_names(["/a/x", "/b/x", "/b/y"]) == {"/a/x": "a-x", "/b/x": "b-x", "/b/y": "b-y"}
    assert short_names(["/a/sample"]) == {"/a/sample": "sample"}
    assert short_names(["/r/run/checkpoint"]) == {"/r/run/checkpoint": "run"}
    with pytest.raises(ConfigError, match="named twice"):
        short_names(["/a/x", "/a/x/"])
    with pytest.raises(ConfigError, match="named twice"):
        short_names(["/a/run", "/a/run/checkpoint"])


def test_reports_are_named_after_sample_truth_and_split(make_dataset):
    truth = make_dataset("truth")
    assert report_folder("/s", ["/a/run/checkpoint"], truth, "validation") == (
        "/s/reports/truth-validation/run"
    )
    assert report_folder("/s", ["/a/x", "/a/y"], None, "test") == "/s/reports/x-vs-y"


def test_a_checkpoint_is_not_judged_at_energies_that_vary(make_dataset, tmp_path):
    truth = make_dataset("truth")
    (tmp_path / "card.json").write_text("{}")
    truth.manifest = truth.manifest.model_copy(update={"conditions": {}})
    with pytest.raises(ConfigError, match="beam_energy varies from event to event"):
        sampled(str(tmp_path), truth, "test", str(tmp_path), seed=1)


def test_a_truth_of_fewer_events_than_are_asked_for_says_how_many_are_needed(
    make_dataset, tmp_path
):
    """Half of the thousand true events are test events."""
    make_dataset("truth", 1000)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "truth").rename(tmp_path / "datasets" / "truth")
    sample = str(make_dataset("sample", 1000, sampled=True).uri)
    told = (
        "--events 600: the test split of truth has 500; to judge by so many, prepare a dataset of "
        "1,200 events, or ask for 500"
    )
    asked = {"truth": "truth", "storage": str(tmp_path), "events": 600}
    for judge in (lambda: mleg.evaluate(sample, **asked), lambda: mleg.compare([sample], **asked)):
        with pytest.raises(ConfigError, match=re.escape(told)):
            judge()
    assert not (tmp_path / "reports").exists()


def test_the_truth_of_a_run_that_selects_is_the_whole_dataset(make_dataset, tmp_path):
    truth = make_dataset("truth", 400, seed=1)
    card = card_of(truth.selecting(("electron.pz > 0",)))
    assert card.dataset.name == f"{truth.manifest.name} where electron.pz > 0"
    (tmp_path / "card.json").write_text(card.model_dump_json())
    assert dataset_name(str(tmp_path)) == truth.manifest.name
