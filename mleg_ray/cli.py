"""The command line, `mleg`. Heavy libraries are imported by the command that needs them."""

import math
import signal
import sys
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from mleg_ray import __version__
from mleg_ray.console import say
from mleg_ray.errors import ConfigError, UserError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
catalog_app = typer.Typer(help="See what datasets there are.", no_args_is_help=True)
app.add_typer(catalog_app, name="catalog")

# What runs on a cluster.
SUBMITTED = (
    *("prepare", "train", "tune", "sample", "fold"),
    *("verify", "convert", "reweight", "evaluate"),
)


def _count(text: str) -> int:
    """Read a number of events: 1000000, 1_000_000 or 1e6."""
    try:
        value = float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number") from None
    if not math.isfinite(value) or value != int(value):
        raise typer.BadParameter(f"{text!r} is not a whole number")
    return int(value)


def _workers(text: str) -> int | None:
    """Read a number of workers; None for `auto`, as many as the cluster has or may start."""
    if text == "auto":
        return None
    count = _count(text)
    if count < 1:
        raise typer.BadParameter(f"{text!r}: at least one is needed")
    return count


def _size(text: str) -> int:
    """Read a size in bytes: 50MB, 200_000kB or 1GB."""
    units = {"kB": 10**3, "MB": 10**6, "GB": 10**9}
    unit = units.get(text[-2:])
    if unit is None:
        raise typer.BadParameter(f"{text!r} has no unit: write kB, MB or GB, as in 50MB")
    return _count(text[:-2].strip()) * unit


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mleg {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Machine-learning event generators for particle and nuclear physics, on Ray."""


Storage = Annotated[
    str | None,
    typer.Option(help="Root of datasets, runs and samples; also s3://.", envvar="MLEG_STORAGE"),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override one value: section.key=value; repeatable."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Parallel workers.")]
Events = Annotated[int, typer.Option(parser=_count, metavar="N", help="Events, such as 1e6.")]


@catalog_app.command("list")
def catalog_list() -> None:
    """List the datasets of the catalog."""
    from mleg_ray.catalog.listing import entries_table

    Console().print(entries_table())


@catalog_app.command("show")
def catalog_show(name: str) -> None:
    """Show one dataset: fields, source, splits, observables, rules, planes, objects, citation."""
    from mleg_ray.catalog.listing import describe
    from mleg_ray.catalog.spec import DatasetSpec

    Console().print(describe(DatasetSpec.load(name)))


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="A dataset of the catalog, or a TOML file.")],
    storage: Storage = None,
    assignments: Assignments = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a dataset made otherwise.")] = False,
) -> None:
    """Make all events of a dataset, in Parquet shards; the same command again completes them."""
    from mleg_ray.catalog.spec import DatasetSpec
    from mleg_ray.cluster.prepare import prepare
    from mleg_ray.storage import storage_root

    spec = DatasetSpec.load(name, tuple(assignments or ()))
    dataset = prepare(spec, storage_root(storage), overwrite=overwrite)
    typer.echo(dataset.uri)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe of tuning/, or a TOML file.")],
    storage: Storage = None,
    assignments: Assignments = None,
    workers: Workers = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
) -> None:
    """Train a recipe; the same command again continues an interrupted run."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.cluster.train import run_name, train
    from mleg_ray.run import RunConfig
    from mleg_ray.storage import storage_root

    run = RunConfig.load(recipe, tuple(assignments or ()))
    root = storage_root(storage)
    dataset = Dataset.prepared(root, run.dataset)
    checkpoint = train(
        run, dataset, root, name=name or run_name(recipe, run, dataset), workers=workers or 1
    )
    typer.echo(checkpoint.uri)


@app.command()
def tune(
    recipe: Annotated[str, typer.Argument(help="A recipe with the tables space and study.")],
    storage: Storage = None,
    assignments: Assignments = None,
    name: Annotated[str | None, typer.Option(help="Name of the study.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted one.")
    ] = False,
) -> None:
    """Search a recipe's space: trials side by side, the best checkpoints, a report."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.cluster.tune import run_study, study_name
    from mleg_ray.storage import storage_root
    from mleg_ray.study.plan import Plan

    plan = Plan.load(recipe, tuple(assignments or ()))
    root = storage_root(storage)
    dataset = Dataset.prepared(root, plan.run.dataset)
    name = name or study_name(recipe, plan, dataset)
    summary = run_study(plan, dataset, root, name=name, resume=resume)
    typer.echo(summary.ranked[0].best_checkpoint)


@app.command()
def report(
    study: Annotated[str, typer.Argument(help="A study's folder or URI.")],
    out: Annotated[str | None, typer.Option(help="Folder of the report.")] = None,
) -> None:
    """Write a study's report, at any time: study.html, trials.csv, study.json, figures."""
    from mleg_ray.report.study import write_study_report
    from mleg_ray.storage import absolute, join
    from mleg_ray.study.summary import summarise

    folder = absolute(study)
    typer.echo(write_study_report(summarise(folder), absolute(out or join(folder, "report"))))


@app.command()
def sample(
    checkpoint: Annotated[
        str, typer.Argument(help="A checkpoint's directory or URI, or that of a study.")
    ],
    events: Events,
    out: Annotated[str | None, typer.Option(help="Where the dataset goes; also s3://.")] = None,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of all shards.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            parser=_workers, metavar="N|auto", help="Parallel workers.", show_default="auto"
        ),
    ] = None,
    gpus: Annotated[
        float,
        typer.Option(min=0, help="GPUs of a worker: 1, or 0.25 for four workers on one."),
    ] = 0,
    shard_events: Annotated[
        int | None,
        typer.Option(parser=_count, metavar="N", help="Events in a shard.", show_default="250000"),
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(parser=_size, metavar="SIZE", help="Or the size of its file: 50MB."),
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
) -> None:
    """Generate events into Parquet shards, exactly once; the same command again completes them."""
    from mleg_ray.checkpoint import Checkpoint
    from mleg_ray.cluster.sample import complete, default_target
    from mleg_ray.cluster.simulate import simulate
    from mleg_ray.sampling.job import plan_sample
    from mleg_ray.sampling.spectra import read_condition
    from mleg_ray.storage import absolute, storage_root
    from mleg_ray.study.ledger import is_study
    from mleg_ray.study.summary import summarise

    if is_study(absolute(checkpoint)):
        checkpoint = summarise(absolute(checkpoint)).prefer(prefer or []).best_checkpoint
    elif prefer:
        raise ConfigError(f"--prefer: {checkpoint} is not a study's folder")
    if shard_events is not None and shard_size is not None:
        raise ConfigError("--shard-events and --shard-size: give one of the two")
    root = storage_root(storage)
    assigned = _assigned(condition or [])
    conditions = {name: read_condition(name, text, root) for name, text in assigned.items()}
    target = out or default_target(root, checkpoint, events, seed, conditions, where or [])
    job = plan_sample(
        Checkpoint.load(absolute(checkpoint)),
        events,
        absolute(target),
        seed=seed,
        shard_events=shard_events,
        shard_bytes=shard_size,
        conditions=conditions,
        compiled=compiled,
        where=where or [],
        partition=partition_by,
        device="cuda" if gpus else "cpu",
    )
    if simulated is not None:
        simulate(job, simulated)
        return
    dataset = complete(job, workers=workers, gpus=gpus)
    typer.echo(dataset.uri)


@app.command()
def fold(
    checkpoint: Annotated[
        str, typer.Argument(help="A detector's generator: a checkpoint's directory or URI.")
    ],
    events: Annotated[
        str,
        typer.Argument(
            metavar="DATASET[:SPLIT]", help="What is measured: a prepared dataset, or a folder."
        ),
    ],
    out: Annotated[str | None, typer.Option(help="Where the dataset goes; also s3://.")] = None,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of all shards.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            parser=_workers, metavar="N|auto", help="Parallel workers.", show_default="auto"
        ),
    ] = None,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Also outside the region of the training.")
    ] = False,
) -> None:
    """Carry each event of a dataset to what a detector measures of it, one for one."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.checkpoint import Checkpoint, run_label
    from mleg_ray.cluster.sample import complete
    from mleg_ray.sampling.job import plan_fold
    from mleg_ray.storage import absolute, join, storage_root

    root = storage_root(storage)
    dataset, split = Dataset.find(root, events)
    made = "-of-".join((run_label(checkpoint), dataset.manifest.name))
    target = out or join(root, "samples", f"{made}-{split or 'all'}-seed{seed}")
    job = plan_fold(
        Checkpoint.load(absolute(checkpoint)),
        dataset,
        split,
        absolute(target),
        seed=seed,
        extrapolate=extrapolate,
    )
    typer.echo(complete(job, workers=workers).uri)


@app.command()
def verify(
    dataset: Annotated[
        str, typer.Argument(help="A prepared or generated dataset's folder or URI.")
    ],
) -> None:
    """Check a dataset from end to end: counts, hashes, schema, seeds, tallies, copies."""
    from mleg_ray.cluster.verify import verify

    verify(dataset)


@app.command()
def convert(
    dataset: Annotated[
        str, typer.Argument(help="A prepared or generated dataset's folder or URI.")
    ],
    to: Annotated[str, typer.Option(help="root, hdf5, csv, dark-machines or lhe.")],
    out: Annotated[str | None, typer.Option(help="Where the files go; also s3://.")] = None,
) -> None:
    """Write a dataset in another format, a file a shard; the same command again completes it."""
    from mleg_ray.cluster.convert import convert
    from mleg_ray.storage import absolute

    target = out or f"{absolute(dataset)}-{to}"
    convert(dataset, to, target)
    typer.echo(target)


@app.command()
def evaluate(
    generated: Annotated[
        list[str], typer.Argument(metavar="SAMPLE...", help="A generated dataset or a checkpoint.")
    ],
    truth: Annotated[
        str | None, typer.Option(help="Dataset, or DATASET:SPLIT; the test split else.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Put several samples, or their reports, in a table.")
    ] = False,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="Judge at this condition: beam_energy=50; repeatable."),
    ] = None,
    out: Annotated[str | None, typer.Option(help="Folder of the report.")] = None,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of resamples and splits.")] = 1,
) -> None:
    """Judge a sample against truth: scorecard.json, figures and report.html."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.cluster import evaluate as evaluation
    from mleg_ray.storage import join, storage_root

    name, _, split = (truth or "").partition(":")
    split = split or "test"
    root = storage_root(storage)
    conditions = _conditions(condition or [])
    judge = Dataset.prepared(root, name).at(conditions) if name else None
    folder = out or evaluation.report_folder(root, generated, judge, split)
    if compare:
        evaluation.compare(generated, judge, split, folder, root, seed=seed)
        typer.echo(join(folder, "comparison.html"))
        return
    if len(generated) > 1:
        raise ConfigError("mleg evaluate: several samples; add --compare to set them side by side")
    if judge is None:
        raise ConfigError("mleg evaluate: name the true events with --truth DATASET")
    [uri] = generated
    evaluation.evaluate_any(uri, judge, split, folder, root, seed=seed)
    typer.echo(join(folder, "report.html"))


@app.command()
def landscape(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint's directory or URI.")],
    player: Annotated[str, typer.Option(help="Whose loss: critic or generator of a GAN, say.")],
    grid: Annotated[int, typer.Option(help="Points along each direction; odd.")] = 21,
    reach: Annotated[float, typer.Option(help="Farthest step, in the weights' own size.")] = 1.0,
    pairs: Annotated[int, typer.Option(help="Pairs of random directions.")] = 3,
    events: Annotated[
        int, typer.Option(parser=_count, metavar="N", help="Validation events.")
    ] = 2000,
    out: Annotated[str | None, typer.Option(help="Folder of the report.")] = None,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of events, noise, directions.")] = 1,
) -> None:
    """Draw the surface of a player's loss around its trained weights, and say how rough it is."""
    from mleg_ray.checkpoint import Checkpoint, run_label
    from mleg_ray.config import parse
    from mleg_ray.interpret.landscape import LandscapeSpec
    from mleg_ray.report.landscape import JSON, survey
    from mleg_ray.storage import absolute, join, storage_root

    values = {"player": player, "grid": grid, "reach": reach, "pairs": pairs}
    spec = parse(LandscapeSpec, {**values, "events": events, "seed": seed}, "mleg landscape")
    root = storage_root(storage)
    target = out or join(root, "reports", f"landscape-{run_label(checkpoint)}-{player}")
    survey(Checkpoint.load(absolute(checkpoint)), spec, root, absolute(target))
    typer.echo(join(absolute(target), JSON))


@app.command()
def reweight(
    generated: Annotated[str, typer.Argument(metavar="SAMPLE", help="A generated dataset.")],
    truth: Annotated[str, typer.Option(help="Dataset whose train split teaches the weights.")],
    out: Annotated[str, typer.Option(help="Where the result goes; also s3://.")],
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept or reject events instead of weighting them.")
    ] = False,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of the classifier.")] = 1,
) -> None:
    """Carry a sample closer to the truth by weights of a calibrated classifier."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.cluster.reweight import reweight
    from mleg_ray.storage import absolute, storage_root

    judge = Dataset.prepared(storage_root(storage), truth)
    made = reweight(
        absolute(generated),
        judge,
        absolute(out),
        mode="accept" if accept else "weights",
        seed=seed,
    )
    typer.echo(made.uri)


@app.command()
def latent(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint's directory or URI.")],
    player: Annotated[str, typer.Option(help="generator or critic.")],
    layer: Annotated[int, typer.Option(help="Hidden layer, counted from 1.")],
    events: Events = 2000,
    perplexity: Annotated[float, typer.Option(help="Of t-SNE.")] = 100.0,
    eps: Annotated[float, typer.Option(help="Of DBSCAN, in the plane of t-SNE.")] = 2.0,
    min_samples: Annotated[int, typer.Option(help="Of DBSCAN.")] = 20,
    out: Annotated[str | None, typer.Option(help="Folder of the results.")] = None,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of events, noise and t-SNE.")] = 1,
) -> None:
    """Look into a hidden layer: principal components, t-SNE, clusters, and what they separate."""
    from mleg_ray.checkpoint import Checkpoint, run_label
    from mleg_ray.config import parse
    from mleg_ray.interpret.latent import LatentSpec
    from mleg_ray.report.latent import look
    from mleg_ray.storage import absolute, join, storage_root

    values = {
        "player": player,
        "layer": layer,
        "events": events,
        "perplexity": perplexity,
        "eps": eps,
        "min_samples": min_samples,
        "seed": seed,
    }
    spec = parse(LatentSpec, values, "mleg latent")
    root = storage_root(storage)
    target = out or join(root, "reports", f"latent-{run_label(checkpoint)}-{player}-{layer}")
    look(Checkpoint.load(absolute(checkpoint)), spec, root, absolute(target))
    typer.echo(absolute(target))


@app.command()
def quickstart(
    storage: Storage = None,
    events: Events = 1_000_000,
    recipe: Annotated[str, typer.Option(help="A recipe of tuning/, or a TOML file.")] = (
        "fatgan-quick"
    ),
) -> None:
    """Run the main job: prepare, train, sample, evaluate; again completes what is missing."""
    from mleg_ray.cluster.quickstart import quickstart
    from mleg_ray.storage import storage_root

    quickstart(storage_root(storage), recipe, events)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def submit(
    context: typer.Context,
    address: Annotated[
        str, typer.Option(help="The cluster's dashboard.", envvar="RAY_API_SERVER_ADDRESS")
    ] = "http://127.0.0.1:8265",
) -> None:
    """Run another mleg command on a cluster: `mleg submit train fatgan --workers 4`.

    What follows `submit`, with its options, becomes a Ray job: prepare, train, tune, sample, fold,
    verify, convert, reweight or evaluate. A copy of the working directory goes with it, and
    MLEG_STORAGE if it is set; the job's log is shown until it ends, and its success is this
    command's.
    """
    from mleg_ray.cluster.submit import submit

    if not context.args or context.args[0] not in SUBMITTED:
        raise ConfigError(f"mleg submit: name one of {', '.join(SUBMITTED)}, and its options")
    raise typer.Exit(submit(context.args, address))


def _conditions(assignments: Sequence[str]) -> dict[str, float]:
    conditions = {}
    for name, text in _assigned(assignments).items():
        try:
            conditions[name] = float(text)
        except ValueError:
            raise ConfigError(f"--condition {name}={text}: write it as {name}=NUMBER") from None
        if not math.isfinite(conditions[name]):
            raise ConfigError(f"--condition {name}={text}: a finite number is needed")
    return conditions


def _assigned(assignments: Sequence[str]) -> dict[str, str]:
    assigned: dict[str, str] = {}
    for assignment in assignments:
        name, _, text = (part.strip() for part in assignment.partition("="))
        if name in assigned:
            raise ConfigError(f"--condition {name}: given as {assigned[name]} and as {text}")
        assigned[name] = text
    return assigned


def _interrupt(command: Sequence[str], *_: object) -> None:
    how = "with --resume continues" if "tune" in command[:1] else "continues"
    say(f"interrupted; what is whole stays, and the same command again {how}", style="yellow")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # once more: at once
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: status 0, 2 for a user's error (one clear message), 1 for a defect."""
    command = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGINT, partial(_interrupt, command))
    try:
        app(args=arguments)
    except UserError as error:
        say(f"error: {error}", style="red")
        sys.exit(2)
