"""Observables and constraints named by strings, of events, of objects and of images."""

import pytest
import torch

from mleg_ray.definitions import (
    Constraint,
    Definitions,
    Observable,
    Plane,
    evaluate,
    passing,
    violates,
)
from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from mleg_ray.physics import dis
from mleg_ray.physics.observables import FUNCTIONS, observable


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def of(columns: dict[str, torch.Tensor], **present: torch.Tensor) -> Events:
    return Events(columns, present, torch.ones(len(next(iter(columns.values())))).double())


M = dis.PROTON_MASS
XYZE = ("px", "py", "pz", "energy")
COLUMNS = {"px": column(3, 0), "py": column(4, 1), "mu.px": column(5, 6), "mu.py": column(12, 8)}
JETS = of(
    {
        "met": column(4, 9, 1),
        "jet.pt": torch.tensor([[30.0, 20], [5, 0], [0, 0]]).double(),
        "jet.eta": torch.tensor([[1.0, -3], [2, 0], [0, 0]]).double(),
        "mu.pt": torch.tensor([[7.0, 0, 0], [0, 0, 0], [3, 2, 1]]).double(),
        "cells": torch.arange(12, dtype=torch.int16).reshape(3, 2, 2),
    },
    jet=torch.tensor([[True, True], [True, False], [False, False]]),
    mu=torch.tensor([[True, False, False], [False] * 3, [True] * 3]),
)


def test_arguments_default_to_the_function_s_own_names() -> None:
    expected = column(5, 1)
    torch.testing.assert_close(evaluate("kinematics.transverse_momentum", COLUMNS), expected)
    explicit = evaluate("kinematics.transverse_momentum(mu.px, mu.py)", COLUMNS)
    torch.testing.assert_close(explicit, column(13, 10))


def test_a_group_stands_for_its_fields() -> None:
    explicit = evaluate("kinematics.transverse_momentum(mu)", COLUMNS)
    torch.testing.assert_close(explicit, column(13, 10))
    pair = {f"{g}.{p}": column(k) for k, (g, p) in enumerate((g, p) for g in "ab" for p in XYZE)}
    summed = evaluate("photoproduction.pair_mass(a, b)", pair)
    px, py, pz, energy = (pair[f"a.{p}"] + pair[f"b.{p}"] for p in XYZE)
    torch.testing.assert_close(summed, (energy**2 - px**2 - py**2 - pz**2).clamp(min=0).sqrt())
    spelled = evaluate(f"photoproduction.pair_mass({', '.join(pair)})", pair)
    assert torch.equal(spelled, summed)
    transfer = evaluate("photoproduction.momentum_transfer(b)", pair)  # of its energy alone
    torch.testing.assert_close(transfer, 2 * M * (M - pair["b.energy"]))


def test_a_four_momentum_is_of_each_event_or_object() -> None:
    columns = {f"{g}.{p}": column(k, 2) for g in "ab" for k, p in enumerate(XYZE, start=1)}
    mass = evaluate("photoproduction.pair_mass(a, b)", columns)
    assert mass.tolist() == [2 * 2**0.5, 0]  # 2 √(16 - 9 - 4 - 1), and spacelike
    objects = {name: values[None] for name, values in columns.items()}
    assert evaluate("photoproduction.pair_mass(a, a)", objects).tolist() == [mass.tolist()]


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
    joined = definitions.joined(of(COLUMNS))
    torch.testing.assert_close(joined.columns["twice"], 2**0.5 * column(5, 1))
    assert list(joined.columns)[: len(COLUMNS)] == list(COLUMNS)


def test_numbers_of_objects_stand_beside_those_of_their_event() -> None:
    definitions = Definitions(
        observables={
            "jet.above": Observable(expression="detector.difference(jet.pt, met)"),
            "jet.share": Observable(expression="detector.ratio(jet.pt, jet.eta)"),
        }
    )
    joined = definitions.joined(JETS).columns
    # Also 0 - 9 is 0 where there is no jet, and so is 0 / 0.
    assert joined["jet.above"].tolist() == [[26, 16], [-4, 0], [0, 0]]
    assert joined["jet.share"].tolist() == [[30, -20 / 3], [2.5, 0], [0, 0]]


def test_one_number_may_be_made_of_objects_or_of_images() -> None:
    assert evaluate("objects.total(jet.pt)", JETS.columns).tolist() == [50, 5, 0]
    assert evaluate("images.total(cells)", JETS.columns).tolist() == [6, 22, 38]


def test_ranks_and_axes_are_whole_numbers() -> None:
    assert evaluate("objects.leading(jet.pt, 1)", JETS.columns).tolist() == [30, 5, 0]
    assert evaluate("objects.leading(jet.pt, 2)", JETS.columns).tolist() == [20, 0, 0]
    for wrong in ("1.5", "jet.pt"):
        with pytest.raises(ConfigError, match=f"'{wrong}' must be a whole number"):
            evaluate(f"objects.leading(jet.pt, {wrong})", JETS.columns)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("objects.leading(jet.pt, 0)", r"of jet.pt \(of shape \(2,\)\): rank 0 is none of 1 to 2"),
        ("objects.leading(jet.pt, -1)", "rank -1 is none of 1 to 2"),
        ("objects.leading(jet.pt, 9999999999999999999999)", "is none of 1 to 2"),
        ("objects.leading(met, 1)", r"leading cannot be computed of met \(one number\)"),
        ("objects.total(met)", r"total cannot be computed of met \(one number\)"),
        ("objects.azimuth_from(jet.pt, jet.eta, jet.pt)", "azimuth_from cannot be computed of jet"),
        ("images.layer(cells, 2)", "layer 2 is none of 0 to 1"),
        ("images.share(cells, 2)", "layer 2 is none of 0 to 1"),
        ("images.share(cells, -1)", "layer -1 is none of 0 to 1"),
        ("images.barycentre(cells, 2)", "axis 2 is none of the 2 of an image"),
        ("images.width(met, 0)", "axis 0 is none of the 0 of an image"),
        ("images.occupancy(cells, jet.pt)", "do not belong together"),
        ("images._moments(cells, 0)", "no such function"),
        ("detector.smeared(met, met, met, met, 1, 1, 1)", "no such function"),
        ("detector.momentum_resolution(met, 1, 1)", "no such function"),
        ("fixed_target.photon_flux(met, met, 11)", "no such function"),
        ("photoproduction.total(met)", "no such function"),
    ],
)
def test_what_a_function_cannot_take_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(expression, JETS.columns)


def test_numbers_of_the_event_stand_beside_pixels() -> None:
    assert evaluate("images.occupancy(cells, met)", JETS.columns).tolist() == [0, 0, 1]
    below = violates(Constraint(expression="cells <= met"), JETS)
    assert below.tolist() == [False, False, True]


def test_a_number_is_not_rounded_beside_a_column_of_whole_ones() -> None:
    columns = {"flavour": torch.tensor([1, 3], dtype=torch.int8), "pt": column(2, 4)}
    assert evaluate("detector.ratio(pt, 0.5)", columns).tolist() == [4, 8]
    events = Events(columns, {}, torch.ones(2).double())
    assert violates(Constraint(expression="pt <= 2.5"), events).tolist() == [False, True]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "kinematics.transverse_mass",
            r"no such function \(did .*transverse_momentum'\?\); known: .*kinematics\.polar_angle",
        ),
        ("os.system(px)", "no such function"),
        (
            "images._ratio(px, py)",
            r"no such function \(did you mean '.*'\?\); known: .*\.invariant_mass, images\.asym",
        ),
        ("dis.momentum(px, py, pz)", "no such function"),
        ("kinematics.momentum", "'pz' is neither a finite number nor one of"),
        ("kinematics.transverse_momentum(px, 4.0.0)", "'4.0.0' is neither a finite number nor one"),
        ("kinematics.transverse_momentum(px)", r"takes \(px, py\)"),
        ("kinematics.momentum(mu)", r"momentum takes \(px, py, pz\)"),
        ("photoproduction.pair_mass(mu, mu)", r"pair_mass takes \(first, second\)"),
        ("photoproduction.pair_mass(px, py, px, py, 1, 2, 3)", "pair_mass takes"),
        ("photoproduction.pair_mass(px, py, px, py, 1, 2, 3, 4)", "pair_mass cannot be computed"),
        ("px + py", "write it as"),
    ],
)
def test_faults_of_observables(expression: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(expression, COLUMNS)


def test_objects_of_two_groups_do_not_belong_together() -> None:
    with pytest.raises(ConfigError, match="the objects of jet and mu do not belong together"):
        evaluate("detector.ratio(jet.pt, mu.pt)", JETS.columns)
    with pytest.raises(ConfigError, match="the objects of jet and mu do not belong together"):
        violates(Constraint(expression="jet.pt > mu.pt"), JETS)
    as_many = {"jet.pt": torch.ones(1, 2), "mu.pt": torch.ones(1, 2)}
    with pytest.raises(ConfigError, match="the objects of jet and mu do not belong together"):
        evaluate("detector.ratio(jet.pt, mu.pt)", as_many)


def test_constraints_and_their_tolerance() -> None:
    events = of({"e": column(49, 50.0004, 51, float("nan")), "beam": column(50, 50, 50, 50)})
    strict = violates(Constraint(expression="e <= beam"), events)
    assert strict.tolist() == [False, True, True, True]
    loose = violates(Constraint(expression="e <= beam", tolerance=1e-4), events)
    assert loose.tolist() == [False, False, True, True]
    above = violates(Constraint(expression="e > 50.5"), events)
    assert above.tolist() == [True, True, False, True]


def test_tolerance_widens_either_bound_whatever_its_sign() -> None:
    events = of({"t": column(-10.05, -10.2, -9.95, -9.8)})
    above = violates(Constraint(expression="t >= -10", tolerance=0.01), events)  # to -10.1
    assert above.tolist() == [False, True, False, False]
    below = violates(Constraint(expression="t <= -10", tolerance=0.01), events)  # to -9.9
    assert below.tolist() == [False, False, False, True]


def test_a_constraint_on_objects_is_broken_by_any_that_is_there() -> None:
    above = violates(Constraint(expression="jet.pt > 10"), JETS)
    assert above.tolist() == [False, True, False]  # no jet breaks nothing
    beside = violates(Constraint(expression="met < jet.pt"), JETS)
    assert beside.tolist() == [False, True, False]
    filled = violates(Constraint(expression="cells <= 6"), JETS)
    assert filled.tolist() == [False, True, True]
    assert passing(("jet.pt > 10", "met > 1"), JETS).tolist() == [True, False, False]


def test_a_constraint_on_an_unknown_column_is_refused() -> None:
    with pytest.raises(ConfigError, match="'e <= energy': 'energy' is neither"):
        violates(Constraint(expression="e <= energy"), of({"e": column(1)}))


@pytest.mark.parametrize("expression", ["e == 3", "<= 3", "e", "0 < e < 1"])
def test_what_is_no_comparison_is_refused_at_once(expression: str) -> None:
    with pytest.raises(ValueError, match="write it as 'left <= right'"):
        Constraint(expression=expression)


PLANE = Plane(x="px", y="py", x_range=(1, 2), y_range=(1, 2))


def observables(**expressions: str) -> dict[str, Observable]:
    return {
        name.replace("_", "."): Observable(expression=expression)
        for name, expression in expressions.items()
    }


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
                observables=observables(q="kinematics.product(px, py)"),
                planes=(PLANE.model_copy(update={"x": "q"}),),
            ),
            "'q' is not compared",
        ),
        (
            Definitions(observables=observables(px="kinematics.transverse_momentum")),
            "observables.px: a field has this name",
        ),
    ],
)
def test_definitions_that_cannot_be_computed_are_refused(
    definitions: Definitions, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        definitions.check(of(COLUMNS), COLUMNS)


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        (observables(double="detector.ratio(jet.pt, 2)"), "observables.double: not one number an"),
        (observables(double="detector.ratio(cells, 2)"), "observables.double: not one number an"),
        (observables(jet_ht="objects.total(jet.pt)"), "jet.ht: one number for each jet is needed"),
        (observables(mu_ratio="detector.ratio(jet.pt, 2)"), "mu.ratio: one number for each mu is"),
        (observables(ratio="detector.ratio(jet.pt, mu.pt)"), "do not belong together"),
        (observables(jet="objects.total(jet.pt)"), "observables.jet: a group has this name"),
    ],
)
def test_observables_of_the_wrong_shape_are_refused(
    definitions: dict[str, Observable], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Definitions(observables=definitions).check(JETS, ["met"])


def test_planes_are_of_numbers_of_the_event() -> None:
    plane = PLANE.model_copy(update={"x": "jet.pt", "y": "met"})
    with pytest.raises(ConfigError, match="'jet.pt' is not compared: it is neither a number of"):
        Definitions(planes=(plane,)).check(JETS, ["met", "jet.pt"])


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


def test_an_observable_is_what_its_function_says_unless_it_says_more() -> None:
    q2 = Observable(expression="dis.q2(electron, beam_energy)")
    assert (q2.unit, q2.label, q2.log) == ("GeV2", "Q^2", True)
    phi = Observable(expression="kinematics.azimuth", label="\\phi_e", log=True)
    assert (phi.unit, phi.label, phi.log) == ("rad", "\\phi_e", True)
    linear = Observable(expression="dis.q2(electron, beam_energy)", label="", log=False)
    assert (linear.unit, linear.label, linear.log) == ("GeV2", "", False)  # "": not compared
    ratio = Observable(expression="detector.ratio(px, 2)", unit="GeV")
    assert (ratio.unit, ratio.label, ratio.log) == ("GeV", "", False)
    assert Observable(expression="dis.q3").model_dump(exclude={"expression"}) == {
        "unit": "1",
        "label": "",
        "log": False,
    }


def test_a_function_can_be_called_once_it_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(px: torch.Tensor) -> torch.Tensor:
        return 2 * px

    with pytest.raises(ConfigError, match="no such function"):
        evaluate("test_definitions.twice", COLUMNS)
    monkeypatch.setitem(FUNCTIONS, "test_definitions.twice", FUNCTIONS["dis.q2"])  # gone afterwards
    del FUNCTIONS["test_definitions.twice"]
    assert observable("GeV", "2p")(twice) is twice
    assert evaluate("test_definitions.twice(mu.px)", COLUMNS).tolist() == [10, 12]
    assert Observable(expression="test_definitions.twice").label == "2p"


def test_units_and_axes_of_what_is_registered() -> None:
    """All that are neither listed here nor follow their arguments are pure numbers."""
    units = {
        "GeV": "kinematics.energy kinematics.minus_momentum kinematics.momentum "
        "kinematics.momentum_at kinematics.pair_transverse_momentum "
        "kinematics.transverse_momentum fixed_target.energy_transfer fixed_target.invariant_mass "
        "photoproduction.cm_energy photoproduction.pair_mass tops.m_bjj tops.m_jj tops.m_lb",
        "GeV2": "dis.mandelstam_s dis.q2 dis.w2 photoproduction.momentum_transfer",
        "rad": "kinematics.azimuth kinematics.pair_azimuth kinematics.polar_angle "
        "objects.azimuth_from",
        None: "detector.difference detector.over_root detector.ratio images.largest images.layer "
        "images.total "
        "kinematics.plus kinematics.product objects.leading objects.total objects.transverse_sum",
    }
    found = {name: function.unit for name, function in FUNCTIONS.items() if function.unit != "1"}
    assert found == {name: unit for unit, names in units.items() for name in names.split()}
    spread = {name for name, function in FUNCTIONS.items() if function.log}
    assert spread == {f"dis.{name}" for name in ("q2", "w2", "x_bj", "inelasticity")} | {
        "images.largest",
        "images.layer",
        "images.total",
    }


def test_thresholds_and_responses_are_those_that_observables_state() -> None:
    stated = {
        "pt": "kinematics.transverse_momentum(mu)",
        "of_other": "images.occupancy(other, 3)",
        "above_met": "images.occupancy(cells, met)",
        "occupancy": "images.occupancy(cells, 1.5)",
        "response": "detector.response(pt, px)",
    }
    definitions = Definitions(
        observables={name: Observable(expression=e) for name, e in stated.items()}
    )
    assert (definitions.threshold("cells"), definitions.threshold("image")) == (1.5, 0)
    assert definitions.responses() == {"response": "px"}


def test_a_registered_function_is_the_function_itself() -> None:
    assert FUNCTIONS["dis.q2"].call is dis.q2
    assert FUNCTIONS["dis.q2"][1:] == ("GeV2", "Q^2", True)
    with pytest.raises(ValueError, match="'dis.q2' is a function of mleg_ray.physics.dis already"):
        observable("GeV2")(dis.q2)
    assert FUNCTIONS["dis.q2"].label == "Q^2"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../a", "jet.pt.x"])
def test_observables_have_names_like_fields(name: str) -> None:
    with pytest.raises(ValueError, match="choose another name"):
        Definitions(observables={name: Observable(expression="objects.total(jet.pt)")})


@pytest.mark.parametrize("name", ["any", "not finite", "selection: x", ""])
def test_rules_have_names_of_their_own(name: str) -> None:
    with pytest.raises(ValueError, match="choose another name"):
        Definitions(constraints={name: Constraint(expression="px > 0")})
