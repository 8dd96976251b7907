"""A generator as ONNX, for the runtimes of that format."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.export import default_decompositions

from mleg_ray.errors import CheckpointError, library
from mleg_ray.exporting.generation import Generation
from mleg_ray.exporting.special import REPLACED

BATCH = "events"  # the name of the axis


def model(generation: Generation) -> bytes:
    """Return a model of any number of events; `card` of its metadata tells what it is.

    Raises:
        CheckpointError: an operation is not in ONNX; or see `Generation.traced`.
        UserError: a library is missing.
    """
    for name in ("onnx", "onnxscript"):
        library(name, "--to onnx", "export")
    program = generation.traced().run_decompositions({**default_decompositions(), **REPLACED})
    try:
        with _quiet():
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=generation.inputs,
                output_names=generation.outputs,
            )
    except torch.onnx.OnnxExporterError as error:
        reason, *_ = str(error.__cause__ or error).splitlines()
        raise CheckpointError(
            f"{generation.uri}: its model or its steps need what ONNX has not ({reason}); export "
            "it --to torchscript, or train a student of it"
        ) from None
    assert made is not None
    proto = made.model_proto
    proto.metadata_props.add(key="card", value=generation.card.model_dump_json())
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    del proto.graph.value_info[:]  # they name the axis otherwise
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of libraries that are not there to itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
