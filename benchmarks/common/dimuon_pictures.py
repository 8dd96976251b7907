"""Pictures of pairs of muons with pile-up, generated beside true: as Hashemi et al. do."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.common.conditional import medians
from mleg_ray.events import Events
from mleg_ray.report.drawing import GENERATED, INK, TRUTH, TRUTH_FILL, draw_matrix

Array = NDArray[np.float64]
Columns = Mapping[str, Array]
History = Sequence[Mapping[str, float]]

LINES: tuple[dict[str, Any], ...] = (
    {"color": GENERATED},
    {"color": INK, "linestyle": "--", "linewidth": 1.0},
)
LEGEND: dict[str, Any] = {"fontsize": 7}
FEW, MANY = 15, 25  # vertices: below the one, above the other


class Panel(NamedTuple):
    """A number's axis: its column, label, range and bins; counts may be on a logarithmic scale."""

    name: str
    label: str
    low: float
    high: float
    bins: int = 50
    log: bool = False


MASS = Panel("m_ll", r"$M_{\mu\mu}$ [GeV]", 60, 120)
MUONS = (
    Panel("mu1.energy", r"$E_1$ [GeV]", 0, 250),
    Panel("turned_px", r"$p_x$ of $\mu_1$, turned [GeV]", -100, 100),
    Panel("turned_py", r"$p_y$ of $\mu_1$, turned [GeV]", -100, 100),
    Panel("mu1.pz", r"$p_z$ of $\mu_1$ [GeV]", -200, 200),
    Panel("mu2.energy", r"$E_2$ [GeV]", 0, 250),
    Panel("mu2_pt", r"$p_T$ of $\mu_2$ [GeV]", 0, 100),
    Panel("mu2.pz", r"$p_z$ of $\mu_2$ [GeV]", -200, 200),
)
OTHERS = (
    Panel("n_vtx", "vertices", -0.5, 49.5),
    Panel("mu1.isolation", r"isolation of $\mu_1$", 0, 0.6, 30, log=True),
    Panel("mu2.isolation", r"isolation of $\mu_2$", 0, 0.6, 30, log=True),
    Panel("met.px", r"$p_x^{miss}$ [GeV]", -100, 100),
    Panel("met.py", r"$p_y^{miss}$ [GeV]", -100, 100),
    *(Panel(f"jet.pt_{k}", rf"$p_T$ of jet {k} [GeV]", 0, 100, log=True) for k in range(1, 6)),
)
INPUTS = (*MUONS, *OTHERS)
DERIVED = (
    MASS,
    Panel("pt_ll", r"$p_T^{\mu\mu}$ [GeV]", 0, 150, log=True),
    Panel("met", r"$E_T^{miss}$ [GeV]", 0, 150),
    Panel("met_phi", r"$\phi^{miss}$", -np.pi, np.pi),
    Panel("delta_phi", r"$\Delta\phi_{\mu\mu}$", -np.pi, np.pi),
    Panel("n_jets", r"$N_{jets}$, $p_T > 15$ GeV", -0.5, 5.5, 6),
)


def columns_of(events: Events) -> Columns:
    """Return the numbers of joined events, those of the paper's frame and of jets by place too."""
    columns = {n: c.double().numpy() for n, c in events.columns.items() if c.ndim == 1}
    pt, turn = columns["mu1_pt"], columns["delta_phi"]
    columns |= {"turned_px": pt * np.cos(turn), "turned_py": pt * np.sin(turn)}
    if "jet" in events.present:
        places = events.columns["jet.pt"].double().numpy().T
        columns |= {f"jet.pt_{k}": values for k, values in enumerate(places, start=1)}
    return columns


def marginals(panels: Sequence[Panel], truth: Columns, generated: Mapping[str, Columns]) -> Figure:
    """Draw each panel's distribution, of the truth filled, and the generated ones over it."""
    rows = -(-len(panels) // 4)
    figure = Figure(figsize=(11, 2.3 * rows), layout="constrained")
    every = list(figure.subplots(rows, 4, squeeze=False).flat)
    for axes, panel in zip(every, panels, strict=False):
        distribution(axes, panel, truth, generated)
    for axes in every[len(panels) :]:
        axes.set_axis_off()
    figure.axes[0].legend(**LEGEND)
    return figure


def distribution(
    axes: Axes, panel: Panel, truth: Columns, generated: Mapping[str, Columns]
) -> None:
    """Draw one panel: shares of all events, so that what lies beyond its range is missed."""
    edges = np.linspace(panel.low, panel.high, panel.bins + 1)
    axes.stairs(shares(truth[panel.name], edges), edges, fill=True, color=TRUTH_FILL, label="truth")
    for (name, columns), line in zip(generated.items(), LINES, strict=False):
        axes.stairs(shares(columns[panel.name], edges), edges, label=name, **line)
    axes.set(xlabel=panel.label, yticks=[])
    if panel.log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)


def shares(values: Array, edges: Array) -> Array:
    """Return the share of all events in each bin; none is in any if there are none."""
    return np.histogram(values, edges)[0] / max(1, len(values))


def trainings(histories: Mapping[str, tuple[History, str, float]]) -> Figure:
    """Draw losses, distances of the mass's moments from the truth's, and `ks_sum` against steps.

    Of each system with terms: its history, the column of its terms and that's true deviation.
    """
    figure = Figure(figsize=(11, 2.8 * len(histories)), layout="constrained")
    for row, (name, (history, column, scale)) in zip(
        figure.subplots(len(histories), 3, squeeze=False), histories.items(), strict=True
    ):
        losses, moments, sums = row
        for player, line in zip(("adversarial", "critic_loss"), LINES, strict=True):
            label = {"adversarial": "generator", "critic_loss": "critic"}[player]
            losses.plot(*_against_steps(history, player), label=label, **line)
        for moment, line in zip(("mean", "width"), LINES, strict=True):
            steps, squares = _against_steps(history, f"{moment} of {column}")
            moments.plot(steps, scale * np.sqrt(squares), label=moment, **line)
        sums.plot(*_against_steps(history, "ks_sum"), color=GENERATED)
        losses.set(ylabel=f"{name}: loss", yscale="log")
        moments.set(ylabel=r"$|M_{\mu\mu}$ moment - truth's| [GeV]", yscale="log")
        sums.set(ylabel="KS sum", yscale="log")
        for axes in (losses, moments):
            axes.legend(**LEGEND)
        for axes in row:
            axes.set_xlabel("step")
    return figure


def _against_steps(history: History, name: str) -> tuple[Array, Array]:
    known = [(moment["step"], moment[name]) for moment in history if name in moment]
    steps, values = np.array(known, dtype=np.float64).reshape(-1, 2).T
    return steps, values


def correlations(compared: Mapping[str, Columns]) -> Figure:
    """Draw the matrices of correlation, with zeros on the diagonal."""
    figure = Figure(figsize=(5.4 * len(compared), 5), layout="constrained")
    names = [panel.name for panel in (*INPUTS, *DERIVED)]
    every = figure.subplots(1, len(compared))
    for axes, (title, columns) in zip(every, compared.items(), strict=True):
        with np.errstate(invalid="ignore"):  # one value throughout is correlated with nothing
            matrix = np.nan_to_num(np.corrcoef([columns[name] for name in names]))
        np.fill_diagonal(matrix, 0)
        image = draw_matrix(axes, matrix, names)
        axes.set_title(title, fontsize=9)
    figure.colorbar(image, ax=figure.axes, shrink=0.8)
    return figure


def pile_up(truth: Columns, generated: Mapping[str, Columns]) -> Figure:
    """Draw pT of the pair, and the missing momentum with many vertices and with few."""
    figure = Figure(figsize=(11, 3), layout="constrained")
    pair, many, few = figure.subplots(1, 3)
    distribution(pair, DERIVED[1], truth, generated)
    for axes, title, chosen in (
        (many, f"more than {MANY} vertices", lambda n: n > MANY),
        (few, f"fewer than {FEW} vertices", lambda n: n < FEW),
    ):
        part, parts = _where(truth, chosen), {n: _where(c, chosen) for n, c in generated.items()}
        distribution(axes, DERIVED[2], part, parts)
        axes.set_title(title, fontsize=9)
    pair.legend(**LEGEND)
    return figure


def _where(columns: Columns, chosen: Any) -> Columns:  # noqa: ANN401 - a lambda
    rows = chosen(columns["n_vtx"])
    return {"met": columns["met"][rows]}


def recoil(compared: Mapping[str, Columns]) -> Figure:
    """Draw pT of the pair against the leading jet's, and its median in each bin of that."""
    edges = np.linspace(10, 120, 23)
    figure = Figure(figsize=(4.6 * len(compared), 3.8), layout="constrained")
    every = figure.subplots(1, len(compared))
    for axes, (title, columns) in zip(every, compared.items(), strict=True):
        jet, pair = columns["leading_jet"], columns["pt_ll"]
        counts, x, y = np.histogram2d(jet, pair, (edges, np.linspace(0, 120, 41)))
        axes.pcolormesh(x, y, np.log1p(counts.T), cmap="Blues")
        middles, median = (edges[1:] + edges[:-1]) / 2, medians(pair, jet, edges).value
        axes.plot(middles, median, color=GENERATED, label="median")
        axes.set(xlabel=r"$p_T$ of the leading jet [GeV]", ylabel=DERIVED[1].label)
        axes.set_title(title, fontsize=9, color=TRUTH)
        axes.legend(**LEGEND)
    return figure
