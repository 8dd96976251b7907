"""Networks of objects in any order: deep sets, and attention over those that are present."""

import math
from collections.abc import Mapping
from typing import Literal, Self

import torch
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from mleg_ray.errors import ConfigError
from mleg_ray.models.networks.base import NETWORKS
from mleg_ray.models.networks.blocks import Chain, Residual, side_by_side
from mleg_ray.models.networks.structured import (
    Decoder,
    Encoded,
    Encoder,
    Layers,
    Structured,
    StructuredConfig,
    divided,
)
from mleg_ray.space import Part, Space

Pooling = Literal["sum", "mean", "max"]
REST = "rest"


class RowByRow(nn.Module):
    """Rows, each by itself: x -> x + f(x), the φ of deep sets."""

    def __init__(self, config: "SetsConfig", conditions: int) -> None:
        super().__init__()
        self.block = Residual(config.dense(config.width, config.width, conditions))

    def forward(self, rows: Tensor, present: Tensor, condition: Tensor) -> Tensor:
        """Map rows (B·K, width), of which `present` (B, K) says which there are."""
        result: Tensor = self.block(rows, condition)
        return result


class SelfAttention(nn.Module):
    """Rows, each by all that are present: x -> x + attention(x), then x -> x + f(x).

    softmax(Q Kᵀ / √d) V by several heads (Vaswani et al., arXiv:1706.03762, eq. 1), in the block of
    the Set Transformer (Lee et al., arXiv:1810.00825, eq. 5 to 7) with the norms before its two
    parts, as they need no warm-up there (Xiong et al., arXiv:2002.04745).
    """

    def __init__(self, config: "SetsConfig", conditions: int) -> None:
        super().__init__()
        width = config.width
        self._heads = config.heads
        self.before = Chain(nn.LayerNorm(width), *config.film(conditions, width))
        self.questions = nn.Linear(width, 3 * width)
        self.answers = nn.Linear(width, width)
        norm = nn.LayerNorm(width)
        self.after = Residual(
            Chain(norm, config.dense(width, 2 * width, conditions), nn.Linear(2 * width, width))
        )

    def forward(self, rows: Tensor, present: Tensor, condition: Tensor) -> Tensor:
        """Map rows (B·K, width), of which `present` (B, K) says which there are."""
        seen = self.questions(self.before(rows, condition))
        seen = seen.view(*present.shape, 3, self._heads, -1)
        query, key, value = seen.permute(2, 0, 3, 1, 4)  # each (B, heads, K, width / heads)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        # No fused attention: the gradient penalty differentiates twice.
        mixed = masked_softmax(scores, present[:, None, None]) @ value
        rows = rows + self.answers(mixed.transpose(1, 2).reshape(rows.shape))
        result: Tensor = self.after(rows, condition)
        return result


class SetsEncoder(Encoder):
    """Objects -> rows, blocks of rows, and the pooled rows beside each part's share of objects.

    `parts` of what it makes are the rows (B, K, width) of each part, and which are present (B, K).
    """

    def __init__(self, config: "SetsConfig", parts: Space, conditions: int) -> None:
        super().__init__()
        self._pooling, self._masked = config.pooling, config.masked
        self._most = {name: part.shape[0] for name, part in parts.parts.items()}
        beside = config.side_by_side(conditions)
        self._concatenates = beside > 0
        self.embed = nn.ModuleList(
            config.dense(part.shape[1] + beside, config.width, conditions)
            for part in parts.parts.values()
        )
        self.blocks = config.rows(conditions)
        self.width = config.width + len(self._most)
        self.depth = 1 + len(self.blocks)

    def forward(self, views: Mapping[str, Tensor], condition: Tensor) -> Encoded:
        """Encode objects (B, K, f) by name, under condition (B, c)."""
        rows, present = [], []
        for name, embed in zip(self._most, self.embed, strict=True):
            part = views[name]
            there = (part != 0).any(dim=2)
            present.append(there if self._masked else torch.ones_like(there))
            given = per_row(condition, part.shape[1])
            seen = part.flatten(0, 1)
            made = embed(side_by_side(seen, given) if self._concatenates else seen, given)
            rows.append(made.unflatten(0, part.shape[:2]))
        there = side_by_side(*present)
        layers = through(self.blocks, side_by_side(*rows), there, condition)
        last = layers[-1]
        shares = [part.to(last.dtype).mean(dim=1, keepdim=True) for part in present]
        apart = torch.split(last, list(self._most.values()), dim=1)
        parts = dict(zip(self._most, zip(apart, present, strict=True), strict=True))
        vector = side_by_side(pooled(last, there, self._pooling), *shares)
        return Encoded(vector, [[layer * there[..., None]] for layer in layers], parts)


class SetsDecoder(Decoder):
    """A vector -> rows, blocks of rows, and objects of these.

    A row begins with what is its own, beside the trunk's vector: the encoder's row if as many
    objects of that name are seen, else numbers that are learned.
    """

    def __init__(
        self, config: "SetsConfig", parts: Space, trunk: int, seen: Space, conditions: int
    ) -> None:
        super().__init__()
        self._most = {name: part.shape[0] for name, part in parts.parts.items()}
        self.learned = nn.ParameterDict(
            {
                str(k): torch.randn(most, config.width)
                for k, (name, most) in enumerate(self._most.items())
                if name not in seen.parts or seen.parts[name].shape[0] != most
            }
        )
        self.start = nn.ModuleList(
            config.dense(config.width + trunk, config.width, conditions) for _ in self._most
        )
        self.blocks = config.rows(conditions)
        self.made = nn.ModuleList(
            nn.Linear(config.width, part.shape[1]) for part in parts.parts.values()
        )
        self.depth = 1 + len(self.blocks)

    def forward(
        self, trunk: Tensor, encoded: Encoded, condition: Tensor
    ) -> tuple[dict[str, Tensor], Layers]:
        """Return objects (B, K·f) by name, and the rows of each layer."""
        rows, present = [], []
        for k, (name, most) in enumerate(self._most.items()):
            if str(k) in self.learned:
                own = self.learned[str(k)].expand(len(trunk), -1, -1)
                there = torch.ones(own.shape[:2], dtype=torch.bool, device=trunk.device)
            else:
                own, there = encoded.parts[name]
            seen = side_by_side(own.flatten(0, 1), per_row(trunk, most))
            made = self.start[k](seen, per_row(condition, most))
            rows.append(made.unflatten(0, own.shape[:2]))
            present.append(there)
        layers = through(self.blocks, side_by_side(*rows), side_by_side(*present), condition)
        last = torch.split(layers[-1], list(self._most.values()), dim=1)
        objects = {
            name: made(part).flatten(1)
            for name, made, part in zip(self._most, self.made, last, strict=True)
        }
        return objects, [[layer] for layer in layers]


@NETWORKS.register
class SetsConfig(StructuredConfig):
    """Configuration of networks of objects: critics, encoders, generators, decoders.

    Objects that are seen become rows of `width` numbers, and pass so many `blocks`: each by itself
    (`deep-sets`, Zaheer et al., arXiv:1703.06114, theorem 2) or each by all that are present, by
    so many `heads` (`attention`). Their sum, mean or largest is what the trunk sees, beside the
    share of objects that are present; so no order of seen objects matters. Objects that are made
    begin as rows of learned numbers beside what the trunk makes, or as the rows of seen objects of
    the same name (then they follow their order), and pass as many blocks.

    With `masked`, an object whose numbers are all exactly zero is absent, as in what critics see.
    Where absent objects are filled with noise, as in what encoders and velocity fields see, set it
    to false: then all are present. With `split_noise`, a network that sees numbers only shares them
    out: each row of objects begins with numbers of its own, and the trunk sees those that are left.
    """

    kind: Literal["sets"] = "sets"
    width: PositiveInt = 64
    blocks: NonNegativeInt = 2
    body: Literal["deep-sets", "attention"] = "deep-sets"
    heads: PositiveInt = 4
    pooling: Pooling = "mean"
    masked: bool = True
    split_noise: bool = False

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.body == "attention" and self.width % self.heads:
            raise ValueError(
                f"heads: {self.heads} heads cannot share a width of {self.width}; take a divisor"
            )
        return self

    def build(self, seen: Space, conditions: int, out: Space) -> Structured:
        """Build the network with freshly drawn weights.

        Raises:
            ConfigError: a part is neither objects nor numbers, no part is objects, or there is no
                noise to split.
        """
        self.require_input(seen, conditions)
        self.require_parts(seen, out, rank=2, what="objects")
        config = self
        if self.split_noise:
            config, seen = self.model_copy(update={"masked": False}), shared_out(seen, out)
        return Structured(config, SetsEncoder, SetsDecoder, seen, conditions, out)

    def rows(self, conditions: int) -> nn.ModuleList:
        """Build the blocks of rows."""
        block = SelfAttention if self.body == "attention" else RowByRow
        return nn.ModuleList(block(self, conditions) for _ in range(self.blocks))


def shared_out(seen: Space, out: Space) -> Space:
    """Return the layout of seen numbers as equal shares for each row of objects, and the rest.

    Raises:
        ConfigError: they are not numbers only, too few, or for no objects.
    """
    objects = divided(out)[1].parts
    if divided(seen)[1].parts or not objects:
        raise ConfigError(
            "split_noise: a network that sees objects or makes none has no rows to share noise out "
            "to; leave it out"
        )
    rows = sum(part.shape[0] for part in objects.values())
    share, rest = divmod(seen.width, rows)
    if share == 0:
        raise ConfigError(
            f"split_noise: {seen.width} numbers are too few for {rows} objects; give the network "
            f"at least {rows}, or leave it out"
        )
    shares = {name: Part((part.shape[0], share)) for name, part in objects.items()}
    return Space(shares | ({REST: Part((rest,))} if rest else {}))


def through(
    blocks: nn.ModuleList, rows: Tensor, present: Tensor, condition: Tensor
) -> list[Tensor]:
    """Return rows (B, K, width) under condition (B, c), and what each block makes of them."""
    given = per_row(condition, rows.shape[1])
    flat, made = rows.flatten(0, 1), [rows]
    for block in blocks:
        flat = block(flat, present, given)
        made.append(flat.view_as(rows))
    return made


def per_row(x: Tensor, rows: int) -> Tensor:
    """Return vectors (B, n) once for each of so many rows, (B·rows, n)."""
    return x[:, None].expand(-1, rows, -1).flatten(0, 1)


def pooled(rows: Tensor, present: Tensor, how: Pooling) -> Tensor:
    """Return one vector (B, width) of the rows (B, K, width) that are present; of none, zeros."""
    there = present[..., None]
    if how == "max":
        largest = rows.masked_fill(~there, torch.finfo(rows.dtype).min).amax(dim=1)
        return torch.where(there.any(dim=1), largest, 0.0)
    total = torch.where(there, rows, 0.0).sum(dim=1)
    return total if how == "sum" else total / there.sum(dim=1).clamp(min=1)


def masked_softmax(scores: Tensor, present: Tensor) -> Tensor:
    """Return weights (..., K) that sum to one over what is present; equal ones if nothing is."""
    return scores.masked_fill(~present, torch.finfo(scores.dtype).min).softmax(dim=-1)
