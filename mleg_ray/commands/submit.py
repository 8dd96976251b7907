"""Run another command on a cluster."""

from typing import Annotated

import typer

from mleg_ray.errors import ConfigError

# What runs on a cluster.
SUBMITTED = (
    *("prepare", "train", "tune", "sample", "fold"),
    *("verify", "convert", "reweight", "evaluate", "produce"),
)


def submit(
    context: typer.Context,
    address: Annotated[
        str, typer.Option(help="The cluster's dashboard.", envvar="RAY_API_SERVER_ADDRESS")
    ] = "http://127.0.0.1:8265",
) -> None:
    """Run another mleg command on a cluster: `mleg submit train fatgan --workers 4`.

    What follows `submit`, with its options, becomes a Ray job: prepare, train, tune, sample, fold,
    verify, convert, reweight, evaluate or produce. A copy of the working directory goes with it,
    and MLEG_STORAGE if it is set; the job's log is shown until it ends, and its success is this
    command's.
    """
    from mleg_ray.cluster.submit import submit

    if not context.args or context.args[0] not in SUBMITTED:
        raise ConfigError(
            f"mleg submit: name one of {', '.join(SUBMITTED)}, and its options, as in `mleg submit "
            "train fatgan-quick`"
        )
    raise typer.Exit(submit(context.args, address))
