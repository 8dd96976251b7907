"""Spaces of every sort, and the networks between them that the contract is tested on."""

from mleg_ray.space import Part, Space

NUMBERS = Space({"event": Part((3,)), "beam": Part((2,))})
NOISE = Space.numbers(9)
SCORE = Space.numbers(1)
CODE = Space.numbers(4)
IMAGE = Space({"cells": Part((1, 8, 8))})
ODD = Space({"cells": Part((2, 5, 7))})
TALL = Space({"cells": Part((1, 3, 24))})
LAYERS = Space({"front": Part((1, 12, 12)), "back": Part((1, 12, 12))})
UNLIKE = Space({"strips": Part((1, 3, 16)), "sum": Part((1,)), "cells": Part((2, 6, 6))})
BESIDE = Space({"event": Part((3,)), "cells": Part((1, 8, 8))})
JETS = Space({"jet": Part((4, 3))})
OBJECTS = Space({"jet": Part((4, 3)), "event": Part((2,)), "lepton": Part((2, 5))})

# By name: the network's table, what it sees, how many conditions, and what it makes.
CASES: dict[str, tuple[dict[str, object], Space, int, Space]] = {
    "mlp-numbers": ({"widths": [16, 16], "residual": True}, NUMBERS, 2, CODE),
    "mlp-unconditional": ({"widths": [16], "activation": "silu"}, NUMBERS, 0, CODE),
    "mlp-leaky": (
        {"widths": [16, 16], "first_activation": "relu", "output": "leaky-relu"},
        NUMBERS,
        2,
        CODE,
    ),
    "mlp-image": ({"widths": [16]}, NOISE, 2, IMAGE),
    "conv-nearest": ({"kind": "conv", "channels": [8, 16], "head": [8]}, NOISE, 2, IMAGE),
    "conv-bilinear": ({"kind": "conv", "channels": [8], "up": "bilinear"}, NOISE, 2, ODD),
    "conv-transposed": (
        {"kind": "conv", "channels": [8, 16], "up": "transposed", "kernel": 4},
        NOISE,
        2,
        UNLIKE,
    ),
    "conv-shuffle": (
        {"kind": "conv", "channels": [8], "up": "pixel-shuffle", "stem": 4, "norm": "layer"},
        NOISE,
        0,
        LAYERS,
    ),
    "conv-strided": (
        {"kind": "conv", "channels": [16, 16], "kernel": 4, "head": [8]},
        LAYERS,
        2,
        SCORE,
    ),
    "conv-average": (
        {"kind": "conv", "channels": [8], "down": "average", "norm": "none"},
        BESIDE,
        2,
        CODE,
    ),
    "conv-unconditional": ({"kind": "conv", "channels": [8]}, BESIDE, 0, SCORE),
    "conv-max": ({"kind": "conv", "channels": [8], "down": "max", "stem": 4}, ODD, 2, SCORE),
    "conv-unlike": ({"kind": "conv", "channels": [8], "residual": 1}, UNLIKE, 2, SCORE),
    "conv-images": ({"kind": "conv", "channels": [8, 8], "stem": 4}, BESIDE, 2, BESIDE),
    "conv-others": ({"kind": "conv", "channels": [8, 8]}, UNLIKE, 1, ODD),
    "conv-tall": ({"kind": "conv", "channels": [4, 4, 4]}, TALL, 1, TALL),
    "conv-layers-critic": (
        {
            "kind": "conv-layers",
            "channels": [8, 6],
            "layers": [
                {"kernel": 3, "padding": 1},
                {"kernel": 4, "stride": 2, "padding": 1, "normed": True},
                {"kernel": 2, "stride": 2},
            ],
        },
        BESIDE,
        2,
        SCORE,
    ),
    "conv-layers-generator": (
        {
            "kind": "conv-layers",
            "channels": [8],
            "norm": "layer",
            "layers": [{"kernel": 3, "normed": True}, {"kernel": 4, "stride": 4}],
            "output": "sigmoid",
        },
        NOISE,
        2,
        LAYERS,
    ),
    "conv-layers-unconditional": (
        {
            "kind": "conv-layers",
            "channels": [8],
            "layers": [{"kernel": 3, "stride": 2}, {"kernel": 3, "padding": 1}],
            "activation": "silu",
        },
        LAYERS,
        0,
        CODE,
    ),
    "branches-encoder": (
        {"kind": "branches", "inputs": {"event": [8, 8], "jet": [16]}, "head": [16, 8]},
        OBJECTS,
        2,
        CODE,
    ),
    "branches-decoder": (
        {"kind": "branches", "head": [16], "outputs": {"event": [8], "lepton": [16, 8]}},
        NOISE,
        0,
        OBJECTS,
    ),
    "branches-normalised": (
        {"kind": "branches", "inputs": {"event": [8]}, "head": [16], "normalised": 6},
        NUMBERS,
        2,
        CODE,
    ),
    "sets-critic": ({"kind": "sets", "width": 8, "head": [8]}, OBJECTS, 2, SCORE),
    "sets-max": ({"kind": "sets", "width": 8, "pooling": "max"}, JETS, 0, CODE),
    "sets-attention": (
        {"kind": "sets", "width": 8, "body": "attention", "heads": 2, "pooling": "sum"},
        OBJECTS,
        2,
        CODE,
    ),
    "sets-generator": ({"kind": "sets", "width": 8, "head": [8]}, NOISE, 2, OBJECTS),
    "sets-split": (
        {"kind": "sets", "width": 8, "split_noise": True, "body": "attention"},
        NOISE,
        2,
        OBJECTS,
    ),
    "sets-field": (
        {"kind": "sets", "width": 8, "body": "attention", "masked": False, "activation": "silu"},
        OBJECTS,
        2,
        OBJECTS,
    ),
}
