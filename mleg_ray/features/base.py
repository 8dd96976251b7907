"""The contract of the map between physical events and the space in which networks work."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Self

import torch
from torch import Tensor, nn

from mleg_ray.config import Config, Registry
from mleg_ray.errors import DataError
from mleg_ray.events import Batch, EventSchema

MOST_OUTSIDE = 0.05


class FeatureMap(nn.Module, ABC):
    """Physical events <-> standardised features, and the extra quantities that a critic sees.

    A subclass writes four pure functions of *raw* features (`_encode`, `_decode`, `_view`,
    `_log_abs_det`); this class standardises them with statistics of the train split, kept as
    float64 buffers, so that they travel in the checkpoint and nowhere else.

    Attributes:
        n_features: width of the feature space.
        n_augmented: width of the critic's view.
        n_conditions: numbers that the networks see of the conditions that vary, one for each
            unless a map makes others of them.
        mean_log_abs_det: mean of `log_abs_det_jacobian` over the train split's events inside.
        periodic: indices of features that are angles in half turns, (-1, 1], never standardised.
    """

    periodic: tuple[int, ...] = ()
    feature_mean: Tensor
    feature_std: Tensor
    view_mean: Tensor
    view_std: Tensor
    condition_mean: Tensor
    condition_std: Tensor
    weight_mean: Tensor
    outside_fraction: Tensor
    mean_log_abs_det: Tensor

    def __init__(
        self,
        schema: EventSchema,
        fixed: Iterable[str],
        n_features: int,
        n_augmented: int,
        n_conditions: int | None = None,
    ) -> None:
        super().__init__()
        self.n_features = n_features
        self.n_augmented = n_augmented
        self.varying = [schema.conditions.index(name) for name in schema.varying(set(fixed))]
        self.n_conditions = len(self.varying) if n_conditions is None else n_conditions
        for name, width in (
            ("feature", n_features),
            ("view", n_augmented),
            ("condition", self.n_conditions),
        ):
            self.register_buffer(f"{name}_mean", torch.zeros(width, dtype=torch.float64))
            self.register_buffer(f"{name}_std", torch.ones(width, dtype=torch.float64))
        self.register_buffer("weight_mean", torch.ones((), dtype=torch.float64))
        self.register_buffer("outside_fraction", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean_log_abs_det", torch.zeros((), dtype=torch.float64))

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Learn the statistics in one pass over physical batches of the train split.

        Absolute weights are used: standardisation only sets scales, and must not fail where
        negative weights leave a region with a negative sum.

        Raises:
            DataError: more than `MOST_OUTSIDE` of the events lie outside the map's domain.
        """
        features, view, condition, log_abs_det = (_Moments() for _ in range(4))
        n = 0
        weight_sum = outside = torch.zeros((), dtype=torch.float64)
        for batch in batches:
            raw = self._encode(batch.x, batch.context)
            weight = batch.weight.abs()
            features.add(raw, weight)
            view.add(self._view(raw, batch.context), weight)
            condition.add(self._condition(batch.context), weight)
            n += len(batch)
            weight_sum = weight_sum + batch.weight.sum()
            is_outside = self._outside(batch.x, batch.context)
            outside = outside + is_outside.sum()
            inside = batch[~is_outside]
            if len(inside):
                value = self._log_abs_det(inside.x, inside.context)[:, None]
                log_abs_det.add(value, inside.weight.abs())
        self._require_inside(float(outside / n))
        self.feature_mean, self.feature_std = features.result()
        self.feature_mean[list(self.periodic)] = 0.0
        self.feature_std[list(self.periodic)] = 1.0
        self.view_mean, self.view_std = view.result()
        self.condition_mean, self.condition_std = condition.result()
        self.weight_mean = weight_sum / n
        self.outside_fraction = outside / n
        self.mean_log_abs_det = log_abs_det.result()[0][0] - self.feature_std.log().sum()
        return self

    def _require_inside(self, outside_fraction: float) -> None:
        if outside_fraction > MOST_OUTSIDE:
            raise DataError(
                f"{outside_fraction:.1%} of the train events lie outside the domain of "
                f"{type(self).__name__}, where they would be moved to its edges; choose another "
                "features.kind, or settings that fit the dataset"
            )

    def forward(self, events: Tensor, context: Tensor) -> Tensor:
        """Map physical events (B, n_fields) under conditions (B, C) to features (B, n_features)."""
        return self._standardise(self._encode(events, context))

    def encoded(self, events: Batch) -> Batch:
        """Return physical events as networks take them: float32 features, weights of mean one."""
        features = self(events.x, events.context)
        weight = events.weight / self.weight_mean
        return Batch(features, events.context, weight).to(torch.float32)

    def inverse(self, features: Tensor, context: Tensor) -> Tensor:
        """Map features (B, n_features) back to physical events (B, n_fields), in float64.

        The exact inverse of `forward` on the map's domain.
        """
        # Column by column in memory, as all physics is computed: twice as fast.
        columns = features.double().T.contiguous()
        raw = columns * self.feature_std[:, None] + self.feature_mean[:, None]
        return self._decode(raw.T, context.double())

    def augment(self, features: Tensor, context: Tensor) -> Tensor:
        """Return what a critic sees of features, (B, n_augmented): differentiable, standardised."""
        view = self._view(self._raw(features), context)
        return (view - self.view_mean.to(view.dtype)) / self.view_std.to(view.dtype)

    def condition(self, context: Tensor) -> Tensor:
        """Return the standardised conditions that enter networks, (B, n_conditions)."""
        value = self._condition(context)
        mean, std = self.condition_mean.to(value.dtype), self.condition_std.to(value.dtype)
        return (value - mean) / std

    def log_abs_det_jacobian(self, events: Tensor, context: Tensor) -> Tensor:
        """Return log |det d features / d momentum|, shape (B,), so that densities compare."""
        return self._log_abs_det(events, context) - self.feature_std.log().sum()

    def _raw(self, features: Tensor) -> Tensor:
        std, mean = self.feature_std.to(features.dtype), self.feature_mean.to(features.dtype)
        return features * std + mean

    def _standardise(self, raw: Tensor) -> Tensor:
        return (raw - self.feature_mean.to(raw.dtype)) / self.feature_std.to(raw.dtype)

    def _condition(self, context: Tensor) -> Tensor:
        """Return what networks see of the varying conditions, (B, n_conditions)."""
        return context[:, self.varying]

    @abstractmethod
    def _encode(self, events: Tensor, context: Tensor) -> Tensor: ...

    @abstractmethod
    def _decode(self, raw: Tensor, context: Tensor) -> Tensor: ...

    @abstractmethod
    def _view(self, raw: Tensor, context: Tensor) -> Tensor: ...

    @abstractmethod
    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor: ...

    @abstractmethod
    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        """Return a boolean tensor (B,): events outside the domain, which `_encode` moves inside."""


class FeatureMapConfig(Config):
    """Base of the `[run.features]` tables."""

    kind: str

    @abstractmethod
    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> FeatureMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it needs."""


FEATURE_MAPS: Registry[FeatureMapConfig] = Registry("feature map")


class _Moments:
    """Weighted mean and standard deviation of columns, batch by batch, in float64."""

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, values: Tensor, weight: Tensor) -> None:
        values, weight = values.double(), weight.double()
        total = weight.sum()
        mean = (weight[:, None] * values).sum(0) / total
        squares = (weight[:, None] * (values - mean).square()).sum(0)
        self._parts.append((total, mean, squares))

    def result(self) -> tuple[Tensor, Tensor]:
        totals, means, squares = (torch.stack(part) for part in zip(*self._parts, strict=True))
        share = (totals / totals.sum())[:, None]
        mean = (share * means).sum(0)
        variance = squares.sum(0) / totals.sum() + (share * (means - mean).square()).sum(0)
        # A column without spread (one value throughout) stays as it is, centred at zero.
        return mean, torch.where(variance > 0, variance.sqrt(), 1.0)
