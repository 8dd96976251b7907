"""An ensemble trained as one: replicas of an architecture in batched matrix products.

Networks this small keep a processor waiting between their operations; E of them side by side in one
product cost little more than one. Each replica takes exactly the steps of a lone run with its seed,
its events and its learning rates (up to rounding; dropout draws other numbers).
"""

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model
from mleg_ray.objectives import Loss, Objective
from mleg_ray.randomness import Noise, derive_seed
from mleg_ray.run import TrainingConfig
from mleg_ray.training.batches import Minibatches
from mleg_ray.training.loop import Progress, TrainingLoop


class StackedLinear(nn.Module):
    """E linear layers (E, n_out, n_in), each applied to its own part of the rows."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        """Map rows (E·B, n_in), replica by replica, to (E·B, n_out)."""
        parts = x.view(len(self.weight), -1, x.shape[1])
        result = torch.baddbmm(self.bias[:, None], parts, self.weight.transpose(1, 2))
        return result.flatten(0, 1)


def stack(models: Sequence[Model]) -> Model:
    """Return one model that holds all: rows of its input belong to them in equal parts, in order.

    Raises:
        ConfigError: the models have weights elsewhere than in plain linear layers, or normalise
            over the minibatch, which would mix them.
    """
    stacked = copy.deepcopy(models[0])
    for name, module in models[0].named_modules():
        if type(module) is nn.Linear:
            parent, _, child = name.rpartition(".")
            layers = [model.get_submodule(name) for model in models]
            setattr(stacked.get_submodule(parent), child, StackedLinear(layers))  # type: ignore[arg-type]
        elif isinstance(module, _BatchNorm) or any(True for _ in module.parameters(recurse=False)):
            raise ConfigError(
                f"{type(stacked).__name__}: only models of plain linear layers can be stacked; "
                "train the replicas one after another"
            )
    return stacked


class StackedLoop(TrainingLoop):
    """The training loop of E replicas at once."""

    def __init__(
        self,
        models: Sequence[Model],
        feature_map: FeatureMap,
        objective: Objective,
        configs: Sequence[TrainingConfig],
        device: torch.device,
        stacking: Callable[[Sequence[Model]], Model] = stack,
    ) -> None:
        """Stack the models, as `stack` does.

        Their configurations differ in seeds and learning rates alone.

        Raises:
            ConfigError: they differ in more, the objective couples the events of a minibatch, or
                see `stack`.
        """
        if objective.traits.couples_events:
            raise ConfigError(
                "an objective that couples the events of a minibatch (mmd_weight, sliced) would "
                "mix the replicas of an ensemble; set it to 0, or train them one after another"
            )
        if len({_shared(config).digest() for config in configs}) > 1:
            raise ConfigError("replicas of an ensemble may differ in seed and learning rates only")
        self._replicas = list(models)
        self._seeds = [config.seed for config in configs]
        super().__init__(stacking(models), feature_map, objective, _fastest(configs), device)
        self._noise = self._streams = _StackedNoise(device, len(models))
        for name, optimiser in self._optimisers.items():
            rates = torch.tensor(
                [config.optimisers[name].learning_rate for config in configs], device=device
            )
            if rates.min() < rates.max():
                _slow_down(optimiser, rates / rates.max())

    def together(self, shares: Sequence[Minibatches], report_every: int) -> Iterator[Progress]:
        """Train to the last step on each replica's own minibatches; see `run`.

        A replica that diverges leaves the others alone: `finite` is that of all together.
        """

        def joined(move: int) -> Iterator[Batch]:
            for parts in zip(*(share(move) for share in shares), strict=True):
                yield Batch.concatenate(parts)

        return self.run(joined, report_every)

    def replica(self, index: int) -> Model:
        """Return a replica by itself, with its averaged weights and its own buffers."""
        model = copy.deepcopy(self._replicas[index]).requires_grad_(False).eval()
        weights = {name: value[index] for name, value in self.ema.named_parameters()}
        model.load_state_dict(model.state_dict() | weights)
        return model

    def _seed_noise(self) -> None:
        self._streams.seed_each([derive_seed(seed, "noise", self.step) for seed in self._seeds])

    def _loss(self, player: str, batch: Batch) -> Loss:
        loss = super()._loss(player, batch)
        # The sum of the replicas' own means.
        return loss._replace(value=len(self._seeds) * loss.value)


class _StackedNoise(Noise):
    """Rows of all replicas, each from its own stream."""

    def __init__(self, device: torch.device, replicas: int) -> None:
        super().__init__(device)
        self._streams = [Noise(device) for _ in range(replicas)]

    def seed_each(self, seeds: Sequence[int]) -> None:
        for stream, seed in zip(self._streams, seeds, strict=True):
            stream.seed(seed)

    def normal(self, n: int, width: int) -> Tensor:
        part = n // len(self._streams)
        return torch.cat([stream.normal(part, width) for stream in self._streams])

    def uniform(self, n: int, width: int) -> Tensor:
        part = n // len(self._streams)
        return torch.cat([stream.uniform(part, width) for stream in self._streams])


def _shared(config: TrainingConfig) -> TrainingConfig:
    optimisers = {
        name: own.model_copy(update={"learning_rate": 1.0})
        for name, own in config.optimisers.items()
    }
    return config.model_copy(update={"seed": 0, "optimisers": optimisers})


def _fastest(configs: Sequence[TrainingConfig]) -> TrainingConfig:
    optimisers = {
        name: max((c.optimisers[name] for c in configs), key=lambda own: own.learning_rate)
        for name in configs[0].optimisers
    }
    return configs[0].model_copy(update={"optimisers": optimisers})


def _slow_down(optimiser: torch.optim.Optimizer, ratios: Tensor) -> None:
    """Let replica e go only `ratios[e]` of every step: Adam's moments know no learning rate."""
    parameters = optimiser.param_groups[0]["params"]
    before: list[Tensor] = []

    def remember(*_: object) -> None:
        before[:] = [parameter.detach().clone() for parameter in parameters]

    def pull_back(*_: object) -> None:
        with torch.no_grad():
            for old, parameter in zip(before, parameters, strict=True):
                parameter.copy_(torch.lerp(old, parameter, ratios.view(-1, *[1] * (old.dim() - 1))))

    optimiser.register_step_pre_hook(remember)
    optimiser.register_step_post_hook(pull_back)
