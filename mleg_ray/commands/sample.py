"""Generate events with a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mleg_ray.commands.home import refresh
from mleg_ray.commands.options import (
    Place,
    PoolSize,
    Storage,
    Target,
    assigned,
    checkpoints,
    count,
    size,
    target_of,
    uri_of,
)
from mleg_ray.console import say, tell_place
from mleg_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.checkpoint import Checkpoint


def sample(
    checkpoint: Annotated[
        Place,
        typer.Argument(
            help="A checkpoint's directory or URI, or that of a study.", autocompletion=checkpoints
        ),
    ],
    events: Annotated[
        int | None, typer.Option(parser=count, metavar="N", help="Events, such as 1e6.")
    ] = None,
    *,
    particles: Annotated[
        Place | None,
        typer.Option(
            "--for",
            metavar="FILE|DATASET[:SPLIT]",
            help="Instead, one event for each row, in order: its columns give the conditions.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Of the file, a column that each event keeps; repeatable."),
    ] = None,
    out: Target = None,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of all shards.")] = 1,
    workers: PoolSize = None,
    gpus: Annotated[
        float,
        typer.Option(min=0, help="GPUs of a worker: 1, or 0.25 for four workers on one."),
    ] = 0,
    shard_events: Annotated[
        int | None,
        typer.Option(parser=count, metavar="N", help="Events in a shard.", show_default="250000"),
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(parser=size, metavar="SIZE", help="Or the size of its file: 50MB."),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            help="A condition: beam_energy=50; or its spectrum: beam_energy=uniform(10,50), "
            "log-uniform(A,B), choice(A,B,...), histogram(FILE.csv), data(DATASET); repeatable."
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Keep events with 'q2 > 10', say, generating others; repeatable."),
    ] = None,
    partition_by: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="One value of it in a shard, told by the shard's folder: Hive partitions.",
        ),
    ] = None,
    prefer: Annotated[
        list[str] | None,
        typer.Option(
            help="Of a study, the best trial with ks_sum<=0.5, say, or with what else it measured "
            "(study.objectives), throughput>=2e6; repeatable."
        ),
    ] = None,
    compiled: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help="Compile the model, for large samples; the last digits of the events are others.",
            show_default="compiled from 20 million events on",
        ),
    ] = None,
    simulated: Annotated[
        int | None,
        typer.Option(
            "--simulate",
            metavar="WORKERS",
            min=1,
            help="Only rehearse it, with so many workers that sleep: time, bytes, driver's load.",
        ),
    ] = None,
) -> "Dataset | None":
    """Generate events into Parquet shards, exactly once; the same command again completes them."""
    from mleg_ray.checkpoint import Checkpoint
    from mleg_ray.cluster.sample import complete, default_target, given_target
    from mleg_ray.cluster.simulate import simulate
    from mleg_ray.folder import is_for
    from mleg_ray.sampling.job import plan_given, plan_sample
    from mleg_ray.sampling.spectra import read_condition
    from mleg_ray.storage import storage_root
    from mleg_ray.study.ledger import StudyPlan
    from mleg_ray.study.summary import summarise

    place = uri_of(checkpoint)
    if is_for(place, StudyPlan):
        place = summarise(place).prefer(prefer or []).best_checkpoint
    elif prefer:
        raise ConfigError(
            f"--prefer: {checkpoint} is not a study's folder, as `mleg tune RECIPE` makes; of a "
            "checkpoint leave it out"
        )
    if shard_events is not None and shard_size is not None:
        raise ConfigError("--shard-events and --shard-size: give one of the two")
    root = storage_root(storage)
    device: Literal["cpu", "cuda"] = "cuda" if gpus else "cpu"
    given = assigned(condition or [])
    conditions = {name: read_condition(name, text, root) for name, text in given.items()}
    if particles is not None:
        asked = {
            "--events": events,
            "--shard-events": shard_events,
            "--shard-size": shard_size,
            "--condition": condition,
            "--where": where,
            "--partition-by": partition_by,
        }
        if idle := [option for option, value in asked.items() if value is not None]:
            raise ConfigError(f"--for: its rows decide that; leave {', '.join(idle)} out")
        model = Checkpoint.load(place)
        rows, split = _rows(particles, model, keep or [], root)
        usual = given_target(root, place, "for", rows, split, seed)
        job = plan_given(
            model,
            rows,
            split,
            target_of(out, usual),
            seed=seed,
            compiled=compiled,
            device=device,
        )
    elif events is None:
        raise ConfigError(
            "--events: say how many, as in `mleg sample CHECKPOINT --events 1e6`, or give a file "
            "of particles by --for"
        )
    elif keep:
        raise ConfigError(
            f"--keep {keep[0]}: a column of a file; it needs --for, as in `mleg sample CHECKPOINT "
            f"--for particles.parquet --keep {keep[0]}`"
        )
    else:
        usual = default_target(root, place, events, seed, conditions, where or [])
        target = target_of(out, usual)
        job = plan_sample(
            Checkpoint.load(place),
            events,
            target,
            seed=seed,
            shard_events=shard_events,
            shard_bytes=shard_size,
            conditions=conditions,
            compiled=compiled,
            where=where or [],
            partition=partition_by,
            device=device,
        )
    if simulated is not None:
        simulate(job, simulated)
        return None
    dataset = complete(job, workers=workers, gpus=gpus)
    refresh(root)
    tell_place(dataset.uri)
    return dataset


def _rows(
    particles: Place, model: "Checkpoint", keep: "Sequence[str]", root: str
) -> "tuple[Dataset, str | None]":
    """Return the dataset, and its split, that `--for` names; a file's is prepared first."""
    from mleg_ray.catalog.codec import bytes_of
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.catalog.listed import SUFFIXES, is_file, listed
    from mleg_ray.cluster.prepare import prepare
    from mleg_ray.sampling.folding import given_one_by_one
    from mleg_ray.sampling.job import SHARD

    text = str(getattr(particles, "uri", particles))
    if not is_file(text):
        if Path(text).is_file() and not text.endswith(".toml"):
            raise ConfigError(
                f"--for {text}: files that end in {', '.join(SUFFIXES)} are read; of another write "
                "an entry, `mleg prepare my-events.toml`, and name the dataset"
            )
        if keep:
            raise ConfigError(f"--keep {keep[0]}: a dataset's labels are kept; leave it out")
        return Dataset.find(root, text)
    # A shard of rows becomes one of events, whose images are larger.
    shard_events = SHARD.of(bytes_of(model.schema))
    spec = listed(uri_of(text), given_one_by_one(model.card), shard_events, keep)
    say(f"{text}: read as " + ", ".join(f"{f.name} [{f.unit}]" for f in spec.fields))
    return prepare(spec, root), None
