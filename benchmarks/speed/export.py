"""A generator inside other programs: seconds of an event in each, and what can be exported.

One model, with weights as they are drawn, as speed does not depend on them: from noise to physical
events, one at a time and many at once, by PyTorch itself and by what `mleg export` writes, in turn,
on one thread; seconds are those of processors. The header of C++, compiled with -O3, makes one
event at a time. With `--recipes`: what every recipe of `tuning/` can be exported to, and why not,
by models that are not trained.
"""

import io
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from benchmarks.common.options import Repeated
from benchmarks.common.results import Results, timed
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Card, Checkpoint, DatasetCard
from mleg_ray.config import known_names
from mleg_ray.errors import UserError, library
from mleg_ray.exporting.generation import Generation
from mleg_ray.exporting.targets import TARGETS
from mleg_ray.run import RunConfig

CALLS = 2000  # of one event
MANY = 100_000  # events, in calls of `BATCH`
BATCH = 10_000
LOOP = """#include "generator.hpp"
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

using namespace {space};

int main(int, char** arguments) {{
  std::mt19937_64 engine(1);
  std::vector<Noise> noise(std::atol(arguments[1]));
  for (Noise& one : noise) one = draw(engine);
  const Generator generate{{}};
  double sum = 0;
  const std::clock_t start = std::clock();
  for (const Noise& one : noise) sum += generate(one{conditions}).{field};
  const double taken = double(std::clock() - start) / CLOCKS_PER_SEC;
  std::printf("%.9g %.9g\\n", taken / noise.size(), sum);
}}
"""


@dataclass(frozen=True, kw_only=True)
class Asked(Repeated):
    """What is exported."""

    recipe: Annotated[str, typer.Option(help="Of a model whose fields are numbers.")] = (
        "student-dis"
    )
    recipes: Annotated[
        bool, typer.Option("--recipes", help="Instead: what each recipe can be exported to.")
    ] = False


def measure(options: Asked, results: Results) -> None:
    """Measure all in turn, or try all recipes."""
    torch.set_num_threads(1)
    if options.recipes:
        for recipe in options.some(known_names("tuning")):
            results.add({"recipe": recipe}, dict(targets(recipe)))
        return
    generation = Generation(untrained(options.recipe)).eval()
    many, calls = options.few(MANY, 100), options.few(CALLS, 10)
    with tempfile.TemporaryDirectory() as folder:
        programs = loaded(generation)
        loop = compiled(generation, Path(folder))
        for turn in options.turns:
            for name, program in programs.items():
                one = seconds(program, generation.example(1), calls)
                batch = min(BATCH, many)
                each = seconds(program, generation.example(batch), many // batch) / batch
                figures = {"µs of one event": 1e6 * one, "events/s, many at once": 1 / each}
                results.add({"program": name, "recipe": options.recipe}, figures, round=turn)
            said = subprocess.run([loop, str(many)], check=True, capture_output=True, text=True)
            one = float(said.stdout.split()[0])
            figures = {"µs of one event": 1e6 * one, "events/s, many at once": 1 / one}
            results.add({"program": "C++", "recipe": options.recipe}, figures, round=turn)


def untrained(recipe: str) -> Checkpoint:
    """Return a recipe's model, not trained, with its map, not fitted."""
    run = RunConfig.load(recipe)
    spec = DatasetSpec.load(run.dataset)
    described = spec.without(spec.schema_.labels)
    schema = described.schema_
    feature_map = run.features.build(schema, spec.conditions)
    card = Card(
        dataset=DatasetCard(dataset_digest="", **dict(described)),
        train_events=0,
        condition_range={name: (spec.conditions.get(name, 1.0),) * 2 for name in schema.conditions},
        outside_fraction=0.0,
        step=0,
        metrics={},
        history=(),
        seconds=0.0,
        environment={},
    )
    return Checkpoint(run, card, feature_map, run.build_model(feature_map), uri=recipe)


def targets(recipe: str) -> dict[str, str]:
    """Return of each target whether the recipe can be exported to it, or why not."""
    try:
        generation = Generation(untrained(recipe)).eval()
    except UserError as error:
        return dict.fromkeys(TARGETS, _why(error))
    found = {}
    for name, target in TARGETS.items():
        try:
            target.write(generation)
            found[name] = "yes"
        except UserError as error:
            found[name] = _why(error)
    return found


def _why(error: UserError) -> str:
    return f"no: {str(error).partition(': ')[2].partition(';')[0]}"


Program = Callable[..., object]


def loaded(generation: Generation) -> dict[str, Program]:
    """Return the programs that take noise and conditions, in Python."""
    runtime = library("onnxruntime", "the row export", "dev")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(TARGETS["onnx"].write(generation), options)
    jit: Any = torch.jit  # whose functions have no types
    program = jit.load(io.BytesIO(TARGETS["torchscript"].write(generation)))

    def run(*inputs: Tensor) -> object:
        given = zip(generation.inputs, inputs, strict=True)
        return session.run(None, {name: x.numpy() for name, x in given})

    return {"PyTorch": generation, "TorchScript": program, "ONNX Runtime": run}


def compiled(generation: Generation, folder: Path) -> Path:
    """Return the program of a loop around the header."""
    text = TARGETS["cpp"].write(generation).decode()
    (folder / "generator.hpp").write_text(text)
    given = ", ".join(str(low) for low, _ in generation.card.condition_range.values())
    names = {
        "space": text.partition("\nnamespace ")[2].partition(" ")[0],
        "conditions": f", {{{given}}}" if given else "",
        "field": generation.outputs[0].replace(".", "_"),
    }
    (folder / "loop.cpp").write_text(LOOP.format(**names))
    options = ("-std=c++17", "-O3", "-o", "loop")
    subprocess.run(["g++", "loop.cpp", *options], cwd=folder, check=True)
    return folder / "loop"


@torch.inference_mode()
def seconds(program: Program, inputs: tuple[Tensor, ...], calls: int) -> float:
    """Return those of a call, after some that are not counted."""
    for _ in range(3):
        program(*inputs)

    def call() -> None:
        for _ in range(calls):
            program(*inputs)

    return timed(call, time.process_time)[1] / calls
