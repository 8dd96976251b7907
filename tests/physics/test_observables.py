"""Observables and constraints named by strings."""

import pytest
import torch

from mleg_ray.errors import ConfigError
from mleg_ray.physics.observables import (
    Constraint,
    Observable,
    evaluate,
    violates,
    with_observables,
)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


COLUMNS = {"px": column(3, 0), "py": column(4, 1), "mu_px": column(5, 6), "mu_py": column(12, 8)}


def test_arguments_default_to_the_function_s_own_names() -> None:
    expected = column(5, 1)
    torch.testing.assert_close(evaluate("kinematics.transverse_momentum", COLUMNS), expected)
    explicit = evaluate("kinematics.transverse_momentum(mu_px, mu_py)", COLUMNS)
    torch.testing.assert_close(explicit, column(13, 10))


def test_observables_may_use_those_before_them() -> None:
    table = with_observables(
        {
            "pt": Observable(expression="kinematics.transverse_momentum"),
            "twice": Observable(expression="kinematics.transverse_momentum(pt, pt)"),
        },
        COLUMNS,
    )
    torch.testing.assert_close(table["twice"], 2**0.5 * column(5, 1))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("kinematics.transverse_mass", "no such function; known: .*kinematics.polar_angle"),
        ("os.system(px)", "no such function"),
        ("kinematics.momentum", "needs pz"),
        ("kinematics.transverse_momentum(px)", r"takes \(px, py\)"),
        ("px + py", "write it as"),
    ],
)
def test_faults_of_observables(expression: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(expression, COLUMNS)


def test_constraints_and_their_tolerance() -> None:
    columns = {"e": column(49, 50.0004, 51, float("nan")), "beam": column(50, 50, 50, 50)}
    strict = violates(Constraint(expression="e <= beam"), columns)
    assert strict.tolist() == [False, True, True, True]
    loose = violates(Constraint(expression="e <= beam", tolerance=1e-4), columns)
    assert loose.tolist() == [False, False, True, True]
    above = violates(Constraint(expression="e > 50.5"), columns)
    assert above.tolist() == [True, True, False, True]


@pytest.mark.parametrize("expression", ["e == 3", "e <= energy", "<= 3", "e"])
def test_faults_of_constraints(expression: str) -> None:
    with pytest.raises(ConfigError, match="constraint"):
        violates(Constraint(expression=expression), {"e": column(1)})
