"""The space of a study: dotted paths into a run's configuration, and the values they may take."""

import copy
import itertools
import json
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import optuna
from pydantic import Field as Option
from pydantic import PositiveInt, model_validator

from mleg_ray.config import Config, Registry, assign, look_up, parse, suggest
from mleg_ray.errors import ConfigError
from mleg_ray.run import RunConfig

DRAWS = 32  # random points that must be valid before a study begins


class Parameter(Config):
    """One dimension. It exists only `when` the given paths have the given value, or one of them."""

    kind: str
    when: dict[str, Any] = {}

    @abstractmethod
    def suggest(self, trial: optuna.trial.BaseTrial, key: str) -> Any:  # noqa: ANN401
        """Return a value for the path `key`, chosen by Optuna."""

    @abstractmethod
    def probes(self) -> Sequence[Any]:
        """Return values that stand for all: the ends and the middle, or each choice."""

    @abstractmethod
    def encode(self, key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return Optuna's parameters for a value; `ValueError` if it is not one of these."""

    def holds(self, table: Mapping[str, Any]) -> bool:
        """Tell whether the parameter exists in a run's table."""
        return all(look_up(table, path) in _listed(wanted) for path, wanted in self.when.items())


PARAMETERS: Registry[Parameter] = Registry("parameter")


class _Interval(Parameter):
    low: float
    high: float

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high (got {self.low!r} and {self.high!r})")
        return self

    def encode(self, key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError("a number is needed")
        if not self.low <= value <= self.high:
            raise ValueError(f"outside of {self.low!r} to {self.high!r}")
        return {key: value}


@PARAMETERS.register
class Uniform(_Interval):
    """A real number between `low` and `high`."""

    kind: Literal["uniform"] = "uniform"

    def suggest(self, trial: optuna.trial.BaseTrial, key: str) -> float:
        """Return a value for the path `key`, chosen by Optuna."""
        return trial.suggest_float(key, self.low, self.high)

    def probes(self) -> Sequence[float]:
        """Return the ends and a number between that is not round."""
        return self.low, self.low + (self.high - self.low) / math.e, self.high


@PARAMETERS.register
class LogUniform(Uniform):
    """A positive number whose logarithm is uniform."""

    kind: Literal["log-uniform"] = "log-uniform"  # type: ignore[assignment]
    low: Annotated[float, Option(gt=0)]

    def suggest(self, trial: optuna.trial.BaseTrial, key: str) -> float:
        """Return a value for the path `key`, chosen by Optuna."""
        return trial.suggest_float(key, self.low, self.high, log=True)


@PARAMETERS.register
class Int(_Interval):
    """A whole number from `low` to `high`, both included; on a logarithmic scale with `log`."""

    kind: Literal["int"] = "int"
    low: int
    high: int
    log: bool = False

    @model_validator(mode="after")
    def _has_a_logarithm(self) -> Self:
        if self.log and self.low < 1:
            raise ValueError(f"log needs low >= 1 (got {self.low})")
        return self

    def suggest(self, trial: optuna.trial.BaseTrial, key: str) -> int:
        """Return a value for the path `key`, chosen by Optuna."""
        return trial.suggest_int(key, self.low, self.high, log=self.log)

    def probes(self) -> Sequence[int]:
        """Return the ends and the middle."""
        return self.low, (self.low + self.high) // 2, self.high

    def encode(self, key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return Optuna's parameters for a value."""
        if isinstance(value, float):
            raise ValueError("a whole number is needed")
        return super().encode(key, value)


@PARAMETERS.register
class Choice(Parameter):
    """One of several values, which may be lists or whole tables."""

    kind: Literal["choice"] = "choice"
    values: Annotated[tuple[Any, ...], Option(min_length=1)]

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len({_label(value) for value in self.values}) < len(self.values):
            raise ValueError("values must differ")
        return self

    def suggest(self, trial: optuna.trial.BaseTrial, key: str) -> Any:  # noqa: ANN401
        """Return a value for the path `key`, chosen by Optuna."""
        by_label = {_label(value): value for value in self.values}
        return by_label[trial.suggest_categorical(key, list(by_label))]

    def probes(self) -> Sequence[Any]:
        """Return all values."""
        return self.values

    def encode(self, key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return Optuna's parameters for a value."""
        if _label(value) not in [_label(each) for each in self.values]:
            raise ValueError(f"not one of {', '.join(str(_label(value)) for value in self.values)}")
        return {key: _label(value)}


@PARAMETERS.register
class Constant(Parameter):
    """A fixed value: in place of the recipe's, or where a condition asks for it."""

    kind: Literal["constant"] = "constant"
    value: Any

    def suggest(self, trial: optuna.trial.BaseTrial, key: str) -> Any:  # noqa: ANN401
        """Return the value; Optuna is not asked."""
        return self.value

    def probes(self) -> Sequence[Any]:
        """Return the value."""
        return (self.value,)

    def encode(self, key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return no parameter."""
        if value != self.value:
            raise ValueError(f"the constant is {self.value!r}")
        return {}


@PARAMETERS.register
class Layers(Parameter):
    """A list of `depth` equal widths; both are searched, each as [lowest, highest]."""

    kind: Literal["layers"] = "layers"
    width: tuple[PositiveInt, PositiveInt]
    depth: tuple[PositiveInt, PositiveInt]

    @model_validator(mode="after")
    def _are_ranges(self) -> Self:
        for name in ("width", "depth"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: write it as [lowest, highest]")
        return self

    def suggest(self, trial: optuna.trial.BaseTrial, key: str) -> list[int]:
        """Return a value for the path `key`, chosen by Optuna."""
        depth = trial.suggest_int(f"{key}.depth", *self.depth)
        return [trial.suggest_int(f"{key}.width", *self.width, log=True)] * depth

    def probes(self) -> Sequence[list[int]]:
        """Return the four corners."""
        return [[width] * depth for width in self.width for depth in self.depth]

    def encode(self, key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return Optuna's parameters for a value."""
        if not isinstance(value, list) or not value or value != [value[0]] * len(value):
            raise ValueError("a list of equal widths is needed")
        sizes = {"width": value[0], "depth": len(value)}
        for name, size in sizes.items():
            low, high = getattr(self, name)
            if not low <= size <= high:
                raise ValueError(f"{name} outside of {low} to {high}")
        return {f"{key}.{name}": size for name, size in sizes.items()}


class Space:
    """Parameters by path over a base run; every point that is drawn is a valid run.

    Conditions and assignments are worked off in order, so that a parameter sees the values of
    those before it.
    """

    def __init__(self, base: RunConfig, parameters: Mapping[str, Parameter], origin: str) -> None:
        """Check the space against the base run.

        Raises:
            ConfigError: the space is empty; a path is unknown; a value, a condition or one of
                `DRAWS` random points is impossible. The message names `origin` and the path.
        """
        self._base = base.model_dump(mode="json")
        self._parameters = parameters
        self._origin = origin
        if not parameters:
            raise ConfigError(f"{origin}: empty; name the paths to search, and their values")
        self._check_order()
        for key in parameters:
            for value in parameters[key].probes():
                self._check_value(key, value)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        for _ in range(DRAWS):
            self.run(self.draw(study.ask()))

    def draw(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """Return values by path, chosen by Optuna; conditional ones only where they exist."""
        return self._walk(lambda key: self._parameters[key].suggest(trial, key))[0]

    def run(self, values: Mapping[str, Any]) -> RunConfig:
        """Return the base run with values by path; `ConfigError` if they do not fit together."""
        table = self._walk(lambda key: values[key])[1]
        point = ", ".join(f"{key} = {value}" for key, value in values.items())
        return parse(RunConfig, table, f"{self._origin}: at {point}")

    def encode(self, point: Mapping[str, Any], origin: str) -> dict[str, Any]:
        """Return Optuna's parameters for a point, which may leave some open.

        Raises:
            ConfigError: a path is not searched or does not exist there, or a value is not in the
                space; names `origin` and the path.
        """
        encoded: dict[str, Any] = {}
        for key, value in point.items():
            if key not in self._parameters:
                hint = suggest(key, list(self._parameters))
                raise ConfigError(f"{origin}: '{key}' is not in the space{hint}")
            try:
                encoded |= self._parameters[key].encode(key, value)
            except ValueError as error:
                raise ConfigError(f"{origin}: {key}: {error} (got {value!r})") from None
        values, table = self._at(point)
        for key in point:
            if key not in values:
                raise ConfigError(f"{origin}: {key}: its condition does not hold there")
        parse(RunConfig, table, origin)
        return encoded

    def _at(self, point: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Walk to a point; what it leaves open takes its parameter's first probe."""
        return self._walk(lambda key: point.get(key, self._parameters[key].probes()[0]))

    def _walk(self, choose: Callable[[str], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values that are chosen of parameters that exist, and the run's table."""
        values: dict[str, Any] = {}
        table = copy.deepcopy(self._base)
        for key, parameter in self._parameters.items():
            if parameter.holds(table):
                values[key] = choose(key)
                assign(table, key, copy.deepcopy(values[key]))
        return values, table

    def _check_order(self) -> None:
        for key, later in itertools.combinations(self._parameters, 2):
            if any(_leads_to(later, path) for path in (*self._parameters[key].when, key)):
                raise ConfigError(f"{self._origin}: '{later}' must stand before '{key}'")

    def _check_value(self, key: str, value: object) -> None:
        origin = f"{self._origin}: {key} = {value!r}"
        for chosen in self._scenes(key):
            try:
                values, table = self._at(chosen | {key: value})
            except ConfigError as error:
                raise ConfigError(f"{origin}: {error}") from None
            if key in values:
                parse(RunConfig, table, origin)
                return
        raise ConfigError(f"{self._origin}: {key}: its condition never holds; see 'when'")

    def _scenes(self, key: str) -> Iterator[dict[str, Any]]:
        """Yield the choices of other parameters under which the condition of `key` may hold."""
        candidates: dict[str, Sequence[Any]] = {}
        pending = [key]
        while pending:
            for path, wanted in self._parameters[pending.pop()].when.items():
                for other, parameter in self._parameters.items():
                    if _leads_to(other, path):
                        candidates[other] = _listed(wanted) if other == path else parameter.probes()
                        pending.append(other)
        for scene in itertools.product(*candidates.values()):
            chosen = dict(zip(candidates, scene, strict=True))
            if all(self._takes(other, value) for other, value in chosen.items()):
                yield chosen

    def _takes(self, key: str, value: object) -> bool:
        try:
            self._parameters[key].encode(key, value)
        except ValueError:
            return False
        return True


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the parameters of a `[space]` by dotted path, however its tables are nested."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and not isinstance(value.get("kind"), str):
            flat |= flatten(value, f"{key}.")
        else:
            flat[key] = value
    return flat


def _leads_to(key: str, path: str) -> bool:
    return path == key or path.startswith(f"{key}.")


def _listed(wanted: object) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _label(value: object) -> Any:  # noqa: ANN401
    """Return what Optuna can store of a choice: plain values as they are, others as JSON."""
    return value if isinstance(value, (str, int, float, bool)) else json.dumps(value)
