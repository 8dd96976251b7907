"""Toys of detectors as they are drawn: densities, widths of pt and weights of signal.

Nothing is trained: these are the exact numbers that generators are judged by, and what their
datasets look like.

Of each toy with a density: the mean of its logarithm, and how far from it, as a Kullback-Leibler
divergence, the Gaussian of the same mean and covariance is, which knows of no condition.

Of electrons: the full width at half maximum (MeV) of true less measured pt, at an energy and within
a range of η, as the widths of each dataset give it, beside a dissertation's (M. S. Albergo, 2018,
table 3.4).

Of weighted data, one shard: the yield of signal and its weights' sum; the share of negative
weights; the effective number of events over the yield; and, of tracks, the efficiency of
DLL(kaon) > 0 in all events, in weighted ones and in those that are signal.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import brentq

from benchmarks.common.options import Options
from benchmarks.common.results import Results, Row
from mleg_ray.catalog.codec import checked, to_events
from mleg_ray.catalog.sources.densities import ExactDensity, FromDensityConfig
from mleg_ray.catalog.sources.detectors import FoldedConfig, TransverseSmearing
from mleg_ray.catalog.sources.weighted import MASS, SIGNAL, SPlotConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.events import Events
from mleg_ray.physics.particles import ELECTRON_MASS
from mleg_ray.report.drawing import GENERATED, INK, LEGEND, TRUTH, TRUTH_FILL

LINES = ("toy-gaussian", "toy-beta", "toy-two-modes", "toy-conditional-gaussian")
PLANES = ("toy-ring", "toy-grid", "toy-swiss-roll")
SMEARED = ("electron-pt-smearing", "electron-pt-smearing-printed", "electron-pt-smearing-card")
WEIGHTED = ("toy-splot", "rich-kaons", "rich-pions")
MOMENTA = np.geomspace(3.0, 100.0, 13)  # GeV, edges

# The dissertation's widths, MeV, of an energy (GeV) and a range of η.
TABLE = {
    (0.5, (0.0, 0.2)): 5.49,
    (0.5, (1.5, 1.7)): 2.29,
    (0.5, (2.0, 2.5)): 1.12,
    (40.0, (0.0, 0.2)): 155.37,
    (40.0, (1.5, 1.7)): 68.15,
    (40.0, (2.0, 2.5)): 33.59,
}

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Asked(Options):
    """How much is drawn."""

    events: Annotated[int, typer.Option(min=100, help="Of each dataset.")] = 50_000


def measure(options: Asked, results: Results) -> None:
    """Draw all datasets, and compute what is exact."""
    number = options.few(options.events)
    toys = {name: drawn(name, number) for name in (*LINES, *PLANES)}
    for name, events in toys.items():
        results.add({"dataset": name}, of_density(density_of(name), events))
    for name in SMEARED:
        widths = {
            f"{1000 * energy:g} MeV, η {low:g} to {high:g}": 1000
            * fwhm(smearing(name), energy, (low, high))
            for energy, (low, high) in TABLE
        }
        results.add({"dataset": name, "width of": "pt, MeV"}, widths)
    samples = {name: drawn(name, number) for name in WEIGHTED}
    for name, events in samples.items():
        results.add({"dataset": name, "weights of": "signal"}, of_weights(events))
    results.draw(densities_picture, toys, name="densities")
    results.draw(smearing_picture, name="smearing")
    results.draw(weights_picture, samples, name="weights")


def drawn(name: str, number: int) -> Events:
    """Return one shard of an entry of the catalog, as it is read."""
    size = (f"source.events={number}", f"shard_events={number}")
    spec = DatasetSpec.load(name, size)
    columns = spec.source.open(spec.schema_, spec.conditions, number).shard(0)
    return to_events(checked(columns, spec.stored, name)[0], spec.schema_, spec.conditions)


def density_of(name: str) -> ExactDensity:
    """Return the exact density of an entry of the catalog."""
    source = DatasetSpec.load(name).source
    assert isinstance(source, FromDensityConfig)
    assert isinstance(source.density, ExactDensity)
    return source.density


def smearing(name: str) -> TransverseSmearing:
    """Return the detector of an entry of the catalog."""
    source = DatasetSpec.load(name).source
    assert isinstance(source, FoldedConfig)
    assert isinstance(source.detector, TransverseSmearing)
    return source.detector


def of_density(density: ExactDensity, events: Events) -> Row:
    """Return the mean log density, and the divergence of one Gaussian from it."""
    exact = density.log_density(events).mean().item()
    names = [field.name for field in density.fields() if field.role == "event"]
    points = torch.stack([events.columns[name].double() for name in names], dim=1)
    covariance = points.T.cov(correction=0).view(len(names), len(names))
    # The mean of (x - μ)ᵀ C⁻¹ (x - μ) over the points that μ and C are of is their dimension.
    gaussian = -(len(names) * (1 + math.log(2 * math.pi)) + covariance.logdet().item()) / 2
    return {"mean ln p": exact, "KL, one Gaussian": exact - gaussian}


def fwhm(detector: TransverseSmearing, energy: float, eta: tuple[float, float]) -> float:
    """Return the full width at half maximum, GeV, of true less measured pt.

    Of electrons of one energy, GeV, evenly in cos θ within a range of η: a mixture of Gaussians
    around 0, whose density is at half its maximum where Σ exp(-Δ²/2σ²)/σ is half of Σ 1/σ.
    """
    low, high = np.tanh(eta)
    edges = np.linspace(low, high, 401)
    middle = torch.from_numpy(np.arctanh((edges[1:] + edges[:-1]) / 2))
    pt = math.sqrt(energy**2 - ELECTRON_MASS**2) / middle.cosh()
    sigma = (pt * detector.resolution(pt, middle)).numpy()

    def above_half(delta: float) -> float:
        return float(((np.exp(-((delta / sigma) ** 2) / 2) - 0.5) / sigma).sum())

    return 2 * float(brentq(above_half, 0, 2 * sigma.max()))


def of_weights(events: Events) -> Row:
    """Return yields, and efficiencies of a shard of weighted tracks."""
    weight, signal = events.weight.numpy(), events.columns[SIGNAL].numpy() == 1
    row: Row = {
        "signal": int(signal.sum()),
        "sum of weights": float(weight.sum()),
        "negative": float((weight < 0).mean()),
        "effective": float(weight.sum() / np.square(weight).sum()),
    }
    if "dll_kaon" in events.columns:
        passed = events.columns["dll_kaon"].numpy() > 0
        row["efficiency, all"] = float(passed.mean())
        row["efficiency, weighted"] = float(weight @ passed / weight.sum())
        row["efficiency, signal"] = float(passed[signal].mean())
    return row


def densities_picture(toys: dict[str, Events]) -> Figure:
    """Return densities of numbers with what is drawn, and points of the plane."""
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    grid = figure.subplots(2, 4)
    for axes, name in zip(grid[0], LINES, strict=True):
        _line(axes, name, toys[name])
    for axes, name in zip(grid[1], PLANES, strict=False):
        x, y = (toys[name].columns[column][:8000].numpy() for column in ("x", "y"))
        axes.scatter(x, y, s=0.3, color=INK, linewidth=0, rasterized=True)
        axes.set(title=name, aspect="equal", xlabel="x", ylabel="y")
    _slice(grid[1, 3])
    return figure


def _line(axes: Axes, name: str, events: Events) -> None:
    x = events.columns["x"].numpy()
    at = np.linspace(x.min(), x.max(), 401)
    given = events.columns.get("mean", torch.zeros(len(x))).numpy()
    for mean in np.unique(given):
        axes.hist(x[given == mean], 60, density=True, color=TRUTH_FILL)
        columns = {"x": torch.from_numpy(at), "mean": torch.full((401,), float(mean))}
        p = density_of(name).log_density(Events(columns, {}, torch.ones(401))).exp()
        axes.plot(at, p.numpy(), color=INK, linewidth=0.8)
    axes.set(title=name, xlabel="x", yticks=[])


def _slice(axes: Axes) -> None:
    """Draw the density of the Swiss roll along y = 0."""
    x = torch.linspace(-2.2, 2.2, 1201, dtype=torch.float64)
    events = Events({"x": x, "y": torch.zeros_like(x)}, {}, torch.ones(len(x)))
    axes.plot(x, density_of("toy-swiss-roll").log_density(events).exp(), color=INK, linewidth=0.8)
    axes.set(title="toy-swiss-roll at y = 0", xlabel="x", ylabel="p(x, 0)")


def smearing_picture() -> Figure:
    """Return the relative widths of all entries, and widths beside the dissertation's."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    energies = np.geomspace(0.01, 100.0, 60)
    for name, color in zip(SMEARED, (GENERATED, TRUTH, INK), strict=True):
        for eta, style in ((0.1, "-"), (2.2, "--")):
            pt = torch.from_numpy(energies / math.cosh(eta))
            sigma = smearing(name).resolution(pt, torch.full_like(pt, eta))
            left.plot(energies, sigma, color=color, linestyle=style, label=f"{name}, η = {eta:g}")
        widths = [1000 * fwhm(smearing(name), *cell) for cell in TABLE]
        ratio = np.array(widths) / list(TABLE.values())
        right.plot(range(len(TABLE)), ratio, "o", color=color, label=name)
    left.set(xscale="log", yscale="log", xlabel="E [GeV]", ylabel=r"$\sigma(p_T)/p_T$")
    left.legend(fontsize=6)
    right.axhspan(0.91, 1.09, color=TRUTH_FILL)
    labels = [f"{energy:g} GeV\nη {low:g}-{high:g}" for energy, (low, high) in TABLE]
    right.set(yscale="log", ylabel="width over table 3.4")
    right.set_xticks(range(len(TABLE)), labels, fontsize=7)
    return figure


def weights_picture(samples: dict[str, Events]) -> Figure:
    """Return masses with their fit, a control variable, and how often tracks pass as kaons."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    masses, control, efficiency = figure.subplots(1, 3)
    events = samples["toy-splot"]
    _masses(masses, events)
    weight, signal = events.weight.numpy(), events.columns[SIGNAL].numpy() == 1
    x, edges = events.columns["x"].numpy(), np.linspace(-4, 4, 61)
    looks = (
        ("all", np.ones(len(x)), INK),
        ("weighted", weight, GENERATED),
        ("signal", signal * 1.0, TRUTH),
    )
    for name, factor, color in looks:
        counts, _ = np.histogram(x, edges, weights=factor)
        control.stairs(counts, edges, color=color, label=name)
    control.set(xlabel="x of toy-splot", ylabel="events")
    control.legend(**LEGEND)
    for name in ("rich-kaons", "rich-pions"):
        _efficiency(efficiency, samples[name], name)
    efficiency.set(xscale="log", xlabel="p [GeV]", ylabel="share with DLL(kaon) > 0")
    efficiency.legend(loc="center right", **LEGEND)
    return figure


def _masses(axes: Axes, events: Events) -> None:
    mass, edges = events.columns[MASS].numpy(), np.linspace(1.80, 1.93, 66)
    counts, _ = np.histogram(mass, edges)
    middle = (edges[1:] + edges[:-1]) / 2
    source = DatasetSpec.load("toy-splot").source
    assert isinstance(source, SPlotConfig)
    signal = events.weight.sum().item()
    yields = np.array([signal, len(events) - signal])
    fitted = source.mass.fitted(mass).densities(middle) * yields * (edges[1] - edges[0])
    axes.plot(middle, counts, ".", color=TRUTH, label="toy-splot")
    axes.plot(middle, fitted.sum(axis=1), color=INK, label="fit")
    axes.plot(middle, fitted[:, 1], color=INK, linestyle="--", label="its background")
    axes.set(xlabel="mass [GeV]", ylabel="events")
    axes.legend(loc="upper right", **LEGEND)


def _efficiency(axes: Axes, events: Events, name: str) -> None:
    """Draw the share of tracks that pass, bin by bin of momentum: weighted, signal, and all."""
    p, passed = events.columns["p"].numpy(), events.columns["dll_kaon"].numpy() > 0
    signal = events.columns[SIGNAL].numpy()
    looks = (
        ("weighted", events.weight.numpy(), GENERATED),
        ("signal", signal, TRUTH),
        ("all", np.ones(len(p)), INK),
    )
    style = "-" if name == "rich-kaons" else "--"
    for label, factor, color in looks:
        total, _ = np.histogram(p, MOMENTA, weights=factor)
        some, _ = np.histogram(p, MOMENTA, weights=factor * passed)
        axes.stairs(some / total, MOMENTA, baseline=None, color=color, linestyle=style,
                    label=f"{name}, {label}")  # fmt: skip
