"""Look into a hidden layer of a checkpoint's player: figures, clusters and pictures."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.console import say
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.estimate import Estimate
from mleg_ray.events import Field
from mleg_ray.folder import SealedFolder
from mleg_ray.interpret.events import known_conditions, own_dataset, validation_events
from mleg_ray.interpret.latent import (
    CLUSTER,
    NONE,
    Latent,
    LatentSpec,
    activations,
    clustered,
    latent,
    network_of,
    write_clusters,
)
from mleg_ray.report.drawing import FAINT, STYLE, png, unit_text
from mleg_ray.report.folder import ResultsPlan, renew
from mleg_ray.storage import join, write_bytes, write_json

RESULT, CLUSTERS = "latent.json", "clusters"

COLOURS = (*colormaps["tab10"].colors[:7], *colormaps["tab10"].colors[8:])  # type: ignore[attr-defined]
MARKS = ("o", "^", "s", "v", "D", "P", "X")  # of another number: their cycles meet late
GROUPS = len(COLOURS) * len(MARKS)  # those that differ in colour or mark
ROWS = 16  # of a legend's column, as high as a panel
DOTS: dict[str, Any] = {"linewidth": 0, "alpha": 0.75}
LEGEND: dict[str, Any] = {
    "loc": "outside right center",
    "markerscale": 1.8,
    "columnspacing": 0.8,
    "handletextpad": 0.2,
}


class LatentPlan(ResultsPlan):
    """What the folder of a latent analysis is for."""

    kind: Literal["latent analysis"] = "latent analysis"


def look(checkpoint: Checkpoint, spec: LatentSpec, storage: str, out: str) -> Latent:
    """Analyse a layer on the validation split of the checkpoint's own dataset.

    Writes the pictures, the dataset `clusters` and, last, `latent.json` into `out`; an earlier
    analysis that is there is replaced when all is computed. The layer, the dataset and the folder
    are checked before.

    Raises:
        CheckpointError: see `activations`.
        ConfigError: `out` holds something else, or the dataset a field `cluster`.
        DataError: the dataset is not there, or has too few events.
        ResourceError: nothing can be written.
    """
    network_of(checkpoint, spec)
    dataset = own_dataset(checkpoint, storage)
    events = validation_events(dataset, spec.events, spec.seed)
    labels = known_conditions(dataset.schema, events)
    if spec.player != "generator":  # whose events are made, and have no labels
        labels |= {name: events.columns[name] for name in dataset.schema.labels}
    schema = clustered(dataset, labels)
    drawn = {*schema.labels, *schema.varying(dataset.manifest.conditions)}
    fields = [field for field in schema.fields if field.name in drawn]
    of = {"checkpoint": checkpoint.digest, "spec": spec.model_dump(mode="json")}
    results = (RESULT, CLUSTERS, *(f"{field.name}.png" for field in fields))
    folder = SealedFolder(out, LatentPlan(of=of, results=results))
    with folder.work():
        seen = activations(checkpoint, events, spec)
        result = latent(checkpoint, seen, labels, spec)
        renew(folder)
        write_clusters(result, seen.events, labels, dataset, join(out, CLUSTERS))
        share = f"{sum(result.explained):.0%} of the variance"
        planes = {
            f"principal components ({share})": np.array(result.pca),
            f"t-SNE, perplexity {spec.perplexity:g}": np.array(result.tsne),
        }
        columns = {**events.columns, CLUSTER.name: torch.tensor(result.cluster)}
        for field in fields:
            content = planes_png(planes, columns[field.name].double().numpy(), field)
            write_bytes(join(out, f"{field.name}.png"), content)
        write_json(join(out, RESULT), result.model_dump(mode="json"))
    _say(result)
    return result


@style.context(STYLE)
def planes_png(planes: Mapping[str, FloatArray], values: FloatArray, field: Field) -> bytes:
    """Draw events, points (n, 2) in each of the planes, as marks by a number (n,) of each event.

    Up to `GROUPS` different numbers are groups, each of its own colour and mark; more are a scale.
    Small grey dots are events in no cluster. Below is the field's description, which may say what
    its numbers mean.
    """
    inside = values != NONE if field == CLUSTER else np.ones(len(values), dtype=bool)
    groups = np.unique(values[inside])
    grouped = len(groups) <= GROUPS
    columns = math.ceil((len(groups) + 1) / ROWS) if grouped else 1
    label = field.name if field.unit == "1" else f"{field.name} [{unit_text(field.unit)}]"
    width = 4.2 * len(planes)
    figure = Figure(figsize=(width + 0.4 + 0.6 * columns, 4.1), layout="constrained")
    panels = figure.subplots(1, len(planes), squeeze=False)[0]
    for axes, (title, points) in zip(panels, planes.items(), strict=True):
        axes.set(title=title, xticks=[], yticks=[])
        if not inside.all():
            axes.scatter(*points[~inside].T, s=2, color=FAINT, label=f"{NONE}", **DOTS)
        if grouped:
            _draw_groups(axes, points, values, groups)
        else:
            axes.scatter(*points[inside].T, s=5, c=values[inside], cmap="viridis", **DOTS)
    if grouped:
        entries = panels[-1].get_legend_handles_labels()
        figure.legend(*entries, title=label, ncols=columns, **LEGEND)
    else:
        figure.colorbar(panels[-1].collections[-1], ax=list(panels), label=label, pad=0.01)
    text = textwrap.fill(field.description, int(14 * width))
    figure.supxlabel(text, fontsize="small", parse_math=False)
    return png(figure)


def _draw_groups(axes: Axes, points: FloatArray, values: FloatArray, groups: FloatArray) -> None:
    for number, value in enumerate(groups):
        colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        x, y = points[values == value].T
        axes.scatter(x, y, s=12, color=colour, marker=mark, label=f"{value:g}", **DOTS)


def _say(result: Latent) -> None:
    found = [cluster for cluster in result.clusters if cluster.number >= 0]
    inside = sum(cluster.events for cluster in found)
    say(
        f"Layer {result.spec.layer} of the {result.spec.player}, {result.width} wide: "
        f"{len(found)} clusters with {inside:,} of {len(result.cluster):,} events"
    )
    if not found:
        say("  no cluster, hence no purity: raise --eps or lower --min-samples", style="yellow")
    for label, estimate in result.purity.items():
        if found:
            say(f"  {label}: purity of the clusters {_beside_chance(estimate)}")
        for space, accuracy in result.separation[label].items():
            say(f"  {label}: told by its neighbours in the {space} {_beside_chance(accuracy)}")


def _beside_chance(figure: Estimate) -> str:
    return f"{figure.value:.3f} ± {figure.uncertainty:.3f}, by chance {figure.floor:.3f}"
