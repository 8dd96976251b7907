"""Heads of autoencoders: which numbers are classes follows from the features, errors by hand."""

from math import exp, log

import pytest
import torch

from mleg_ray.models.heads import Heads
from mleg_ray.space import Part, Space

# A number, a category of three and a bit; then two objects of a bit and a number.
SPACE = Space(
    {
        "event": Part((5,), classes=((1, 2, 3), (4,))),
        "jet": Part((2, 2), classes=((0,),)),
    }
)
MADE = torch.tensor([[2.0, 0.0, log(2), log(5), 0.0, log(3), 1.0, -log(3), 4.0]])
TRUE = torch.tensor([[1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 3.0, 1.0, 4.0]])


def test_classes_are_probabilities() -> None:
    """Softmax of logits 0, log 2, log 5 is 1, 2, 5 over 8; sigmoid of ±log 3 is 3/4, 1/4."""
    features = Heads(SPACE).features(MADE)
    expected = [2, 1 / 8, 2 / 8, 5 / 8, 1 / 2, 3 / 4, 1, 1 / 4, 4]
    assert features[0].tolist() == pytest.approx(expected)


def test_errors_by_hand() -> None:
    """Numbers: (2-1)² = 1; (1-3)² = 4 and 0. Classes: log 8/5, log 2; log 4/3 and log 4."""
    heads = Heads(SPACE)
    summed = 1 + 4 + log(8 / 5) + log(2) + log(4 / 3) + log(4)
    assert heads.error(MADE, TRUE, "sum").tolist() == pytest.approx([summed])
    # By part: one number, two classes; two numbers, two bits.
    mean = 1 + (log(8 / 5) + log(2)) / 2 + 4 / 2 + (log(4 / 3) + log(4)) / 2
    assert heads.error(MADE, TRUE, "mean").tolist() == pytest.approx([mean])


def test_a_bit_that_is_off() -> None:
    space = Space({"event": Part((1,), classes=((0,),))})
    error = Heads(space).error(torch.tensor([[1.0]]), torch.zeros(1, 1), "sum")
    assert error.item() == pytest.approx(log(1 + exp(1)))


def test_numbers_alone_pass() -> None:
    heads = Heads(Space({"event": Part((3,))}))
    made = torch.tensor([[1.0, 2, 3]])
    assert heads.features(made) is made
    assert heads.error(made, torch.zeros(1, 3), "sum").item() == 14
    assert heads.error(made, torch.zeros(1, 3), "mean").item() == pytest.approx(14 / 3)
