"""The contract of every registered network, between spaces of every sort."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mleg_ray.models.networks import NETWORKS, Network, NetworkConfig
from mleg_ray.models.networks.blocks import BlocksConfig
from mleg_ray.space import Space
from tests.models.networks.spaces import CASES

B = 6


class Case(NamedTuple):
    network: Network
    seen: Space
    conditions: int
    out: Space
    x: Tensor
    condition: Tensor

    def __call__(self) -> Tensor:
        return self.network(self.x, self.condition)


def config(name: str, conditioning: str) -> NetworkConfig:
    """Return the network's configuration; those of blocks see conditions in either way."""
    table = CASES[name][0]
    made = NETWORKS.parse(table)
    if isinstance(made, BlocksConfig):
        return NETWORKS.parse({"conditioning": conditioning, **table})
    if conditioning == "film":
        pytest.skip("has a conditioning of its own")
    return made


def built(name: str, conditioning: str, moved: bool = True) -> Case:
    """Return a network whose weights have all moved, as conditions by FiLM matter only then."""
    _, seen, conditions, out = CASES[name]
    torch.manual_seed(1)
    network = config(name, conditioning).build(seen, conditions, out)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += moved * 0.1 * torch.randn_like(parameter)
    x, condition = torch.randn(B, seen.width), torch.randn(B, conditions)
    return Case(network, seen, conditions, out, x, condition)


@pytest.fixture(params=["concatenate", "film"])
def case(name: str, request: pytest.FixtureRequest) -> Case:
    return built(name, request.param)


@pytest.mark.parametrize("conditional", [False, True])
def test_every_registered_kind_is_tested_with_conditions_and_without(conditional: bool) -> None:
    tested = {
        str(table.get("kind", "mlp"))
        for table, _, conditions, _ in CASES.values()
        if (conditions > 0) == conditional
    }
    assert tested == set(NETWORKS)


@pytest.mark.parametrize("name", CASES)
class TestContract:
    def test_makes_vectors_of_its_space(self, case: Case) -> None:
        assert case().shape == (B, case.out.width)
        assert case().isfinite().all()

    def test_every_parameter_gets_a_gradient(self, case: Case) -> None:
        case().square().sum().backward()
        for parameter_name, parameter in case.network.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.any(), parameter_name

    def test_says_the_same_twice(self, case: Case) -> None:
        case.network.eval()
        assert torch.equal(case(), case())

    def test_input_and_conditions_matter(self, case: Case) -> None:
        made = case()
        assert not torch.isclose(case._replace(x=case.x + 1)(), made).all(dim=1).any()
        changed = case._replace(condition=case.condition + 1)()
        same = torch.isclose(changed, made).all(dim=1)
        assert same.all() if case.conditions == 0 else not same.any()

    def test_film_starts_as_the_identity(self, name: str) -> None:
        case = built(name, "film", moved=False)
        assert torch.equal(case._replace(condition=case.condition + 1)(), case())

    def test_one_of_no_conditions_sees_none(self, case: Case) -> None:
        if case.conditions == 0:
            given = case._replace(condition=torch.randn(B, 3))
            assert torch.equal(given(), case())

    def test_no_event_sees_another(self, case: Case) -> None:
        case.network.eval()
        for row in (0, B - 1):
            alone = case._replace(x=case.x[row : row + 1], condition=case.condition[row : row + 1])
            torch.testing.assert_close(alone()[0], case()[row], rtol=1e-4, atol=1e-5)
        (gradient,) = torch.autograd.grad(
            case._replace(x=case.x.requires_grad_())()[2].sum(), case.x
        )
        assert gradient[2].any()
        assert not gradient[[0, 1, 3, 4, 5]].any()

    def test_slopes_have_slopes(self, case: Case) -> None:
        """As a gradient penalty needs them: its derivative by the weights, against differences."""
        network, x = case.network.double(), case.x.double().requires_grad_()
        condition = case.condition.double()

        def penalty() -> Tensor:
            score = network(x, condition).sin().sum()
            (slope,) = torch.autograd.grad(score, x, create_graph=True)
            return slope.square().sum()

        weights = list(network.parameters())
        found = torch.autograd.grad(penalty(), weights, allow_unused=True)
        direction = [torch.randn_like(weight) for weight in weights]
        step, ends = 1e-6, []
        for sign in (1, -2):
            with torch.no_grad():
                for weight, towards in zip(weights, direction, strict=True):
                    weight += sign * step * towards
            ends.append(penalty())
        expected = (ends[0] - ends[1]) / (2 * step)
        got = sum(
            (slope * towards).sum()
            for slope, towards in zip(found, direction, strict=True)
            if slope is not None
        )
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)

    def test_weights_survive_a_file(self, case: Case, name: str, tmp_path: Path) -> None:
        save_file(case.network.state_dict(), tmp_path / "weights.safetensors")
        conditioning = "film" if "FiLM" in str(case.network) else "concatenate"
        _, *spaces = CASES[name]
        other = config(name, conditioning).build(*spaces)
        other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
        assert torch.equal(case._replace(network=other)(), case())

    def test_hidden_layers_are_vectors(self, case: Case) -> None:
        network = case.network
        assert network.depth >= 1
        before = case.x
        for layer in range(1, network.depth + 1):
            hidden = network.hidden(case.x, case.condition, layer)
            assert hidden.dim() == 2
            assert len(hidden) == B
            assert hidden.std(dim=0).any()
            assert not torch.equal(hidden, before)
            before = hidden

    def test_configuration_survives_toml(self, name: str) -> None:
        config = NETWORKS.parse(CASES[name][0])
        assert NETWORKS.parse(config.model_dump(mode="json")) == config
