import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from mleg_ray.evaluation.classifiers import boosted_trees_auc, prepare_auc
from mleg_ray.evaluation.sample import from_arrays
from tests.evaluation.conftest import gaussian


def test_area_is_sklearns_with_weights_and_ties():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 1000)
    scores = np.round(rng.normal(size=1000) + label, 1)
    weights = rng.uniform(0.5, 2, 1000)
    area = prepare_auc(scores)(weights * (label == 0), weights * (label == 1))
    assert area == pytest.approx(roc_auc_score(label, scores, sample_weight=weights))


def test_auc_agrees_with_a_direct_script():
    truth, generated = gaussian(10_000, 1), gaussian(10_000, 2, shift=0.3)
    estimate = boosted_trees_auc(truth, generated, np.random.default_rng(0))

    features = np.concatenate(
        [np.stack(list(s.columns.values()), axis=1) for s in (truth, generated)]
    )
    label = np.repeat([0, 1], 10_000)
    x, x_test, y, y_test = train_test_split(features, label, test_size=0.2, random_state=0)
    trees = HistGradientBoostingClassifier(early_stopping=True, random_state=0).fit(x, y)
    direct = roc_auc_score(y_test, trees.decision_function(x_test))

    assert estimate.value == pytest.approx(direct, abs=4 * estimate.uncertainty)
    assert estimate.uncertainty == pytest.approx(0.0075, rel=0.3)
    assert estimate.floor_spread == pytest.approx(np.sqrt(4001 / (12 * 2000**2)))


def test_signed_weights_undo_what_they_add():
    """A blob of events at x = 3 that negative weights cancel cannot be told from nothing."""
    rng = np.random.default_rng(0)
    truth, clean = gaussian(6000, 1), gaussian(4000, 2)
    blob = rng.normal(3, 0.1, (2000, 2))
    columns = {
        name: np.concatenate([clean.columns[name], blob[:, i]]) for i, name in enumerate("xy")
    }
    signs = np.where(np.arange(2000) % 2, 1.0, -1.0)
    mixed = from_arrays(
        columns, np.concatenate([np.ones(4000), signs]), axes=clean.axes, constraints={}
    )
    estimate = boosted_trees_auc(truth, mixed, rng)
    assert estimate.value == pytest.approx(0.5, abs=4 * estimate.uncertainty)
