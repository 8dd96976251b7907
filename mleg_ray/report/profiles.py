"""Pictures of profiles, which the scorecard has: observables over conditions, as PNGs."""

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes

from mleg_ray.evaluation.samples.sample import Axis
from mleg_ray.evaluation.scorecards import Scorecard
from mleg_ray.evaluation.statistics.estimate import Curve, Estimate
from mleg_ray.report.drawing import GENERATED, LEGEND, STYLE, TRUTH, axis_label, mark_beyond, png
from mleg_ray.report.figures import POINTS, above_ratio

SHOWN = 6  # profiles, those farthest above the floor


def profile_pngs(card: Scorecard) -> dict[str, bytes]:
    """Draw the profiles that differ most, and of each response its mean and its resolution.

    Names are `profile-OBSERVABLE-CONDITION`, with `-resolution` for that of a response.
    """
    figures = {
        tuple(subject.split(", ")): figure
        for subject, figure in card.figures.get("profile_chi2", {}).items()
        if isinstance(figure, Estimate) and figure.curves
    }
    responses = card.definitions.responses()
    of_responses = [pair for pair in figures if responses.get(pair[0]) == pair[1]]
    worst = sorted(figures, key=lambda pair: -figures[pair].significance)[:SHOWN]
    pictures = {}
    for name, condition in dict.fromkeys((*of_responses, *worst)):
        curves = figures[name, condition].curves
        axes = card.axes[name], card.axes[condition]
        labels = axis_label(name, axes[0]), axis_label(condition, axes[1])
        picture = f"profile-{name}-{condition}"
        t, g = curves["mean, truth"], curves["mean, generated"]
        pictures[picture] = _profile_png(t, g, axes[1], labels)
        if (name, condition) in of_responses:
            t, g = _relative(curves, "truth"), _relative(curves, "generated")
            text = f"σ / mean of {labels[0]}"
            pictures[f"{picture}-resolution"] = _profile_png(t, g, axes[1], (text, labels[1]))
    return pictures


def _relative(curves: dict[str, Curve], whose: str) -> Curve:
    """Return width over mean, with the error of the width."""
    mean, width = curves[f"mean, {whose}"], curves[f"width, {whose}"]
    by = np.array(mean.y)
    return Curve(
        x=mean.x, y=tuple(np.array(width.y) / by), error=tuple(np.array(width.error) / np.abs(by))
    )


@style.context(STYLE)
def _profile_png(truth: Curve, generated: Curve, given: Axis, labels: tuple[str, str]) -> bytes:
    """Draw a moment in bins of a condition above its ratio to the truth's."""
    figure, top, bottom = above_ratio()
    _draw(top, truth, TRUTH, "truth")
    _draw(top, generated, GENERATED, "generated")
    top.legend(**LEGEND)
    x = np.array(truth.x)
    by = dict(zip(truth.x, truth.y, strict=True))
    shared = np.array([place in by and by[place] != 0 for place in generated.x])
    places = np.array(generated.x)[shared]
    below = np.array([by[place] for place in places])
    ratio = np.array(generated.y)[shared] / below
    errors = np.array(generated.error)[shared] / np.abs(below)
    bottom.axhline(1, color=TRUTH, linewidth=0.9)
    one, error = np.ones(len(x)), np.array(truth.error) / np.abs(truth.y)
    bottom.errorbar(x, one, error, color=TRUTH, fmt="none")
    bottom.errorbar(places, ratio, errors, **POINTS)
    most = np.abs(ratio - 1).max(initial=0)
    half = next((step for step in (0.05, 0.1, 0.25, 0.5) if most <= 0.8 * step), 1)
    bottom.set_ylim(1 - half, 1 + half)
    mark_beyond(bottom, places, ratio)
    top.set_ylabel(labels[0])
    bottom.set(xlabel=labels[1], ylabel="gen. / truth")
    if given.unit in ("GeV", "MeV", "TeV") and x.min() > 0:
        bottom.set_xscale("log")
    figure.align_ylabels()
    return png(figure)


def _draw(axes: Axes, curve: Curve, colour: str, label: str) -> None:
    look = {**POINTS, "color": colour}
    axes.errorbar(curve.x, curve.y, curve.error, label=label, **look)
