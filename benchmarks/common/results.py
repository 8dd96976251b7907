"""The folder of results, and how figures and pictures are kept there and printed."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mleg_ray.cluster.session import environment

RESULTS = Path(__file__).parents[1] / "results"

Row = dict[str, Any]


def keep(name: str, figures: Mapping[str, object]) -> None:
    """Write figures as `NAME.json`, with the machine and the versions that made them."""
    machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "with": environment()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({**figures, **machine}, indent=2) + "\n")


def draw(name: str, figure: Figure) -> None:
    """Write a picture as `NAME.png`, beside the figures of that name."""
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / f"{name}.png", dpi=90)


def rounded(row: Mapping[str, Any]) -> Row:
    """Return a row as it is printed: four digits behind the point."""
    return {
        key: [_short(v) for v in value] if isinstance(value, list | tuple) else _short(value)
        for key, value in row.items()
    }


def _short(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value
