"""Look into a checkpoint: compute an analysis on true events, and write it.

An earlier analysis of the same kind in the folder is replaced when all is computed.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.console import progress_bar, say
from mleg_ray.evaluation.statistics.estimate import Estimate
from mleg_ray.folder import SealedFolder
from mleg_ray.interpret.events import (
    SPLIT,
    known_conditions,
    own_dataset,
    random_events,
    require_alike,
)
from mleg_ray.interpret.landscape import Landscape, LandscapeSpec, landscape, player_of
from mleg_ray.interpret.latent import (
    CLUSTER,
    Latent,
    LatentSpec,
    activations,
    clustered,
    latent,
    network_of,
    write_clusters,
)
from mleg_ray.report.folder import ResultsPlan, renew
from mleg_ray.report.landscape import CONTOURS, SURFACE, landscape_pngs
from mleg_ray.report.latent import planes_png, true_generated_png
from mleg_ray.storage import join, write_bytes, write_json

LANDSCAPE, LATENT, CLUSTERS = "landscape.json", "latent.json", "clusters"
TRUE_GENERATED = "true-generated.png"
TOLD = 5  # clusters, the largest


class LandscapePlan(ResultsPlan):
    """What the folder of a landscape is for."""

    kind: Literal["landscape"] = "landscape"


def survey(checkpoint: Checkpoint, spec: LandscapeSpec, storage: str, out: str) -> Landscape:
    """Compute a landscape on the validation split of the checkpoint's own dataset, and write it.

    `out` gets its figures and the pictures of the first pair's surface and of every pair's
    contours; an earlier one that is there is replaced when all is computed. The player, the dataset
    and the folder are checked before.

    Raises:
        CheckpointError: see `landscape`.
        ConfigError: `out` holds something else.
        DataError: the dataset is not there, or has too few events.
        ResourceError: nothing can be written.
    """
    player_of(checkpoint, checkpoint.model, spec.player)
    events = random_events(own_dataset(checkpoint, storage), SPLIT, spec.events, spec.seed)
    of = {"checkpoint": checkpoint.digest, "spec": spec.model_dump(mode="json")}
    folder = SealedFolder(out, LandscapePlan(of=of, results=(SURFACE, CONTOURS, LANDSCAPE)))
    with folder.work():
        with progress_bar("Moving the weights", spec.pairs * spec.grid**2) as bar:
            found = landscape(checkpoint, events, spec, bar.update)
        renew(folder)
        for name, content in landscape_pngs(found).items():
            write_bytes(join(out, name), content)
        write_json(join(out, LANDSCAPE), found.model_dump(mode="json"))
    say(
        f"Loss {found.loss:.4g}; roughness {found.roughness.value:.3g} ± "
        f"{found.roughness.uncertainty:.2g} of a bowl's; not convex at "
        f"{found.nonconvex_share.value:.0%} of the points"
    )
    return found


class LatentPlan(ResultsPlan):
    """What the folder of a latent analysis is for."""

    kind: Literal["latent analysis"] = "latent analysis"


def look(
    checkpoint: Checkpoint,
    spec: LatentSpec,
    storage: str,
    out: str,
    truth: tuple[Dataset, str | None] | None = None,
) -> Latent:
    """Analyse a layer on events of a split, by default validation events of its own dataset.

    Writes the pictures, the dataset `clusters` and, last, `latent.json` into `out`; an earlier
    analysis that is there is replaced when all is computed. The layer, the dataset and the folder
    are checked before.

    Raises:
        CheckpointError: see `activations`.
        ConfigError: `out` holds something else, or the dataset a field `cluster`.
        DataError: the dataset is not there, has too few events, or others than the checkpoint's.
        ResourceError: nothing can be written.
    """
    network_of(checkpoint, spec)
    dataset, split = truth or (own_dataset(checkpoint, storage), SPLIT)
    require_alike(dataset, checkpoint)
    events = random_events(dataset, split, spec.events, spec.seed)
    conditions = known_conditions(dataset.schema, events)
    labels = dict(conditions)
    sees_events = spec.player != "generator"  # whose events are made, and have no labels
    if sees_events:
        labels |= {name: events.columns[name] for name in dataset.schema.labels}
    schema = clustered(dataset, labels)
    drawn = {*schema.labels, *schema.varying(dataset.manifest.conditions)}
    fields = [field for field in schema.fields if field.name in drawn]
    of = {
        "checkpoint": checkpoint.digest,
        "dataset": dataset.digest,
        "split": split,
        "spec": spec.model_dump(mode="json"),
    }
    pictures = [f"{field.name}.png" for field in fields] + [TRUE_GENERATED] * sees_events
    folder = SealedFolder(out, LatentPlan(of=of, results=(LATENT, CLUSTERS, *pictures)))
    with folder.work():
        seen = activations(checkpoint, events, spec)
        made = activations(checkpoint, events, spec, generated=True) if sees_events else None
        result = latent(checkpoint, seen, labels, spec, dataset=dataset.digest, generated=made)
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
        if sees_events:
            points = np.array(result.pca), np.array(result.generated)
            content = true_generated_png(*points, _groups(conditions, len(events)))
            write_bytes(join(out, TRUE_GENERATED), content)
        write_json(join(out, LATENT), result.model_dump(mode="json"))
    _say(result)
    return result


def _groups(conditions: Mapping[str, torch.Tensor], n: int) -> dict[str, NDArray[np.bool_]]:
    """Return which of n events have each value of the first condition; all if there is none."""
    for name, values in conditions.items():
        known = np.unique(values.numpy())
        return {f"{name} = {value:g}": values.numpy() == value for value in known}
    return {"all events": np.ones(n, dtype=bool)}


def _say(result: Latent) -> None:
    found = result.largest
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
    for cluster in found[:TOLD]:
        likeliest = [f"{n} {v:g} ({cluster.purity[n]:.0%})" for n, v in cluster.majority.items()]
        say(f"  cluster {cluster.number}, {cluster.events:,} events: {', '.join(likeliest)}")
    for space, accuracy in result.told_apart.items():
        say(f"  true or generated: told in the {space} {_beside_chance(accuracy)}")


def _beside_chance(figure: Estimate) -> str:
    return f"{figure.value:.3f} ± {figure.uncertainty:.3f}, by chance {figure.floor:.3f}"
