"""What runs exported files as other programs do."""

import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mleg_ray.exporting.generation import Generation
from mleg_ray.exporting.targets import TARGETS

LOOP = """#include "generator.hpp"
#include <cstdio>

using namespace {space};

template <class T> void put(std::FILE* file, T value) {{
  const double number = static_cast<double>(value);
  std::fwrite(&number, sizeof number, 1, file);
}}
template <class T, std::size_t N> void put(std::FILE* file, const std::array<T, N>& values) {{
  for (T value : values) put(file, value);
}}

int main() {{
  const Generator generate{{}};
  std::FILE *noises = std::fopen("noise", "rb"), *made = std::fopen("made", "wb");
  std::FILE* given = std::fopen("conditions", "rb");
  Noise noise;
  double conditions[{width} + 1];
  while (std::fread(noise.data(), sizeof(float), noise.size(), noises) == noise.size()) {{
    if (std::fread(conditions, sizeof(double), {width}, given) != {width}) return 1;
    const Event event = generate({arguments});
    {puts}
  }}
  std::fclose(made);
}}
"""


def inputs_of(generation: Generation, events: int) -> tuple[Tensor, ...]:
    """Return noise as it is drawn, and conditions even in their range."""
    noise = generation.model.draw(events, generator=torch.Generator().manual_seed(3))
    ranges = torch.tensor(list(generation.card.condition_range.values()), dtype=torch.float64)
    if not len(ranges):
        return (noise,)
    u = torch.rand(events, len(ranges), generator=torch.Generator().manual_seed(4)).double()
    return noise, ranges[:, 0] + (ranges[:, 1] - ranges[:, 0]) * u


def in_cpp(generation: Generation, folder: Path, *inputs: Tensor) -> dict[str, np.ndarray]:
    """Compile a loop over events around the header, without any warning, and run it."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    text = TARGETS["cpp"].write(generation).decode()
    [space] = re.findall(r"^namespace (\w+) \{$", text, re.MULTILINE)[:1]
    (folder / "generator.hpp").write_text(text)
    noise, conditions = inputs[0], inputs[1] if len(inputs) > 1 else torch.zeros(len(inputs[0]), 0)
    given = ", ".join(f"conditions[{i}]" for i in range(conditions.shape[1]))
    puts = [f"put(made, event.{name.replace('.', '_')});" for name in generation.outputs]
    (folder / "loop.cpp").write_text(
        LOOP.format(
            space=space,
            width=conditions.shape[1],
            arguments=f"noise, {{{given}}}" if given else "noise",
            puts="\n    ".join(puts),
        )
    )
    (folder / "noise").write_bytes(noise.numpy().tobytes())
    (folder / "conditions").write_bytes(conditions.numpy().tobytes())
    strict = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable")
    subprocess.run([compiler, *strict, "loop.cpp", "-o", "loop"], cwd=folder, check=True)
    subprocess.run([folder / "loop"], cwd=folder, check=True)
    rows = np.fromfile(folder / "made").reshape(len(noise), -1)
    shapes = {name: tuple(value.shape[1:]) for name, value in generation(*inputs).items()}
    found, start = {}, 0
    for name, shape in shapes.items():
        width = int(np.prod(shape))
        found[name] = rows[:, start : start + width].reshape(-1, *shape)
        start += width
    assert start == rows.shape[1]
    return found


def in_torchscript(generation: Generation, folder: Path, *inputs: Tensor) -> dict[str, np.ndarray]:
    """Load the program, and read its card."""
    files = {"card.json": ""}
    program = torch.jit.load(io.BytesIO(TARGETS["torchscript"].write(generation)), None, files)
    assert json.loads(files["card.json"]) == generation.card.model_dump(mode="json")
    return {name: value.numpy() for name, value in program(*inputs).items()}


def in_onnx(generation: Generation, folder: Path, *inputs: Tensor) -> dict[str, np.ndarray]:
    """Run the model with onnxruntime, and read its card."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(TARGETS["onnx"].write(generation))
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["card"]) == generation.card.model_dump(mode="json")
    assert [given.shape[0] for given in session.get_inputs()] == ["events"] * len(inputs)
    given = {name: x.numpy() for name, x in zip(generation.inputs, inputs, strict=True)}
    return dict(zip(generation.outputs, session.run(list(generation.outputs), given), strict=True))


RUN = {"cpp": in_cpp, "torchscript": in_torchscript, "onnx": in_onnx}
