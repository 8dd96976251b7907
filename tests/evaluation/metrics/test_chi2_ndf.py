import numpy as np
import pytest

from mleg_ray.evaluation.metrics.chi2 import prepare_chi2
from mleg_ray.evaluation.statistics.distances import two_sample
from mleg_ray.evaluation.statistics.estimate import NotComputableError


def test_chi2_of_equal_distributions_is_one_on_average():
    rng = np.random.default_rng(0)
    values = [
        two_sample(prepare_chi2, rng.normal(size=3000), rng.normal(size=3000)) for _ in range(100)
    ]
    assert np.mean(values) == pytest.approx(1, abs=4 * np.std(values) / 10)


def test_chi2_of_disjoint_samples_by_hand():
    """Bins that one sample fills alone add its events; all 102 bins have ten truth events."""
    truth = np.random.default_rng(0).uniform(size=12_000)
    chi2 = two_sample(prepare_chi2, truth, np.full(12_000, 10.0))
    overflow = 12  # 0.1% of the truth, where all generated events lie too
    expected = (12_000 - overflow) + (12_000 - overflow) ** 2 / (12_000 + overflow)
    assert chi2 == pytest.approx(expected / 101, rel=1e-3)


def test_negative_weights_cancel_positive_ones():
    """Events that appear with weights +1 and -1 far away change the errors, not the shape."""
    rng = np.random.default_rng(3)
    truth, generated = rng.normal(size=4000), rng.normal(size=4000)
    both = np.concatenate([generated, [0.1], [0.1]])
    weights = np.concatenate([np.ones(4000), [1.0, -1.0]])
    plain = two_sample(prepare_chi2, truth, generated)
    assert two_sample(prepare_chi2, truth, both, None, weights) == pytest.approx(plain, rel=0.01)


def test_what_has_no_bins_is_not_computable():
    with pytest.raises(NotComputableError, match="fewer than two bins"):
        two_sample(prepare_chi2, np.arange(50.0), np.arange(50.0))
