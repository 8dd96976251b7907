import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.samples.histogram import Histogram
from mleg_ray.evaluation.samples.sample import Axis, EventSample, from_arrays
from mleg_ray.evaluation.statistics.ensemble import Band
from mleg_ray.events import Field
from mleg_ray.interpret.latent import CLUSTER
from mleg_ray.report import figures, latent
from mleg_ray.report.drawing import axis_label, draw_pulls
from mleg_ray.report.figures import (
    correlation_pngs,
    draw_densities,
    drawable,
    observable_png,
    plane_pngs,
    training_pngs,
)
from mleg_ray.report.latent import planes_png

PNG = b"\x89PNG"
PLANE = Plane(x="a", y="b", x_range=(1e-2, 1.0), y_range=(1.0, 10.0), bins=5)


def sample(seed: int, weights: np.ndarray | None = None) -> EventSample:
    rng = np.random.default_rng(seed)
    columns = {"a": 10 ** rng.uniform(-2, 0, 500), "b": 10 ** rng.uniform(0, 1, 500)}
    axes = {"a": Axis(unit="GeV2", label="Q^2", log=True), "b": Axis()}
    return from_arrays(columns, weights, axes=axes)


@pytest.mark.parametrize("name", ["a", "b"])
def test_observables_are_drawn_also_with_negative_weights(name):
    weights = np.where(np.arange(500) % 5, 1.0, -0.5)
    assert observable_png(name, sample(0), sample(1, weights)).startswith(PNG)


def test_generated_events_elsewhere_do_not_break_the_picture():
    truth = from_arrays({"a": np.linspace(0, 1, 500)})
    elsewhere = from_arrays({"a": np.where(np.arange(500) % 2, 9.0, np.nan)})
    assert observable_png("a", truth, elsewhere).startswith(PNG)


def test_densities_of_no_event_between_the_edges_are_drawn():
    """Of a few events the one photon is generated elsewhere: the axis needs an end above zero."""
    beyond = Histogram(np.array([0.0, 0, 0, 0, 1]), np.array([0.0, 0, 0, 0, 1]))
    axes = Figure().subplots()
    draw_densities(axes, np.arange(4.0), beyond, beyond)
    assert axes.get_ylim() == (0.0, 1.0)


def test_plane_has_three_panels_unless_it_is_empty():
    pictures = plane_pngs(PLANE, sample(0), sample(1))
    assert list(pictures) == ["truth", "generated", "ratio"]
    assert all(png.startswith(PNG) for png in pictures.values())
    elsewhere = PLANE.model_copy(update={"x_range": (5.0, 6.0)})
    assert plane_pngs(elsewhere, sample(0), sample(1)) == {}


def test_a_linear_plane_shows_what_lies_below_zero():
    rng = np.random.default_rng(1)
    plane = Plane(x="a", y="b", x_range=(-2, 1), y_range=(-1, 1), bins=10, log=False)
    axes = dict.fromkeys("ab", Axis())
    left = from_arrays({name: rng.uniform(-1, 0, 5000) for name in "ab"}, axes=axes)
    picture = Image.open(io.BytesIO(plane_pngs(plane, left, left)["truth"])).convert("RGB")
    frame = np.asarray(picture, dtype=int)[:, : int(0.75 * picture.width)]  # no colour bar
    assert (np.ptp(frame, axis=2) > 30).mean() > 0.1


def test_an_empty_ratio_says_so(monkeypatch):
    texts: list[str] = []
    monkeypatch.setattr(Axes, "text", lambda self, x, y, text, **_: texts.append(text))
    sparse = from_arrays({"a": [0.5, 0.1], "b": [2.0, 3.0]}, axes=dict.fromkeys("ab", Axis()))
    plane_pngs(PLANE, sparse, sample(1))
    assert texts == ["no bin holds 10 true events"]


def test_whole_numbers_have_a_bin_each(monkeypatch):
    seen = []
    monkeypatch.setattr(figures, "draw_ratio", lambda axes, edges, t, g: seen.append((edges, t)))
    columns = {"jet.count": [2, 0, 1, 2], "jet.q": [-1.0, 1, 1, 1, 1], "jet.x": np.arange(5) / 4}
    jets = from_arrays(columns, [1.0, 1, 3, 1])
    for name in columns:
        assert observable_png(name, jets, jets).startswith(PNG)
    (count, events), (charge, objects), (x, _) = seen
    assert count.tolist() == [-0.5, 0.5, 1.5, 2.5]
    assert events.weight.tolist() == [0, 1, 3, 2, 0]
    assert charge.tolist() == [-1.5, -0.5, 0.5, 1.5]
    assert objects.weight.tolist() == [0, 1, 0, 6, 0]  # each with the weight of its event
    assert len(x) == 51


def test_what_has_no_range_is_not_drawable():
    assert drawable("a", sample(0))
    assert not drawable("a", from_arrays({"a": np.ones(10)}))
    assert not drawable("a", from_arrays({"a": np.full(10, np.nan)}))
    assert not drawable("a", from_arrays({"a": []}))
    assert not drawable("jet.pt", from_arrays({"jet.count": [0, 0], "jet.pt": []}))


def test_training_curves_leave_out_what_is_not_finite():
    history = [
        {"step": 1, "ks_sum": 2.0, "ks.px": 0.1, "critic_loss": 1.0},
        {"step": 2, "ks_sum": 1.0, "ks.px": 0.1, "critic_loss": float("nan")},
    ]
    pictures = training_pngs(history, 20)
    assert list(pictures) == ["training-ks", "training-losses"]
    assert list(training_pngs([{"step": 1, "ks_sum": 2.0}], 1)) == ["training-ks"]


@pytest.mark.parametrize("groups", [1, 3, 40, 90])
def test_marks_are_groups_or_on_a_scale(groups):
    plane = np.random.default_rng(1).standard_normal((100, 2))
    values = np.arange(100) % groups - 1.0
    energy = Field(name="energy", unit="GeV", description="costs $ and $_{")
    assert planes_png({"one": plane, "other": 2 * plane}, values, CLUSTER).startswith(PNG)
    assert planes_png({"one": plane}, values, energy).startswith(PNG)


def test_only_clusters_have_events_in_none(monkeypatch):
    """Of a charge, -1 is a value as any other."""
    seen = []
    monkeypatch.setattr(latent, "_draw_groups", lambda *given: seen.append(given[-1]))
    plane, values = {"one": np.zeros((2, 2))}, np.array([-1.0, 1.0])
    planes_png(plane, values, CLUSTER)
    planes_png(plane, values, Field(name="charge", role="label"))
    assert [list(groups) for groups in seen] == [[1], [-1, 1]]


def test_pulls_are_points_of_the_bins_used_and_one_beyond_the_panel_is_marked():
    """(E_gen - E_truth) / sqrt(V_gen + V_truth), bin by bin."""
    band = Band(
        edges=np.array([0.0, 1, 2, 4, 6]),
        truth=np.array([0.5, 0.25, 0.2, 0.05]),
        truth_error=np.array([0.03, 0.03, 0.04, 0.0]),
        generated=np.array([0.6, 0.2, 0.2, 0.0]),
        generated_error=np.array([0.04, 0.0, 0.03, 0.0]),
        used=np.array([True, True, True, False]),
    )
    axes = Figure().subplots()
    draw_pulls(axes, band)
    lines = [line.get_xydata().tolist() for line in axes.lines]
    pulls = [0.1 / 0.05, -0.05 / 0.03, 0.0]
    [points] = [line for line in lines if len(line) == 3]
    assert np.array(points) == pytest.approx(np.array([[0.5, pulls[0]], [1.5, pulls[1]], [3, 0]]))
    across = [line[0][1] for line in lines if len(line) == 2]
    assert across == [0, -1, 1]
    assert [line for line in lines if len(line) == 1] == []

    far = replace(band, generated=np.array([0.6, 0.2, 0.5, 0.0]))  # 0.3 / 0.05 = 6 deviations
    axes = Figure().subplots()
    draw_pulls(axes, far)
    edges = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "^"]
    assert edges == [[[3.0, axes.get_ylim()[1]]]]


def test_axes_are_labelled_with_units():
    assert axis_label("q2", Axis(unit="GeV2", label="Q^2")) == "$Q^2$ [GeV²]"
    assert axis_label("px", Axis()) == "px"


def test_correlations_leave_out_what_does_not_vary():
    assert list(correlation_pngs(sample(0), sample(1))) == ["truth", "generated", "difference"]
    flat = from_arrays({"a": np.ones(10), "b": np.arange(10.0)})
    assert correlation_pngs(flat, flat) == {}
