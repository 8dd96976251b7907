"""How fields become features, for models that work in coordinates of physics."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mleg_ray.errors import ConfigError
from mleg_ray.features.field import FieldMap
from mleg_ray.models.base import Spaces


class FieldMaps(nn.Module):
    """The maps of fields by name. What is learned of the train split travels in the checkpoint."""

    mean: Tensor
    std: Tensor

    def __init__(self, names: Sequence[str], spaces: Spaces, setting: str) -> None:
        """Take them of the spaces, for a setting of the model.

        Raises:
            ConfigError: steps mix a field with others, or an azimuth `phi` is no angle.
        """
        super().__init__()
        if mixed := [name for name in names if name not in spaces.fields]:
            raise ConfigError(
                f"{setting}: '{mixed[0]}' must be a field that steps change by itself, such as "
                "'logarithm', 'interval' and 'angle'"
            )
        self._maps = {name: spaces.fields[name] for name in names}
        for name, one in self._maps.items():
            first, *_ = spaces.features.positions[one.feature]
            if name.endswith(".phi") and first not in spaces.features.circle:
                raise ConfigError(f"{setting}: '{name}' must be a feature by step 'angle'")
        maps = self._maps.values()
        self.register_buffer("mean", torch.stack([one.mean for one in maps]))
        self.register_buffer("std", torch.stack([one.std for one in maps]))

    def __getitem__(self, name: str) -> FieldMap:
        """Return the map of a field."""
        i = list(self._maps).index(name)
        return self._maps[name]._replace(mean=self.mean[i], std=self.std[i])
