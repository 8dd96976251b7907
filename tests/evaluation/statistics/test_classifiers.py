import math
from collections.abc import Collection

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from mleg_ray.evaluation.metrics.c2st import auc_figures
from mleg_ray.evaluation.samples.images import Images
from mleg_ray.evaluation.samples.sample import Axis, EventSample, from_arrays
from mleg_ray.evaluation.statistics.classifiers import ConvNet, _log_scale, _on_log_scale, classify
from mleg_ray.evaluation.statistics.estimate import Estimate, NotComputableError
from tests.evaluation.conftest import gaussian, with_images

CONV_NETS = ("conv net", "conv net, above threshold")


def auc(
    truth: EventSample, generated: EventSample, wanted: Collection[str] | None = None
) -> dict[str, Estimate]:
    rng = np.random.default_rng(0)
    return auc_figures(classify(truth, generated, rng, wanted))


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


def test_the_conv_net_sees_what_cells_share():
    """An event's cells have one scale; with each cell of another event no cell alone tells."""
    rng = np.random.default_rng(0)
    n = 1500
    cells = np.exp(rng.normal(size=(2, n, 1, 1))) * rng.exponential(size=(2, n, 4, 4))
    x = rng.normal(size=(2, n))
    truth = from_arrays({"x": x[0], "image": cells[0]})
    moved = from_arrays({"x": x[1], "image": rng.permuted(cells[1], axis=0)})
    figures = auc(truth, moved)
    assert list(figures) == ["boosted trees", "MLP", "conv net"]
    assert figures["MLP"].verdict == "at the floor"
    assert figures["conv net"].value > 0.7
    same = auc(truth, from_arrays({"x": x[1], "image": cells[1]}), CONV_NETS)
    assert same["conv net"].verdict == "at the floor"


def test_what_is_below_the_threshold_only_one_conv_net_sees():
    truth, other = with_images(1500, 1), with_images(1500, 2)
    cells = other.images["image"].dense
    noisy = with_images(1500, 2, image=np.where(cells == 0, 1e-7, cells))
    figures = auc(truth, noisy, CONV_NETS)
    assert figures["conv net"].value > 0.99
    assert figures["conv net, above threshold"].verdict == "at the floor"


def test_the_conv_net_is_told_the_conditions():
    """The cells of the other events do not know of the energy that they have."""
    truth, other = with_images(2000, 1, correlation=3), with_images(2000, 2, correlation=3)
    cells = np.random.default_rng(0).permutation(other.images["image"].dense)
    moved = with_images(2000, 2, correlation=3, image=cells)
    assert auc(truth, moved, CONV_NETS)["conv net"].value > 0.6


def test_images_of_any_shape_are_taken_in():
    shapes = [(5, 7), (3, 1, 8), (2, 2, 4, 4)]
    network = ConvNet(2, shapes)
    inside = 2 + sum(map(math.prod, shapes))
    logit = network(torch.randn(6, inside, generator=torch.Generator().manual_seed(0)))
    assert logit.shape == (6, 1)


def test_cells_are_logarithms_over_their_root_mean_square():
    """The smallest of 21 lit cells is the 5% quantile's lower neighbour: s = 2."""
    cells = np.concatenate([[1.0], np.full(19, 2.0), [-14.0, 0.0]])
    images = Images.of(torch.from_numpy(cells.reshape(1, 2, 11)))
    smallest, spread = _log_scale(images)
    mean = (math.log(1.5) ** 2 + 19 * math.log(2) ** 2 + math.log(8) ** 2) / 21
    assert (smallest, spread) == pytest.approx((2, math.sqrt(mean)))
    scaled = _on_log_scale(images, smallest, spread).toarray()[0]
    assert scaled[[0, 20, 21]] == pytest.approx([math.log(1.5) / spread, -math.log(8) / spread, 0])


def test_cells_that_are_not_finite_are_refused():
    cells = np.ones((800, 3, 3))
    cells[5, 1, 2] = np.inf
    x = {"x": np.random.default_rng(0).normal(size=800)}
    with pytest.raises(NotComputableError, match="cells of image are not finite in arrays"):
        auc(from_arrays(x | {"image": cells}), from_arrays(x | {"image": cells}))
