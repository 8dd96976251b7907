import pytest

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Card, DatasetCard
from mleg_ray.cluster.evaluate import evaluate
from mleg_ray.errors import DataError
from mleg_ray.evaluation.scorecards import Scorecard


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
    assert (out / "report.html").is_file()
    assert (out / "figures" / "training-ks.png").is_file()


def test_nothing_is_written_for_a_sample_of_something_else(make_dataset, tmp_path):
    truth = make_dataset("truth")
    make_dataset("sample", sampled=True, conditions={"beam_energy": 40.0})
    with pytest.raises(DataError, match="condition 'beam_energy'"):
        evaluate(str(tmp_path / "sample"), truth, "test", str(tmp_path / "report"), seed=1)
    assert not (tmp_path / "report").exists()
