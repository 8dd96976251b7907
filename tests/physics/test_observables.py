"""Observables and constraints named by strings."""

import pytest
import torch

from mleg_ray.errors import ConfigError
from mleg_ray.physics.observables import (
    Constraint,
    Definitions,
    ObjectType,
    Observable,
    Plane,
    evaluate,
    violates,
)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


COLUMNS = {"px": column(3, 0), "py": column(4, 1), "mu_px": column(5, 6), "mu_py": column(12, 8)}


def test_arguments_default_to_the_function_s_own_names() -> None:
    expected = column(5, 1)
    torch.testing.assert_close(evaluate("kinematics.transverse_momentum", COLUMNS), expected)
    explicit = evaluate("kinematics.transverse_momentum(mu_px, mu_py)", COLUMNS)
    torch.testing.assert_close(explicit, column(13, 10))


def test_arguments_may_be_numbers() -> None:
    shifted = evaluate("kinematics.transverse_momentum(px, -4)", COLUMNS)
    torch.testing.assert_close(shifted, column(5, 4))
    torch.testing.assert_close(
        evaluate("detector.ratio(px, 1.5e1)", COLUMNS), COLUMNS["px"] / column(15, 15)
    )


def test_observables_may_use_those_before_them() -> None:
    definitions = Definitions(
        observables={
            "pt": Observable(expression="kinematics.transverse_momentum"),
            "twice": Observable(expression="kinematics.transverse_momentum(pt, pt)"),
        }
    )
    table = definitions.columns(COLUMNS)
    torch.testing.assert_close(table["twice"], 2**0.5 * column(5, 1))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("kinematics.transverse_mass", "no such function; known: .*kinematics.polar_angle"),
        ("os.system(px)", "no such function"),
        ("kinematics.momentum", "'pz' is neither a finite number nor one of"),
        ("kinematics.transverse_momentum(px, 4.0.0)", "'4.0.0' is neither a finite number nor one"),
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


def test_a_constraint_on_an_unknown_column_is_refused() -> None:
    with pytest.raises(ConfigError, match="'e <= energy': 'energy' is neither"):
        violates(Constraint(expression="e <= energy"), {"e": column(1)})


@pytest.mark.parametrize("expression", ["e == 3", "<= 3", "e", "0 < e < 1"])
def test_what_is_no_comparison_is_refused_at_once(expression: str) -> None:
    with pytest.raises(ValueError, match="write it as 'left <= right'"):
        Constraint(expression=expression)
    with pytest.raises(ValueError, match="write it as 'left <= right'"):
        ObjectType(observables=("e",), present=expression)


PLANE = Plane(x="px", y="py", x_range=(1, 2), y_range=(1, 2))


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        (Definitions(constraints={"c": Constraint(expression="q <= 1")}), "'q' is neither"),
        (Definitions(selection={"c": Constraint(expression="pt <= 1")}), "'pt' is neither"),
        (Definitions(planes=(PLANE, PLANE)), "one for each pair"),
        (Definitions(planes=(PLANE.model_copy(update={"x": "pt"}),)), "planes: pt, py: 'pt' is"),
        (Definitions(constraints={"c": Constraint(expression="px < inf")}), "'inf' is neither"),
        (
            Definitions(
                observables={"q": Observable(expression="kinematics.transverse_momentum")},
                planes=(PLANE.model_copy(update={"x": "q"}),),
            ),
            "'q' is not compared",
        ),
        (Definitions(objects={"jet": ObjectType(observables=("pt",))}), "objects.jet: 'pt' is"),
        (
            Definitions(objects={"jet": ObjectType(observables=("px",), present="n > 0")}),
            "'n' is neither",
        ),
    ],
)
def test_definitions_that_cannot_be_computed_are_refused(
    definitions: Definitions, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        definitions.check(COLUMNS, COLUMNS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_range": (0, 1)}, "x_range: two positive, increasing numbers"),
        ({"log": False, "y_range": (2, 2)}, "y_range: two increasing numbers"),
    ],
)
def test_plane_ranges_make_bins(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plane(**(PLANE.model_dump() | change))


@pytest.mark.parametrize("name", ["any", "not finite", "selection: x", ""])
def test_rules_have_names_of_their_own(name: str) -> None:
    with pytest.raises(ValueError, match="choose another name"):
        Definitions(constraints={name: Constraint(expression="px > 0")})
