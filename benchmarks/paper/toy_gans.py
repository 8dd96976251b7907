"""GANs of toys with exact densities, by their losses.

Each loss trains the same networks on each toy; a flow has as many steps. Of numbers: KL, the mean
over draws of 10,000 events of Σ p ln(p/q) in 100 bins over the truth's range with 1e-5 added to
each (M. S. Albergo's dissertation, 2018, table 2.2; its bins are not told), of the snapshot that
validation chose and of the last one; the mean, and the width over the true one. Of mixtures: how
many modes have a fifth of their share of events or more within 3σ, the share of all events that
are there, and the KL of the shares. Of both, how far at most the mean of x was from the true one,
in true widths, in the second half of a training. Beside them true events (the floor) and, as doing
nothing, even events over the truth's range and one Gaussian of its mean and covariance. A run has
failed if it diverged, lost a mode, or is no closer than even events.

Of the conditional Gaussian: the KL at each mean, also beyond those that are learned (table 2.3),
the deviation of the mean over the true width, and the width over the true one.

Without `--full` all are small: networks of 2 x 64, `--steps` steps.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer
from matplotlib.figure import Figure

from benchmarks.common.divergence import SIZE, Array, heights, mean_divergence
from benchmarks.common.modes import at_modes, covered
from benchmarks.common.options import FEW_STEPS, Paper, generated, one_of
from benchmarks.common.results import Results, Row
from benchmarks.physics.detector_toys import LINES, PLANES, density_of
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.sources.densities import Mixture, Modes, SwissRoll
from mleg_ray.cluster.session import environment
from mleg_ray.events import Events
from mleg_ray.report.drawing import GENERATED, INK, LEGEND, TRUTH, TRUTH_FILL
from mleg_ray.run import RunConfig
from mleg_ray.training.trainee import Trainee

FLOW = "flow-toys"
# By name: a recipe, and what is different from it.
LOSSES: dict[str, tuple[str, tuple[str, ...]]] = {
    "GAN": ("gan-toys-paper", ()),
    "GAN-DP": ("gan-dp-toys-paper", ()),
    "GAN-DP of the logit": ("gan-dp-toys-paper", ("objective.penalised=logit",)),
    "WGAN, clipped": ("wgan-clipped-toys-paper", ()),
    "WGAN-GP": ("wgan-gp-toys-paper", ()),
    "WGAN-GP, one-sided": ("wgan-gp-toys-paper", ("objective.one_sided=true",)),
    "Cramér GAN": ("cramer-gan-toys", ()),
    "flow": (FLOW, ()),
}
CONDITIONAL = "toy-conditional-gaussian"
TOYS = (*LINES, *PLANES)
CONDITIONED = {"GAN-DP": "conditional-gan-dp-toys-paper", "flow": FLOW}
MEANS = (0, 5, 10, 20, 40, 60, 80, 100, 200)  # the first three are learned
REACH = 2.2  # of the planes

Course = list[tuple[int, float, float]]  # of steps, mean and width


@dataclass(frozen=True, kw_only=True)
class Asked(Paper):
    """What is trained, and for how long."""

    toys: Annotated[
        list[str],
        typer.Option(
            "--toy", default_factory=lambda: list(TOYS), callback=one_of(TOYS), help="Repeatable."
        ),
    ]
    losses: Annotated[
        list[str],
        typer.Option(
            "--loss",
            default_factory=lambda: list(LOSSES),
            callback=one_of(LOSSES),
            help="Repeatable.",
        ),
    ]
    steps: Annotated[int, typer.Option(min=20, help="Unless in full.")] = 2000
    draws: Annotated[int, typer.Option(min=1, help="Of 10,000 events, for each KL.")] = 100

    @property
    def values(self) -> Mapping[str, object]:
        """What distinguishes one measurement from another: also the steps, unless in full."""
        return {**super().values, "steps": None if self.full else self.steps}

    @property
    def drawn(self) -> int:
        """How many events each figure is of."""
        return self.few(self.draws * SIZE, 1000)

    def short(self, recipe: str) -> tuple[str, ...]:
        """Return what makes a training short, unless it is asked for in full."""
        networks = ("generator", "critic") if recipe != FLOW else ()
        return self.quick(
            f"training.steps={self.steps}",
            f"selection.every={max(10, self.steps // 20)}",
            "selection.events=2000",
            *(f"model.{network}.widths=[64, 64]" for network in networks),
        )


def measure(options: Asked, results: Results) -> None:
    """Train each loss on each toy, judge it, and draw."""
    options.require(*(LOSSES[loss][0] for loss in options.losses))
    courses: dict[tuple[str, str], Course] = {}
    made: dict[tuple[str, str], Events] = {}
    for toy in options.some([toy for toy in options.toys if toy != CONDITIONAL]):
        rng = np.random.default_rng(1)
        dataset = options.prepared(toy)
        unlearned = {
            name: judged(toy, events, rng)
            for name, events in compared(toy, options.drawn, rng).items()
        }
        for name, figures in unlearned.items():
            results.add({"toy": toy, "loss": name}, figures)
        for loss in options.losses:
            recipe, own = LOSSES[loss]
            for seed in options.seeds:
                values = (*own, *of_toy(toy, recipe), *options.short(recipe))
                trainee, course = trained(options, recipe, seed, dataset, *values)
                figures, chosen = of_training(toy, trainee, options.drawn, seed, rng)
                figures["farthest mean"] = farthest(course, toy)
                figures["failed"] = failed(toy, trainee, figures, unlearned["even"])
                results.add({"toy": toy, "loss": loss}, figures, seed=seed)
                courses[toy, loss], made[toy, loss] = course, chosen
        results.draw(course_picture, courses, name="course")
        results.draw(events_picture, made, name="events")
    if CONDITIONAL in options.toys:
        conditional(options, results)


def of_toy(toy: str, recipe: str) -> tuple[str, ...]:
    """Return what makes a recipe for one number one of this toy."""
    if toy not in PLANES:
        return ()
    noise = ("model.noise_dim=2",) if recipe != FLOW else ()
    return (*noise, "selection.observables=['x', 'y']")


def trained(
    options: Asked, recipe: str, seed: int, dataset: Dataset, *values: str
) -> tuple[Trainee, Course]:
    """Train a recipe in this process; the mean and width of what it makes at each judgement."""
    own = (f"dataset={dataset.manifest.name}", *values, *(FEW_STEPS if options.small else ()))
    run = RunConfig.load(recipe, (*own, f"training.seed={seed}", *options.assigned))
    trainee = Trainee.alone(run, dataset, environment(), torch.device("cpu"))
    course: Course = []
    for moment in trainee.train():
        if moment.snapshot and moment.snapshot.finite and not dataset.schema.conditions:
            x = latest(trainee, 2000, seed).columns["x"]
            course.append((moment.step, x.mean().item(), x.std().item()))
    return trainee, course


def latest(trainee: Trainee, n: int, seed: int) -> Events:
    """Return n events of a training's weights as they are."""
    given = Events({}, {}, torch.ones(n, dtype=torch.float64))
    return trainee.loop.observed(given, generator=torch.Generator().manual_seed(seed))


def of_training(
    toy: str, trainee: Trainee, n: int, seed: int, rng: np.random.Generator
) -> tuple[Row, Events]:
    """Return figures of the chosen snapshot, the last KL, and the chosen one's events."""
    best = trainee.best()
    assert best is not None
    chosen = generated(best, n, seed)
    figures = judged(toy, chosen, rng)
    if toy in LINES and trainee.selector.history[-1].finite:
        figures["KL, last"] = judged(toy, latest(trainee, n, seed), rng)["KL"]
    return figures | {"chosen step": best.card.step, "training s": best.card.seconds}, chosen


def farthest(course: Course, toy: str) -> float:
    """Return the largest deviation of the mean of x in a training's second half, in true widths."""
    truth = true_events(toy, 100_000, np.random.default_rng(5)).columns["x"]
    means = np.array([mean for _, mean, _ in course[len(course) // 2 :]])
    return float(np.abs(means - truth.mean().item()).max() / truth.std().item())


def failed(toy: str, trainee: Trainee, figures: Row, even: Row) -> bool:
    """Tell whether a training diverged, lost a mode, or is no closer than even events."""
    lost = "modes" in figures and figures["modes"] < len(modes_of(toy).share)
    far = "KL" in figures and figures["KL"] >= even["KL"]
    return lost or far or not trainee.selector.history[-1].finite


def modes_of(toy: str) -> Modes:
    """Return the Gaussians of a toy that is a mixture."""
    density = density_of(toy)
    assert isinstance(density, Mixture)
    return density.mixed()


def true_events(toy: str, n: int, rng: np.random.Generator) -> Events:
    """Return n true events."""
    columns = density_of(toy).sample(rng, n)
    return schema_events(columns)


def schema_events(columns: Mapping[str, Array]) -> Events:
    """Return events of columns (n,), of equal weight."""
    [n] = {len(values) for values in columns.values()}
    tensors = {name: torch.from_numpy(values) for name, values in columns.items()}
    return Events(tensors, {}, torch.ones(n, dtype=torch.float64))


def points(events: Events) -> Array:
    """Return the numbers of events, (n, 1) or (n, 2)."""
    names = [name for name in ("x", "y") if name in events.columns]
    return np.stack([events.columns[name].double().numpy() for name in names], axis=1)


def compared(toy: str, n: int, rng: np.random.Generator) -> dict[str, Events]:
    """Return n true events, and as many of doing nothing."""
    x = points(true_events(toy, n, rng))
    samples = {
        "truth": points(true_events(toy, n, rng)),
        "even": rng.uniform(x.min(axis=0), x.max(axis=0), x.shape),
        "one Gaussian": rng.multivariate_normal(x.mean(axis=0), np.atleast_2d(np.cov(x.T)), n),
    }
    return {
        name: schema_events(dict(zip(("x", "y"), some.T.copy(), strict=False)))
        for name, some in samples.items()
    }


def judged(toy: str, events: Events, rng: np.random.Generator) -> Row:
    """Return the figures of events of a toy beside as many true ones."""
    density, x, row = density_of(toy), points(events), Row()
    if toy in LINES:
        truth = points(true_events(toy, len(x), rng))
        row["KL"] = mean_divergence(truth[:, 0], x[:, 0])
        row["mean"] = float(x.mean())
        row["width"] = float(x.std() / truth.std())
    if isinstance(density, SwissRoll):  # of which every point is a mode
        row["good"] = at_modes(x[:SIZE], density.mixed())[1]
    elif isinstance(density, Mixture) and len(density.mixed().share) > 1:
        modes = density.mixed()
        shares, row["good"] = at_modes(x, modes)
        row["modes"] = covered(shares, modes)
        found = np.maximum(shares, 1 / len(x)) / max(row["good"], 1 / len(x))
        row["KL of shares"] = float((modes.share * np.log(modes.share / found)).sum())
    return row


def conditional(options: Asked, results: Results) -> None:
    """Train on three means, and ask for these and others."""
    dataset = options.prepared(CONDITIONAL)
    n, rng = options.few(10 * SIZE, 1000), np.random.default_rng(2)

    truth = {mean: mean + rng.standard_normal(n) for mean in MEANS}
    for name in ("truth", "the nearest learned mean"):
        near = {mean: mean if name == "truth" else min(mean, 10) for mean in MEANS}
        made = {mean: near[mean] + rng.standard_normal(n) for mean in MEANS}
        results.add({"toy": CONDITIONAL, "loss": name}, of_means(truth, made))
    for loss, recipe in CONDITIONED.items():
        if loss not in options.losses:
            continue
        for seed in options.seeds:
            trainee, _ = trained(options, recipe, seed, dataset, *options.short(recipe))
            best = trainee.best()
            assert best is not None
            generator = torch.Generator().manual_seed(seed)
            made = {
                mean: points(best.generate(best.given(n, {"mean": mean}), generator=generator))[
                    :, 0
                ]
                for mean in MEANS
            }
            results.add({"toy": CONDITIONAL, "loss": loss}, of_means(truth, made), seed=seed)


def of_means(truth: Mapping[int, Array], made: Mapping[int, Array]) -> Row:
    """Return, for each mean, the KL, the deviation of the mean and the width, of σ = 1."""
    row: Row = {f"KL, {mean}": mean_divergence(truth[mean], made[mean]) for mean in truth}
    row |= {f"mean, {mean}": float(made[mean].mean() - mean) for mean in truth}
    return row | {f"width, {mean}": float(made[mean].std()) for mean in truth}


def course_picture(courses: Mapping[tuple[str, str], Course]) -> Figure:
    """Return mean and width against steps for each toy, beside the truth."""
    toys = list(dict.fromkeys(toy for toy, _ in courses))
    figure = Figure(figsize=(2.6 * len(toys) + 1.5, 4.8), layout="constrained")
    grid = figure.subplots(2, len(toys), sharex=True, squeeze=False)
    for column, toy in enumerate(toys):
        truth = true_events(toy, 100_000, np.random.default_rng(5)).columns["x"]
        for row, exact in enumerate((truth.mean().item(), truth.std().item())):
            axes = grid[row, column]
            axes.axhline(exact, color=INK, linestyle="--", label="truth")
            for (other, loss), course in courses.items():
                if other == toy:
                    axes.plot(*np.array(course).T[[0, row + 1]], label=loss, linewidth=0.9)
            axes.set_ylabel(("mean of x", "width of x")[row])
        grid[0, column].set_title(toy)
        grid[1, column].set_xlabel("steps")
    grid[0, -1].legend(**LEGEND)
    return figure


def events_picture(made: Mapping[tuple[str, str], Events]) -> Figure:
    """Return what the last seed of each loss (across) made of each toy (down)."""
    toys, losses = (list(dict.fromkeys(names)) for names in zip(*made, strict=True))
    size = (1.7 * len(losses) + 0.4, 1.8 * len(toys) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(toys), len(losses), squeeze=False)
    for axes, (toy, loss) in zip(grid.flat, itertools.product(toys, losses), strict=True):
        x, truth = points(made[toy, loss]), points(true_events(toy, 4000, np.random.default_rng(6)))
        if toy in PLANES:
            axes.scatter(*truth[:4000].T, s=0.2, color=TRUTH, linewidth=0, rasterized=True)
            axes.scatter(*x[:4000].T, s=0.2, color=GENERATED, linewidth=0, rasterized=True)
            axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
        else:
            edges = np.linspace(truth.min(), truth.max(), 61)
            axes.stairs(heights(truth[:, 0], edges), edges, fill=True, color=TRUTH_FILL)
            axes.stairs(heights(x[:, 0], edges), edges, color=GENERATED)
        axes.set(xticks=[], yticks=[])
    for axes, loss in zip(grid[0], losses, strict=True):
        axes.set_title(loss, fontsize=7)
    for axes, toy in zip(grid[:, 0], toys, strict=True):
        axes.set_ylabel(toy, fontsize=7)
    return figure
