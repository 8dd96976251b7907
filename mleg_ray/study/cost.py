"""What a trained generator costs to run."""

import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from mleg_ray.checkpoint import Checkpoint

EVENTS = 100_000
ROUNDS = 3


def throughput(checkpoint: Checkpoint, context: torch.Tensor) -> float:
    """Return generated events a second, the median of `ROUNDS` after a warm-up.

    `context` (n, C) holds conditions, used in turn for `EVENTS` events on its device; the figure
    is of that device as it was loaded then.
    """
    context = context.repeat(-(-EVENTS // len(context)), 1)[:EVENTS]
    rates = []
    for i in range(ROUNDS + 1):
        generator = torch.Generator(context.device).manual_seed(i)
        started = time.perf_counter()
        with torch.no_grad():
            checkpoint.generate(context, generator=generator).cpu()  # waits for the device
        rates.append(EVENTS / (time.perf_counter() - started))
    return statistics.median(rates[1:])


def flops(checkpoint: Checkpoint, context: torch.Tensor) -> float:
    """Return the floating-point operations of one event's matrix products.

    `context` (n, C) holds conditions on the model's device.
    """
    counter = FlopCounterMode(display=False)
    generator = torch.Generator(context.device).manual_seed(0)
    with counter, torch.no_grad():
        checkpoint.generate(context, generator=generator)
    return counter.get_total_flops() / len(context)
