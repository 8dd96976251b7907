"""Look into a hidden layer of a checkpoint's player: figures, clusters and pictures."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.console import say
from mleg_ray.evaluation.statistics.estimate import Estimate
from mleg_ray.events import Field
from mleg_ray.folder import SealedFolder
from mleg_ray.interpret.events import (
    known_conditions,
    own_dataset,
    validation_events,
)
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
from mleg_ray.report.latent_figures import planes_png
from mleg_ray.storage import join, write_bytes, write_json

RESULT, CLUSTERS = "latent.json", "clusters"


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
    results = (RESULT, CLUSTERS, *(_picture(field) for field in fields))
    folder = SealedFolder(out, LatentPlan(of=of, results=results))
    with folder.work():
        seen = activations(checkpoint, events, spec)
        result = latent(checkpoint, seen, labels, spec)
        renew(folder)
        write_clusters(result, seen.events, labels, dataset, join(out, CLUSTERS))
        columns = {**events.columns, CLUSTER.name: torch.tensor(result.cluster)}
        _draw(result, {field: columns[field.name] for field in fields}, out)
        write_json(join(out, RESULT), result.model_dump(mode="json"))
    _say(result)
    return result


def _picture(field: Field) -> str:
    return f"{field.name}.png"


def _draw(result: Latent, columns: Mapping[Field, Tensor], out: str) -> None:
    """Draw the planes by each column (n,) of the events."""
    share = f"{sum(result.explained):.0%} of the variance"
    planes = {
        f"principal components ({share})": np.array(result.pca),
        f"t-SNE, perplexity {result.spec.perplexity:g}": np.array(result.tsne),
    }
    for field, values in columns.items():
        content = planes_png(planes, values.double().numpy(), field)
        write_bytes(join(out, _picture(field)), content)


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
