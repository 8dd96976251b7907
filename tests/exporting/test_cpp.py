"""What each operation becomes in C++ is what PyTorch makes of it."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mleg_ray.errors import CheckpointError
from mleg_ray.events import Field
from mleg_ray.exporting import cpp
from mleg_ray.exporting.generation import ExportCard, Generation, NoiseCard
from mleg_ray.exporting.targets import TARGETS
from tests.exporting.programs import in_cpp

HEADER = TARGETS["cpp"].write
EDGES = torch.linspace(-2, 2, 9).double()
TABLE = torch.arange(12.0).view(4, 3).double()
WEIGHT = torch.linspace(-1, 1, 12).view(4, 3)


class Operations(Generation):
    """Functions of noise (B, 4), a number or a row of numbers each, in place of a checkpoint."""

    def __init__(self, functions: dict[str, Callable[[Tensor], Tensor]]) -> None:
        nn.Module.__init__(self)
        self.uri, self.functions, self._varying = "toys", functions, ()
        self.card = ExportCard(
            mleg_ray="0",
            name="2-toys",
            dataset="toys",
            dataset_digest="",
            checkpoint_digest="",
            model="toys",
            seed=1,
            noise=NoiseCard(width=4, uniform=()),
            conditions=(),
            condition_range={},
            fixed={},
            fields=tuple(Field(name=name) for name in functions),
            objects={},
            weight=1.0,
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(self.functions)

    def forward(self, noise: Tensor) -> dict[str, Tensor]:
        return {name: function(noise) for name, function in self.functions.items()}


def place(x: Tensor) -> Tensor:
    """Return whole numbers 0 to 3 of numbers of any size."""
    return torch.remainder(x.floor(), 4).long()


OF_NUMBERS = {
    **{name: getattr(torch, name) for name in ("exp", "expm1", "sin", "cos", "tanh", "asinh")},
    **{name: getattr(torch, name) for name in ("floor", "ceil", "trunc", "round", "abs", "sign")},
    **{name: getattr(torch, name) for name in ("sigmoid", "erf", "erfc", "atan", "sinh", "cosh")},
    "log": lambda x: x.abs().log(),
    "log1p": lambda x: x.abs().log1p(),
    "sqrt": lambda x: x.abs().sqrt(),
    "rsqrt": lambda x: (1 + x.abs()).rsqrt(),
    "power": lambda x: x.abs() ** 1.7,
    "square": lambda x: x**2,
    "remainder": lambda x: torch.remainder(x, 0.75),
    "modulo_of_a_negative": lambda x: torch.remainder(x, -0.75),
    "softplus": nn.functional.softplus,
    "silu": nn.functional.silu,
    "leaky": lambda x: nn.functional.leaky_relu(x, 0.2),
    "logaddexp": lambda x: torch.logaddexp(x, -x),
    "log_ndtr": lambda x: torch.special.log_ndtr(4 * x.double()),
    "ndtr": lambda x: torch.special.ndtr(x.double()),
    "erfcx": lambda x: torch.special.erfcx(3 * x.double()),
    "clamped": lambda x: x.clamp(-0.5, 0.7),
    "clamped_below": lambda x: x.clamp(min=0.1),
    "mixed": lambda x: x.double() * 3 + x,
    "compared": lambda x: ((x > 0.2) & ~(x >= 1)).to(x.dtype) + (x <= 0) + (x.double() != 0),
    "between": lambda x: place(x).clamp(1, 2),
    "chosen": lambda x: torch.where(x < 0, x.double(), 7.0),
    "whole": lambda x: place(x),
    "atan2": lambda x: torch.atan2(x, x.flip(1)),
}
OF_ROWS = {
    "softmax": lambda x: x.softmax(dim=1),
    "cumsum": lambda x: x.double().cumsum(dim=1),
    "total": lambda x: x.sum(dim=1),
    "counted": lambda x: (x > 0).sum(dim=1),
    "mean": lambda x: x.mean(dim=1),
    "largest": lambda x: x.view(-1, 2, 2).amax(dim=1),
    "smallest": lambda x: x.view(-1, 2, 2).amin(dim=2),
    "which": lambda x: x.argmax(dim=1),
    "anywhere": lambda x: (x > 1).any(dim=1).long(),
    "everywhere": lambda x: (x > -1).all(dim=1).long(),
    "order": lambda x: x[:, [2, 0, 3, 1]],
    "turned": lambda x: x.view(-1, 2, 2).transpose(1, 2).flatten(1),
    "joined": lambda x: torch.cat([x[:, 1:], x.new_full((len(x), 1), 5.0), x[:, :2]], dim=1),
    "beside_nothing": lambda x: torch.cat([x[:, 4:].exp(), x[:, [1]]], dim=1),
    "padded": lambda x: nn.functional.pad(x[:, 1:3], (1, 2), value=-3.0),
    "written": lambda x: _written(x),
    "looked_up": lambda x: TABLE[place(x[:, 0])],
    "gathered": lambda x: x.gather(1, place(x.flip(1))),
    "among_edges": lambda x: torch.searchsorted(EDGES, x.double()),
    "among_edges_from_the_right": lambda x: torch.searchsorted(EDGES, EDGES[place(x)], right=True),
    "fixed": lambda x: torch.ones_like(x[:, :2]) * torch.tensor([2.0, 3.0]),
    "above_a_half": lambda x: (place(x) > 0.5).long(),
    "down": lambda x: x.floor().sort(dim=1, stable=True, descending=True).indices,
    "up": lambda x: x.view(-1, 2, 2).sort(dim=1, stable=True).values,
    "product": lambda x: x @ WEIGHT,
    "linear": lambda x: torch.addmm(torch.ones(3), x, WEIGHT),
    "outer": lambda x: (x[:, :, None] * x.double()[:, None, :2]).flatten(1),
}


def _written(x: Tensor) -> Tensor:
    made = x.clone()
    made[:, [3, 1]] = x[:, :2].sigmoid()
    return made


@pytest.mark.parametrize("functions", [OF_NUMBERS, OF_ROWS], ids=["numbers", "rows"])
def test_every_operation_is_that_of_pytorch(
    tmp_path: Path, functions: dict[str, Callable[[Tensor], Tensor]]
) -> None:
    operations = Operations(functions)
    noise = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
    noise[0] = torch.tensor([0.5, -0.5, 2.5, 0.0])  # halves are rounded to even numbers
    found = in_cpp(operations, tmp_path, noise)
    for name, values in operations(noise).items():
        np.testing.assert_allclose(found[name], values.numpy(), rtol=2e-6, atol=2e-6, err_msg=name)


def test_an_operation_without_c_is_told() -> None:
    operations = Operations({"inverse": lambda x: torch.linalg.inv(x.view(-1, 2, 2)).flatten(1)})
    with pytest.raises(CheckpointError, match=r"need aten.*, for which there is no C\+\+ here"):
        HEADER(operations)


def test_arrays_that_no_stack_holds_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpp, "MOST_STACK", 31)
    with pytest.raises(CheckpointError, match="MiB of arrays"):
        HEADER(Operations({"two": lambda x: x.exp().sin()}))  # 2 x 4 x 4 bytes


def test_names_that_c_has_taken(tmp_path: Path) -> None:
    text = HEADER(Operations({"class": torch.exp, "jet.pt": torch.sin})).decode()
    assert "namespace _2_toys {" in text
    assert "std::array<float, 4> class_;  // 1" in text
    assert "std::array<float, 4> jet_pt;" in text
    assert 'names[] = {"class", "jet.pt"}' in text


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (0.1, torch.float32, "0.1f"),
        (0.1, torch.float64, "0.1"),
        (1e-30, torch.float64, "1e-30"),
        (-math.inf, torch.float32, "-std::numeric_limits<float>::infinity()"),
        (math.nan, torch.float64, "std::numeric_limits<double>::quiet_NaN()"),
        (3, torch.int64, "3"),
        (1.0, torch.bool, "true"),
    ],
)
def test_numbers_have_all_their_digits(value: float, dtype: torch.dtype, text: str) -> None:
    assert cpp._literal(value, dtype) == text
