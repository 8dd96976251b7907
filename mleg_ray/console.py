"""What a person sees: stages and progress of work, where results lie, and how numbers look."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# Standard error: what a command prints for programs to read goes to standard output.
console = Console(stderr=True, highlight=False)
places = Console(highlight=False, quiet=True)  # where results lie; heard on a command line only

LINE_SECONDS = 30.0  # between lines of progress where nothing can be redrawn, in a log file


def rounded(value: float, uncertainty: float) -> tuple[str, int]:
    """Return `value ± uncertainty`, with two digits of the uncertainty, and its power of ten.

    Of a value without uncertainty there are four digits.
    """
    largest = max(abs(value), uncertainty)
    exponent = math.floor(math.log10(largest)) if largest > 0 else 0
    power = exponent if not -3 <= exponent < 7 else 0
    shown, error = value / 10**power, uncertainty / 10**power
    digits = 1 - math.floor(math.log10(error)) if error > 0 else 3 - max(exponent - power, 0)
    decimals = max(0, digits)
    number = f"{round(shown, digits):,.{decimals}f}".replace("-", "−") if value else "0"
    if error > 0:
        number += f" ± {round(error, digits):,.{decimals}f}"
    if power and value and error > 0:
        number = f"({number})"
    return number, power


def written(value: float, uncertainty: float) -> str:
    """Write `value ± uncertainty` as plain text."""
    number, power = rounded(value, uncertainty)
    return f"{number}e{power}" if power else number


def counted(number: int, thing: str) -> str:
    """Return how many things there are.

    >>> counted(1, "worker"), counted(2000, "worker")
    ('1 worker', '2,000 workers')
    """
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def told_seconds(seconds: float) -> str:
    """Return about how long that is.

    >>> told_seconds(7.3), told_seconds(100), told_seconds(6000), told_seconds(200_000)
    ('7 s', '100 s', '100 min', '56 h')
    """
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 3 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


class Bar(Protocol):
    """Progress that is shown; `note` is a short live text behind it (a loss, a rate)."""

    def update(self, completed: float, note: str = "") -> None:
        """Show that `completed` of the total is done."""
        ...


@contextlib.contextmanager
def progress_bar(description: str, total: float) -> Iterator[Bar]:
    """Show progress for the length of the block.

    On a terminal it is a bar, redrawn in place; elsewhere a line every `LINE_SECONDS`, also where
    nothing is done for long, and one at the end.
    """
    if not console.is_terminal:
        lines = _Lines(description, total)
        with meanwhile(lines.say, LINE_SECONDS):
            yield lines
        lines.say()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield _Redrawn(progress, description, total)


@contextlib.contextmanager
def meanwhile(action: Callable[[], None], every: float = 0.5) -> Iterator[None]:
    """Repeat an action every so many seconds for the length of the block."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(every):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def say(message: str, style: str = "") -> None:
    """Print one line for the person at the terminal, as it is: brackets are no markup."""
    # Without soft wrapping a path would be broken over lines, and could not be copied.
    console.print(message, style=style, markup=False, soft_wrap=True)


def tell_place(place: str) -> None:
    """Tell programs where lies what a command made, on standard output; Python has it returned."""
    places.print(place, markup=False, soft_wrap=True)


class _Redrawn:
    def __init__(self, progress: Progress, description: str, total: float) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total, note="")

    def update(self, completed: float, note: str = "") -> None:
        self._progress.update(self._task, completed=completed, note=note)


class _Lines:
    def __init__(self, description: str, total: float) -> None:
        self._description = description
        self._total = total
        self._started = time.monotonic()
        self._latest: tuple[float, str] = (0, "")

    def update(self, completed: float, note: str = "") -> None:
        self._latest = completed, note

    def say(self) -> None:
        completed, note = self._latest
        seconds = time.monotonic() - self._started
        share = completed / self._total if self._total else 1.0
        say(f"{self._description}: {share:.0%} after {seconds:.0f} s {note}".rstrip())
