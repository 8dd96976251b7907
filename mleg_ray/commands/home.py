"""Write the home page of a storage root."""

from mleg_ray.commands.options import Storage
from mleg_ray.console import say, tell_place
from mleg_ray.errors import ConfigError, UserError


def home(*, storage: Storage = None) -> str:
    """Write the home page of the storage root, index.html: all that lies there, with its pages."""
    from mleg_ray.report.home import write_home
    from mleg_ray.storage import exists, storage_root

    root = storage_root(storage)
    if not exists(root):
        raise ConfigError(
            f"{root}: no storage root; `mleg prepare` begins one, --storage or MLEG_STORAGE names "
            "another"
        )
    page = write_home(root)
    tell_place(page)
    return page


def refresh(root: str) -> None:
    """Bring the home page up to date after a command; that it cannot be is no fault of that."""
    from mleg_ray.report.home import write_home
    from mleg_ray.storage import exists

    try:
        if exists(root):  # a command may have been told to write elsewhere
            write_home(root)
    except UserError as error:
        say(f"The home page was not written: {error}", style="yellow")
