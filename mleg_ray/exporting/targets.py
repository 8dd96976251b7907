"""What a generator can be exported to."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from mleg_ray.exporting import cpp, onnx, torchscript
from mleg_ray.exporting.generation import Generation


@dataclass(frozen=True)
class Target:
    """A kind of file: the end of its name, and what makes its content."""

    suffix: str
    make: Callable[[Generation], bytes]

    def write(self, generation: Generation) -> bytes:
        """Return the content of a file; `CheckpointError` if the generation has no such form."""
        with warnings.catch_warnings():  # PyTorch's about itself: what of it is old
            warnings.simplefilter("ignore")
            return self.make(generation)


TARGETS = {
    "onnx": Target(".onnx", onnx.model),
    "torchscript": Target(".pt", torchscript.program),
    "cpp": Target(".hpp", cpp.header),
}
