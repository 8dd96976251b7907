"""What a hidden layer of a player tells apart: its activations in a plane, and their clusters.

The generator is looked at while it makes events of noise, the critic while it sees true events. The
activations (n, width) are projected on their two principal components and embedded by t-SNE (van
der Maaten & Hinton, J. Mach. Learn. Res. 9 (2008) 2579), in whose plane DBSCAN (Ester et al., KDD
1996) finds clusters. What the critic makes of as many generated events is projected on the
components of the true ones, and figures tell how well the two are told apart: a critic that has
nothing left to object sees them alike. Where events have labels, or conditions of few values,
figures tell how well clusters and layer separate them; a layer that helps separates them better
than the features do. Distances know no weights: every event counts once.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import PositiveFloat, PositiveInt, model_validator
from sklearn.cluster import DBSCAN
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics.cluster import contingency_matrix
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs
from torch import Tensor

from mleg_ray.catalog.codec import of_events
from mleg_ray.catalog.dataset import PREPARED, Dataset, DatasetManifest
from mleg_ray.catalog.shards import footer_metadata, write_shard
from mleg_ray.checkpoint import Checkpoint, environment
from mleg_ray.config import Config
from mleg_ray.errors import CheckpointError, ConfigError
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.estimate import Estimate
from mleg_ray.events import Events, EventSchema, Field
from mleg_ray.interpret.events import SPLIT
from mleg_ray.interpret.landscape import player_of
from mleg_ray.models.networks import Network
from mleg_ray.randomness import Noise, derive_seed, stream
from mleg_ray.storage import join, write_json

CLUSTER = Field(name="cluster", role="label", description="of DBSCAN; -1: in none")
NONE = -1  # the number of what is in no cluster
FOLDS = 5
SHUFFLES = 50  # of the labels, for a purity's floor

Labels = NDArray[np.float64]
Clusters = NDArray[np.intp]
Point = tuple[float, float]


class LatentSpec(Config):
    """All that determines the latent analysis of a checkpoint.

    `layer` counts the player's hidden layers from 1. A cluster's core are points that have
    `min_samples` points, themselves included, within `eps` in the plane of t-SNE. Labels are
    predicted by the `neighbours` nearest events. t-SNE moves its points `iterations` times, by a
    `learning_rate` that follows from their number, max(n/48, 50), if it is not given.
    """

    player: Literal["generator", "critic", "embedding"]
    layer: PositiveInt
    events: PositiveInt = 2000
    perplexity: PositiveFloat = 100.0
    learning_rate: PositiveFloat | None = None
    iterations: int = Option(1000, ge=250)  # of which the first 250 exaggerate
    eps: PositiveFloat = 2.0
    min_samples: PositiveInt = 20
    neighbours: PositiveInt = 15
    seed: int = 1

    @model_validator(mode="after")
    def _enough_events(self) -> Self:
        needed = max(3 * self.perplexity, 2 * self.neighbours)
        if self.events <= needed:
            raise ValueError(
                f"events must be more than {needed:g}: 3 x perplexity, and 2 x neighbours"
            )
        return self


class Cluster(Config):
    """A cluster's number, -1 for the events in none, and by label the likeliest and its share."""

    number: int
    events: int
    majority: dict[str, float]
    purity: dict[str, float]


class Latent(Config):
    """A layer's activations of n events in a plane, their clusters, and what these separate.

    `explained` are the principal components' shares of the variance. Of each label, and of each
    condition of few values, `purity` is the share of the events in clusters that have their
    cluster's likeliest value, beside that of shuffled values; `separation` is how often the nearest
    events predict an event's value, in the space of the features, of the player's input, of the
    layer and of both planes, beside the likeliest value's share. `generated` are generated events
    on the components of the true ones that a critic sees, and `told_apart` how often the nearest
    events tell which are which, in the same spaces but the plane of t-SNE. `dataset` is the digest
    of that of the true events, or of their conditions.
    """

    format_version: Literal[2] = 2
    spec: LatentSpec
    checkpoint: str
    dataset: str
    width: int
    explained: Point
    pca: tuple[Point, ...]
    generated: tuple[Point, ...]
    tsne: tuple[Point, ...]
    cluster: tuple[int, ...]
    clusters: tuple[Cluster, ...]
    purity: dict[str, Estimate]
    separation: dict[str, dict[str, Estimate]]
    told_apart: dict[str, Estimate]
    environment: dict[str, str]

    @property
    def largest(self) -> list[Cluster]:
        """The clusters, the largest first; what is in none is no cluster."""
        found = [cluster for cluster in self.clusters if cluster.number != NONE]
        return sorted(found, key=lambda cluster: -cluster.events)


@dataclass(frozen=True)
class Activations:
    """What a player makes of n events, in physical units and, as `features`, standardised.

    `input` (n, d) is what it sees, the critic's view of features or the generator's noise, without
    the conditions; `layer` (n, width) what the layer makes of it. The generator's events are those
    that it makes.
    """

    events: Events
    features: FloatArray
    input: FloatArray
    layer: FloatArray


def network_of(checkpoint: Checkpoint, spec: LatentSpec) -> Network:
    """Return the player of a checkpoint whose layer is asked for.

    Raises:
        CheckpointError: the model has no such player, or this no such layer.
    """
    players = checkpoint.model.players()
    network = player_of(checkpoint, checkpoint.model, spec.player)
    if not isinstance(network, Network):
        readable = [name for name, player in players.items() if isinstance(player, Network)]
        raise CheckpointError(
            f"{checkpoint.uri}: '{spec.player}' has no hidden layers that can be read; players "
            f"that have: {', '.join(readable) or 'none'}"
        )
    if spec.layer > network.depth:
        raise CheckpointError(
            f"{checkpoint.uri}: '{spec.player}' has --layer 1 to {network.depth}, not {spec.layer}"
        )
    return network


def activations(
    checkpoint: Checkpoint, events: Events, spec: LatentSpec, *, generated: bool = False
) -> Activations:
    """Run a player up to a hidden layer.

    `events` are physical ones, as `random_events` draws them. For the generator only their
    conditions count, and for a critic too if it shall see `generated` events.

    Raises:
        CheckpointError: see `network_of`; what comes out is NaN or infinite, or one number only.
    """
    model, feature_map = checkpoint.model, checkpoint.feature_map
    network = network_of(checkpoint, spec)
    events = events.to(checkpoint.device)
    with torch.no_grad():
        condition = feature_map.condition(events)
        inputs: list[Tensor] = []  # what the generator is given while it makes events
        if generated or spec.player == "generator":
            generator = stream(derive_seed(spec.seed, "latent/noise"), checkpoint.device)
            noise = model.draw(len(events), generator=generator)
            heard = network.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
            features = model.decode(noise, condition)
            heard.remove()
            events = feature_map.decode(features, events)
        else:
            encoding = Noise(checkpoint.device)
            encoding.seed(derive_seed(spec.seed, "latent/encode"))
            features = feature_map.encode(events, noise=encoding).x
        [seen] = inputs or [feature_map.view(features, condition)]
        layer = network.hidden(seen, condition, spec.layer)
    if not (features.isfinite().all() and layer.isfinite().all()):
        raise CheckpointError(
            f"{checkpoint.uri}: what layer {spec.layer} of '{spec.player}' makes is not finite; "
            "the training diverged, train again"
        )
    if layer.shape[1] < 2:
        raise CheckpointError(
            f"{checkpoint.uri}: layer {spec.layer} of '{spec.player}' is 1 wide, and has no plane "
            "to look at; choose another --layer"
        )
    return Activations(events.to("cpu"), _array(features), _array(seen), _array(layer))


def latent(
    checkpoint: Checkpoint,
    seen: Activations,
    labels: Mapping[str, Tensor],
    spec: LatentSpec,
    *,
    dataset: str,
    generated: Activations | None = None,
) -> Latent:
    """Project a layer's activations, find their clusters, and tell what is separated.

    `labels` are what is known of the events, (n,) by name: true ones' labels, and conditions of few
    values. `dataset` is the digest of theirs. `generated` is what a critic makes of as many
    generated events.
    """
    others = [generated.layer] if generated else []
    (pca, *others), explained = principal_plane(seen.layer, *others)
    tsne = embedded(seen.layer, spec)
    cluster = DBSCAN(eps=spec.eps, min_samples=spec.min_samples).fit_predict(tsne)
    given = {name: values.numpy() for name, values in labels.items()}
    rng = np.random.default_rng(derive_seed(spec.seed, "latent/shuffles"))
    spaces = {"features": seen.features, "input": seen.input, "layer": seen.layer}
    spaces |= {"pca": pca, "t-sne": tsne}
    return Latent(
        spec=spec,
        checkpoint=checkpoint.digest,
        dataset=dataset,
        width=seen.layer.shape[1],
        explained=explained,
        pca=pca.tolist(),
        generated=others[0].tolist() if others else (),
        tsne=tsne.tolist(),
        cluster=cluster.tolist(),
        clusters=tuple(_described(cluster, given)),
        purity={name: purity(cluster, values, rng) for name, values in given.items()},
        separation={
            name: {where: separation(points, values, spec) for where, points in spaces.items()}
            for name, values in given.items()
        },
        told_apart=_told_apart((seen, pca), (generated, others[0]), spec) if generated else {},
        environment=environment(),
    )


def principal_plane(points: FloatArray, *others: FloatArray) -> tuple[list[FloatArray], Point]:
    """Return points (n, d) on their two principal components, (n, 2), and these' variance shares.

    Other points (m, d) are projected on the same components. The largest entry of each component is
    positive, so that the picture is no mirror image of itself from one machine to the other.
    """
    components = PCA(2, svd_solver="full")
    with threadpool_limits(1):
        components.fit(points)
        planes = [components.transform(each) for each in (points, *others)]
    first, second = components.explained_variance_ratio_.tolist()
    return planes, (first, second)


def embedded(points: FloatArray, spec: LatentSpec) -> FloatArray:
    """Return points (n, d) in the plane of t-SNE, (n, 2), begun at their principal components."""
    seed = derive_seed(spec.seed, "latent/t-sne") % 2**32
    tsne = TSNE(
        perplexity=spec.perplexity,
        learning_rate=spec.learning_rate or "auto",
        max_iter=spec.iterations,
        init="pca",
        random_state=seed,
    )
    with threadpool_limits(1):  # where another process wants a core, threads that wait spin
        plane = tsne.fit_transform(points)
    return np.asarray(plane, dtype=np.float64)


def purity(cluster: Clusters, labels: Labels, rng: np.random.Generator) -> Estimate:
    """Return the share of the events (n,) in clusters that have their cluster's likeliest label.

    Small clusters are pure by chance; the floor is the purity of shuffled labels. It is 0 if there
    is no cluster.
    """
    inside = cluster >= 0
    n, known = max(int(inside.sum()), 1), labels[inside]

    def pure(labels: Labels) -> float:
        counts = contingency_matrix(cluster[inside], labels)
        return float(counts.max(axis=1, initial=0).sum() / n)

    value = pure(known)
    shuffled = [pure(rng.permutation(known)) for _ in range(SHUFFLES)]
    return Estimate(
        value=value,
        uncertainty=_binomial(value, n),
        floor=float(np.mean(shuffled)),
        floor_spread=float(np.std(shuffled, ddof=1)),
        events=int(inside.sum()),
        direction="equal",
    )


def separation(points: FloatArray, labels: Labels, spec: LatentSpec) -> Estimate:
    """Return how often the nearest events predict a label: the accuracy of k-NN, cross-validated.

    Euclidean distances are taken of points (n, d) with labels (n,); k is `neighbours`.
    """
    _, known = np.unique(labels, return_inverse=True)
    folds = KFold(FOLDS, shuffle=True, random_state=derive_seed(spec.seed, "latent/folds") % 2**32)
    with threadpool_limits(1):
        predicted = cross_val_predict(
            KNeighborsClassifier(spec.neighbours), points, known, cv=folds
        )
    n = len(known)
    value, floor = float((predicted == known).mean()), float(np.bincount(known).max() / n)
    return Estimate(
        value=value,
        uncertainty=_binomial(value, n),
        floor=floor,
        floor_spread=_binomial(floor, n),
        events=n,
        direction="equal",
    )


def clustered(origin: Dataset, labels: Container[str]) -> EventSchema:
    """Return the fields of a dataset's events that have these labels only, and `CLUSTER`.

    Raises:
        ConfigError: the dataset has a column `cluster` already.
    """
    kept = origin.schema.without({name for name in origin.schema.labels if name not in labels})
    if any(field.name == CLUSTER.name for field in kept.fields):
        raise ConfigError(
            f"{origin.uri}: has a field '{CLUSTER.name}', the name of what is to be found; rename "
            "it, then prepare and train again"
        )
    return EventSchema((*kept.fields, CLUSTER), kept.groups)


def write_clusters(
    result: Latent, events: Events, labels: Mapping[str, Tensor], origin: Dataset, folder: str
) -> Dataset:
    """Write the events as a dataset whose label `cluster` tells theirs, a shard a cluster.

    The `result` goes into the dataset's provenance, but for the points. `labels` are what is known
    of the events, (n,) by name; `origin` is the dataset that says what their columns are.

    Raises:
        ConfigError: see `clustered`.
        ResourceError: nothing can be written there.
    """
    manifest, schema = origin.manifest, clustered(origin, labels)
    events = events.replacing((), {**labels, CLUSTER.name: torch.tensor(result.cluster).double()})
    told = result.model_dump(mode="json", exclude={"pca", "tsne", "cluster"})
    shards = tuple(
        write_shard(
            folder,
            f"shards/{i:05d}.parquet",
            of_events(events[events.columns[CLUSTER.name] == cluster.number], schema),
            schema.without(manifest.conditions),
            footer_metadata(cluster=cluster.model_dump(), latent=told["spec"]),
            split=SPLIT,
        )
        for i, cluster in enumerate(result.clusters)
    )
    written = DatasetManifest(
        name=f"{manifest.name}-{result.spec.player}-{result.spec.layer}-clusters",
        fields=schema.fields,
        groups=schema.groups,
        conditions=manifest.conditions,
        **dict(manifest.definitions),
        provenance={"latent": told},
        shards=shards,
    )
    write_json(join(folder, PREPARED), written.model_dump(mode="json"))
    return Dataset.open(folder)


def _told_apart(
    true: tuple[Activations, FloatArray], made: tuple[Activations, FloatArray], spec: LatentSpec
) -> dict[str, Estimate]:
    """Return how often the nearest events tell a true event from a generated one, by space.

    Given are what the player makes of either, and its principal plane (n, 2).
    """
    sides = [
        {"features": of.features, "input": of.input, "layer": of.layer, "pca": plane}
        for of, plane in (true, made)
    ]
    which = np.repeat([0.0, 1.0], [len(side["pca"]) for side in sides])
    return {
        space: separation(np.concatenate([side[space] for side in sides]), which, spec)
        for space in sides[0]
    }


def _described(cluster: Clusters, labels: Mapping[str, Labels]) -> Iterator[Cluster]:
    for number in np.unique(cluster).tolist():
        rows = cluster == number
        majority, share = {}, {}
        for name, values in labels.items():
            found, counts = np.unique(values[rows], return_counts=True)
            majority[name] = float(found[counts.argmax()])
            share[name] = float(counts.max() / rows.sum())
        yield Cluster(number=number, events=int(rows.sum()), majority=majority, purity=share)


def _binomial(share: float, n: int) -> float:
    return float(np.sqrt(share * (1 - share) / n))


def _array(values: Tensor) -> FloatArray:
    return values.double().cpu().numpy()
