"""How fast a recipe trains on this machine."""

import time

import torch

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.run import RunConfig
from mleg_ray.training.trainee import Trainee

ENDLESS = 10**9  # steps


def steps_a_second(run: RunConfig, dataset: Dataset, *, seconds: float = 3.0) -> float:
    """Return the steps a second of a recipe on a CPU, measured for so many `seconds` or longer.

    The first steps, of which some are slower, do not count; nor does the judging of snapshots.

    Raises:
        UserError: see `Trainee.alone`.
    """
    training = run.training.model_copy(update={"steps": ENDLESS})
    selection = run.selection.model_copy(update={"every": ENDLESS})
    endless = run.model_copy(update={"training": training, "selection": selection})
    before = torch.get_num_threads()
    torch.set_num_threads(run.training.threads or before)
    try:
        trainee = Trainee.alone(endless, dataset, {}, torch.device("cpu"))
        warm: tuple[int, float] | None = None
        for moment in trainee.train():
            now = time.monotonic()
            if moment.step and warm is None:
                warm = moment.step, now
            elif warm and now - warm[1] >= seconds:
                return (moment.step - warm[0]) / (now - warm[1])
    finally:
        torch.set_num_threads(before)
    raise AssertionError(f"a training of {ENDLESS} steps ended")
