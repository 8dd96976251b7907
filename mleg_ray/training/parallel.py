"""Data-parallel training through `torch.distributed`; with one worker every call is a no-op."""

from collections.abc import Iterable

import torch
import torch.distributed
from torch import Tensor, nn


def rank_and_size() -> tuple[int, int]:
    """Return this worker's rank and the number of workers."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the workers, in one message."""
    _, size = rank_and_size()
    if size == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    means = torch.split(flat / size, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


def mean_of_workers(value: Tensor) -> Tensor:
    """Return the mean of a number () over the workers; all must ask."""
    _, size = rank_and_size()
    if size == 1:
        return value
    total = value.clone()
    torch.distributed.all_reduce(total)
    return total / size


def any_worker(mine: bool, device: torch.device) -> bool:
    """Tell whether it is true on some worker; all must ask."""
    _, size = rank_and_size()
    if size == 1:
        return mine
    count = torch.tensor(float(mine), device=device)
    torch.distributed.all_reduce(count)
    return bool(count > 0)
