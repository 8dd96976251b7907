"""The errors a user can mend.

Each names the file, key or row at fault and says what to do about it. The command line prints them
without a traceback and exits with status 2; every other exception is a defect of the program.
"""

import importlib
from typing import Any


class UserError(ValueError):
    """Base of all errors that a user's input can cause."""


class ConfigError(UserError):
    """A recipe, catalog entry or command-line value does not say something valid."""


class DataError(UserError):
    """Event data are missing, damaged, altered or not what their description promises."""


class CheckpointError(UserError):
    """A checkpoint is missing, damaged or does not fit what is asked of it."""


class ResourceError(UserError):
    """The machine or cluster cannot give what was asked for: CPUs, memory, disk, permission."""


class TrainingDivergedError(UserError):
    """Losses or weights became NaN or infinite before a single snapshot was good."""


def library(name: str, purpose: str, extra: str = "hep") -> Any:  # noqa: ANN401 - any library
    """Import a library of an optional `extra`; `UserError` says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(
            f"{purpose} needs {name}; install it with: pip install 'mleg-ray[{extra}]'"
        ) from None
