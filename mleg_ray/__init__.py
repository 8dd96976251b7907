"""Machine-learning event generators for particle and nuclear physics, on Ray.

The commands of `mleg` are functions here, imported when they are first named:

    import mleg_ray as mleg

    run = mleg.train("flow-dis")
    sample = mleg.sample(run, 1_000_000)
    card = mleg.evaluate(sample)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mleg_ray.commands.convert import convert
    from mleg_ray.commands.doctor import doctor
    from mleg_ray.commands.evaluate import compare, evaluate
    from mleg_ray.commands.export import export
    from mleg_ray.commands.fit import fit
    from mleg_ray.commands.fold import fold
    from mleg_ray.commands.histogram import histogram
    from mleg_ray.commands.home import home
    from mleg_ray.commands.landscape import landscape
    from mleg_ray.commands.latent import latent
    from mleg_ray.commands.open import open
    from mleg_ray.commands.prepare import prepare
    from mleg_ray.commands.produce import produce
    from mleg_ray.commands.quickstart import quickstart
    from mleg_ray.commands.report import report_study
    from mleg_ray.commands.reweight import reweight
    from mleg_ray.commands.sample import sample
    from mleg_ray.commands.train import train
    from mleg_ray.commands.tune import tune
    from mleg_ray.commands.verify import verify

__version__ = "0.2.0"
__all__ = [
    "compare",
    "convert",
    "doctor",
    "evaluate",
    "export",
    "fit",
    "fold",
    "histogram",
    "home",
    "landscape",
    "latent",
    "open",
    "prepare",
    "produce",
    "quickstart",
    "report_study",
    "reweight",
    "sample",
    "train",
    "tune",
    "verify",
]
HOMES = {"compare": "evaluate", "report_study": "report"}  # of what has another module's name


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"mleg_ray.commands.{HOMES.get(name, name)}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
