"""Look into a hidden layer of a checkpoint's player: figures, clusters and pictures."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mleg_ray.catalog.dataset import Dataset, write_json
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.console import say
from mleg_ray.errors import ConfigError
from mleg_ray.evaluation.estimate import Estimate
from mleg_ray.events import Batch
from mleg_ray.interpret.events import own_dataset, validation_events, validation_labels
from mleg_ray.interpret.latent import (
    CLUSTER,
    Latent,
    LatentSpec,
    activations,
    latent,
    write_clusters,
)
from mleg_ray.report.latent_figures import planes_png
from mleg_ray.storage import exists, is_vacant, join, remove_folder, require_writable, write_bytes

RESULT, CLUSTERS = "latent.json", "clusters"


def look(checkpoint: Checkpoint, spec: LatentSpec, storage: str, out: str) -> Latent:
    """Analyse a layer on the validation split of the checkpoint's own dataset.

    Writes `latent.json`, the dataset `clusters` and the pictures into `out`; an analysis that is
    there is replaced.

    Raises:
        CheckpointError: see `activations`.
        ConfigError: `out` holds something else.
        DataError: the dataset is not there, or has too few events.
        ResourceError: nothing can be written.
    """
    if not is_vacant(out) and not exists(join(out, RESULT)):
        raise ConfigError(f"{out}: holds other files and no {RESULT}; choose another --out")
    require_writable(out)
    dataset = own_dataset(checkpoint, storage)
    events = validation_events(dataset, spec.events, spec.seed)
    labels = validation_labels(dataset, spec.events, spec.seed) if spec.player == "critic" else {}
    seen = activations(checkpoint, events, spec)
    result = latent(checkpoint, seen, labels, spec)
    remove_folder(join(out, CLUSTERS))
    write_clusters(result, seen.events, labels, dataset, join(out, CLUSTERS))
    _draw(result, seen.events, labels, dataset, out)
    write_json(join(out, RESULT), result.model_dump(mode="json"))
    _say(result)
    return result


def _draw(
    result: Latent, events: Batch, labels: Mapping[str, Tensor], dataset: Dataset, out: str
) -> None:
    """Draw the planes by cluster, by each label, and by each condition that varies."""
    share = f"{sum(result.explained):.0%} of the variance"
    planes = {
        f"principal components ({share})": np.array(result.pca),
        f"t-SNE, perplexity {result.spec.perplexity:g}": np.array(result.tsne),
    }
    schema, fixed = dataset.schema, dataset.manifest.conditions
    columns = {CLUSTER.name: torch.tensor(result.cluster), **labels}
    columns |= {name: schema.columns(events)[name] for name in schema.varying(fixed)}
    units = {field.name: field.unit for field in (*schema.fields, CLUSTER)}
    for name, values in columns.items():
        picture = planes_png(planes, values.double().numpy(), name, units[name])
        write_bytes(join(out, f"{name}.png"), picture)


def _say(result: Latent) -> None:
    found = [cluster for cluster in result.clusters if cluster.number >= 0]
    inside = sum(cluster.events for cluster in found)
    say(
        f"Layer {result.spec.layer} of the {result.spec.player}, {result.width} wide: "
        f"{len(found)} clusters with {inside:,} of {len(result.cluster):,} events"
    )
    for label, estimate in result.purity.items():
        say(f"  {label}: purity of the clusters {_beside_chance(estimate)}")
        for space, accuracy in result.separation[label].items():
            say(f"  {label}: told by its neighbours in the {space} {_beside_chance(accuracy)}")


def _beside_chance(figure: Estimate) -> str:
    return f"{figure.value:.3f} ± {figure.uncertainty:.3f}, by chance {figure.floor:.3f}"
