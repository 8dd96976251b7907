"""A generator as TorchScript, for programs that are linked to LibTorch."""

import io
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Interpreter

from mleg_ray.exporting.generation import EXAMPLES, Generation

CARD = "card.json"  # the extra file in it
SIZED = ("view", "expand", "repeat", "full")  # operations that may be told the number of events


def program(generation: Generation) -> bytes:
    """Return a program of any number of events; its extra file `card.json` tells what it is.

    It returns a dictionary of fields by name.

    Raises:
        CheckpointError: see `Generation.traced`.
    """
    jit: Any = torch.jit  # whose functions have no types
    exported = generation.traced().run_decompositions()
    walk = _Walk(exported.module(check_guards=False))
    made = io.BytesIO()
    traced = jit.trace(walk, generation.example(EXAMPLES), strict=False)
    jit.save(traced, made, {CARD: generation.card.model_dump_json()})
    return made.getvalue()


class _Walk(nn.Module):
    """A graph's operations one by one, so that the number of events is one of their operands."""

    def __init__(self, module: GraphModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        made: dict[str, Tensor] = _Operations(self.module).run(*inputs)
        return made


class _Operations(Interpreter):
    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - of a graph
        name = str(target).split(".")[1] if str(target).startswith("aten.") else ""
        if name == "sym_size":
            return args[0].size(args[1])
        if name in SIZED:
            return getattr(torch if name == "full" else Tensor, name)(*args, **kwargs)
        return super().call_function(target, args, kwargs)
