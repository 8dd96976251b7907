import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from mleg_ray.evaluation.metrics.c2st import auc_figures
from mleg_ray.evaluation.samples.sample import Axis, EventSample, from_arrays
from mleg_ray.evaluation.statistics.classifiers import classify
from mleg_ray.evaluation.statistics.estimate import Estimate
from tests.evaluation.conftest import gaussian


def auc(truth: EventSample, generated: EventSample) -> dict[str, Estimate]:
    rng = np.random.default_rng(0)
    return auc_figures(classify(truth, generated, rng), rng)


def test_auc_agrees_with_a_direct_script():
    truth, generated = gaussian(10_000, 1), gaussian(10_000, 2, shift=0.3)
    figures = auc(truth, generated)

    features = np.concatenate(
        [np.stack(list(s.numbers.values()), axis=1) for s in (truth, generated)]
    )
    label = np.repeat([0, 1], 10_000)
    x, x_test, y, y_test = train_test_split(features, label, test_size=0.2, random_state=0)
    trees = HistGradientBoostingClassifier(early_stopping=True, random_state=0).fit(x, y)
    direct = roc_auc_score(y_test, trees.decision_function(x_test))

    for estimate in figures.values():
        assert estimate.value == pytest.approx(direct, abs=4 * estimate.uncertainty)
        assert estimate.uncertainty == pytest.approx(0.0075, rel=0.3)
        assert estimate.floor_spread == pytest.approx(np.sqrt(4001 / (12 * 2000**2)))


def test_signed_weights_undo_what_they_add():
    """A blob of events at x = 3 that negative weights cancel cannot be told from nothing."""
    rng = np.random.default_rng(0)
    truth, clean = gaussian(6000, 1), gaussian(4000, 2)
    blob = rng.normal(3, 0.1, (2000, 2))
    columns = {
        name: np.concatenate([clean.numbers[name], blob[:, i]]) for i, name in enumerate("xy")
    }
    signs = np.where(np.arange(2000) % 2, 1.0, -1.0)
    mixed = from_arrays(columns, np.concatenate([np.ones(4000), signs]), axes=clean.axes)
    for estimate in auc(truth, mixed).values():
        assert estimate.value == pytest.approx(0.5, abs=4 * estimate.uncertainty)


def test_a_network_judges_the_fields_alone_where_columns_are_derived():
    """A derived column that does not follow from the fields shows only to who may look at it."""
    axes = {"x": Axis(), "y": Axis(derived=True)}
    truth, generated = (
        from_arrays(gaussian(4000, seed, correlation=rho).numbers, axes=axes)
        for seed, rho in ((1, 0.8), (2, -0.8))
    )
    figures = auc(truth, generated)
    assert list(figures) == ["boosted trees", "MLP", "MLP, fields alone"]
    assert figures["MLP"].value > 0.8
    assert figures["MLP, fields alone"].verdict == "at the floor"


def test_outliers_do_not_overflow_the_network():
    outlying = gaussian(2000, 2)
    columns = {**outlying.numbers, "x": np.where(np.arange(2000) < 5, 1e60, outlying.numbers["x"])}
    figures = auc(gaussian(2000, 1), from_arrays(columns, axes=outlying.axes))
    assert np.isfinite([f.value for f in figures.values()]).all()


def test_the_seed_decides_and_torchs_own_stream_is_left_alone():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, again = (auc(gaussian(800, 1), gaussian(800, 2)) for _ in range(2))
    assert first == again
    assert torch.equal(before, torch.random.get_rng_state())
