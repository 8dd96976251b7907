"""The command line, `mleg`: its words become calls of `mleg_ray.commands`, errors a status."""

import functools
import inspect
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from mleg_ray import __version__
from mleg_ray.commands import catalog
from mleg_ray.commands.convert import convert
from mleg_ray.commands.doctor import doctor
from mleg_ray.commands.evaluate import Conditions, Drawn, Seed, Truth, compare, evaluate
from mleg_ray.commands.export import export
from mleg_ray.commands.fit import fit
from mleg_ray.commands.fold import fold
from mleg_ray.commands.home import home
from mleg_ray.commands.landscape import landscape
from mleg_ray.commands.latent import latent
from mleg_ray.commands.options import ReportFolder, Storage, samples
from mleg_ray.commands.prepare import prepare
from mleg_ray.commands.produce import produce
from mleg_ray.commands.quickstart import quickstart
from mleg_ray.commands.report import report_study
from mleg_ray.commands.reweight import reweight
from mleg_ray.commands.sample import sample
from mleg_ray.commands.submit import submit
from mleg_ray.commands.train import train
from mleg_ray.commands.tune import tune
from mleg_ray.commands.verify import verify
from mleg_ray.console import places, say
from mleg_ray.errors import ConfigError, UserError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
PREPARE = "Prepare"
catalog_app = typer.Typer(help="See what datasets there are.", no_args_is_help=True)
catalog_app.command("list")(catalog.list_datasets)
catalog_app.command("show")(catalog.show)
app.add_typer(catalog_app, name="catalog", rich_help_panel=PREPARE)


def _parsed(command: Callable[..., object]) -> Callable[..., None]:
    """Return the command as typer takes it: what it returns is for Python, and not parsed."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as the command's signature
        command(*arguments, **options)

    signature = inspect.signature(command).replace(return_annotation=None)
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
    return run


def _evaluate(
    generated: Annotated[
        list[str],
        typer.Argument(
            metavar="SAMPLE...", help="A generated dataset or a checkpoint.", autocompletion=samples
        ),
    ],
    truth: Truth = None,
    side_by_side: Annotated[
        bool, typer.Option("--compare", help="Put several samples, or their reports, in a table.")
    ] = False,
    condition: Conditions = None,
    out: ReportFolder = None,
    storage: Storage = None,
    seed: Seed = 1,
    events: Drawn = None,
) -> None:
    """Judge a sample against truth: scorecard.json, figures and report.html."""
    judge: Callable[..., object] = compare
    judged: list[str] | str = generated
    if not side_by_side:
        if len(generated) > 1:
            raise ConfigError(
                "mleg evaluate: several samples; `mleg evaluate --compare SAMPLE SAMPLE` sets them "
                "side by side"
            )
        judge, [judged] = evaluate, generated
    judge(
        judged,
        truth=truth,
        condition=condition,
        out=out,
        storage=storage,
        seed=seed,
        events=events,
    )


# By the step that they belong to, as `mleg --help` shows them.
COMMANDS: dict[str, dict[str, Callable[..., object]]] = {
    PREPARE: {"prepare": prepare},
    "Learn": {"train": train, "tune": tune, "report": report_study},
    "Generate": {
        "sample": sample,
        "fold": fold,
        "reweight": reweight,
        "verify": verify,
        "convert": convert,
        "export": export,
    },
    "Judge": {"evaluate": _evaluate},
    "All of these at once": {"produce": produce, "fit": fit, "quickstart": quickstart},
    "Look around": {"home": home, "landscape": landscape, "latent": latent, "doctor": doctor},
}
for step, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=step)(_parsed(command))
app.command(
    rich_help_panel="On a cluster",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(submit)


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


def _interrupt(command: Sequence[str], *_: object) -> None:
    how = "with --resume continues" if "tune" in command[:1] else "continues"
    say(f"interrupted; what is whole stays, and the same command again {how}", style="yellow")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # once more: at once
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: status 0, 2 for a user's error (one clear message), 1 for a defect."""
    command = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGINT, functools.partial(_interrupt, command))
    places.quiet = False
    try:
        app(args=arguments)
    except UserError as error:
        say(f"error: {error}", style="red")
        sys.exit(2)
