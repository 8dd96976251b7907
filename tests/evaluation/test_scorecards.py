import json
import re

import numpy as np
import pytest

from mleg_ray.errors import DataError
from mleg_ray.evaluation.estimate import Estimate, NotComputable
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.sample import from_arrays
from mleg_ray.evaluation.scorecards import Scorecard, scorecard, worst
from tests.evaluation.conftest import AXES, gaussian

QUICK = {name: METRICS[name] for name in ("chi2_ndf", "unphysical_rate", "ks")}


def test_json_round_trip_and_determinism():
    truth, generated = gaussian(1000, 1), gaussian(500, 2)
    heard: list[tuple[int, str]] = []
    card = scorecard(
        truth, generated, seed=3, metrics=QUICK, progress=lambda *step: heard.append(step)
    )
    again = scorecard(truth, generated, seed=3, metrics=QUICK)
    assert Scorecard.model_validate_json(card.to_json()) == card
    assert card.figures == again.figures
    assert heard == [(0, "chi2_ndf"), (1, "unphysical_rate"), (2, "ks"), (3, "")]
    document = json.loads(card.to_json())
    assert document["format_version"] == 1
    assert document["figures"]["ks"]["x"]["verdict"] == "at the floor"


def test_a_metrics_figures_do_not_depend_on_the_other_metrics():
    truth, generated = gaussian(1000, 1), gaussian(500, 2)
    alone = scorecard(truth, generated, metrics={"ks": METRICS["ks"]})
    assert alone.figures["ks"] == scorecard(truth, generated, metrics=QUICK).figures["ks"]


def test_headline_is_the_worst_of_each():
    metrics = QUICK | {"c2st_auc": METRICS["c2st_auc"]}
    card = scorecard(gaussian(1500, 1), gaussian(800, 2, shift=1.0), metrics=metrics)
    (c2st, classifier, auc), (chi2, subject, _), (rate, _, _) = card.highlights()
    assert (c2st, chi2, rate, subject) == ("c2st_auc", "chi2_ndf", "unphysical_rate", "x")
    assert auc.verdict == "visible"
    assert auc.value == max(figure.value for figure in card.figures["c2st_auc"].values())
    assert card.headline()[0] == f"c2st_auc ({classifier}): {auc}"
    assert re.search(r" ± .*, floor 0.5 ± .*: visible$", card.headline()[0])


def test_worst_passes_over_what_is_not_computable():
    numbers = {"uncertainty": 1.0, "floor": 0.0, "floor_spread": 1.0, "events": 1}
    figures = {
        "a": NotComputable(reason="empty"),
        "b": Estimate(value=1.0, **numbers),
        "c": Estimate(value=2.0, **numbers),
    }
    assert worst(figures)[0] == "c"
    assert worst({"a": figures["a"]})[0] == "a"


def test_an_empty_sample_gives_reasons_only():
    card = scorecard(gaussian(1000, 1), gaussian(0, 2))
    assert all(
        isinstance(figure, NotComputable)
        for figures in card.figures.values()
        for figure in figures.values()
    )


def test_different_columns_are_an_error():
    with pytest.raises(DataError, match="'y' is a column of arrays only"):
        scorecard(gaussian(100, 1), from_arrays({"x": [1.0]}, axes={"x": AXES["x"]}))


def test_halves_of_the_authors_tape_sit_at_the_floor(reference_data):
    table = np.loadtxt(reference_data / "fat-gan" / "tape2.txt", delimiter=",")
    table = table[np.random.default_rng(0).permutation(len(table))[:12_000]]
    truth, other = (
        from_arrays(dict(zip(("energy", "px", "py", "pz"), half.T, strict=True)))
        for half in (table[::2], table[1::2])
    )
    card = scorecard(truth, other)
    assert {
        f"{metric} of {subject}": figure.verdict
        for metric, figures in card.figures.items()
        for subject, figure in figures.items()
        if figure.verdict != "at the floor"
    } == {}
