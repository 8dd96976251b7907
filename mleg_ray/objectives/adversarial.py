"""Objectives of adversaries: classifiers, distances of Wasserstein, embeddings in a kernel."""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field as Option
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import softplus

from mleg_ray.events import Batch
from mleg_ray.models.gan import GAN
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, Seen, Traits, Views
from mleg_ray.objectives.discrepancy import Bandwidths, mean_kernel, mmd2
from mleg_ray.randomness import Noise


class Adversarial(Objective):
    """A critic tells generated from real events; the generator moves to where it cannot.

    Each of the critic's moves sees the first `critic_share` of a minibatch alone.
    """

    critic: ClassVar[str] = "critic"  # the player
    fakes: ClassVar[int] = 1  # how many events are generated for each real one
    critic_updates: PositiveInt
    critic_share: float = Option(default=1.0, gt=0, le=1)

    @property
    def traits(self) -> Traits:
        """The critic moves so many times before each move of the generator."""
        return Traits({self.critic: self.critic_updates, "generator": 1})

    def loss(
        self,
        player: str,
        model: GAN,
        seen: Seen,
        batch: Batch,
        *,
        noise: Noise,
        measured: Callable[[Tensor, Tensor, Noise], Tensor] = lambda features, *_: features,
    ) -> Loss:
        """Return the loss of the critic or the `generator`, and its parts.

        `measured` is what of generated features (B, n), under conditions (B, c), is compared with
        data: these, unless they are seen through a detector.
        """
        if player != "generator":
            batch = batch[: math.ceil(self.critic_share * len(batch))]
        condition = batch.condition

        def generated() -> Tensor:
            draws = model.noise_space.draw_from(noise, len(batch))
            return measured(model.decode(draws, condition), condition, noise)

        with torch.set_grad_enabled(player == "generator"):
            made = [generated() for _ in range(self.fakes)]
            fake, *others = (seen.view(some, condition) for some in made)
        with torch.no_grad():
            real = seen.view(batch.x, condition)
        views = Views(real, fake, condition, batch.weight, tuple(others))
        if player != "generator":
            return self.critic_loss(model.critic, views, noise)
        return self.generator_loss(model.critic, views)._replace(made=made[0])

    @abstractmethod
    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return the critic's loss."""

    @abstractmethod
    def generator_loss(self, critic: nn.Module, views: Views) -> Loss:
        """Return the generator's loss."""


class ScoreAdversarial(Adversarial):
    """Adversaries by one score D(x) for each event, joined by η·MMD² for the generator.

    The discrepancy, with the weight η and the kernel's widths σ, is FAT-GAN's (arXiv:2001.11103,
    eq. 4); any score-based loss can have it.
    """

    mmd_weight: NonNegativeFloat = 0.0
    mmd_bandwidths: Bandwidths = (1.0,)

    @property
    def traits(self) -> Traits:
        """An MMD couples the events."""
        return super().traits._replace(couples_events=self.mmd_weight > 0)

    def generator_loss(self, critic: nn.Module, views: Views) -> Loss:
        """Return what the generator's scores cost, plus η·MMD²."""
        score = views.mean(self.cost(critic(views.fake, views.condition)))
        if self.mmd_weight == 0:
            return Loss(score, {"adversarial": score})
        w = views.weight
        discrepancy = mmd2(views.real, views.fake, w, w, self.mmd_bandwidths)
        parts = {"adversarial": score, "mmd2": discrepancy}
        return Loss(score + self.mmd_weight * discrepancy, parts)

    @abstractmethod
    def cost(self, scores: Tensor) -> Tensor:
        """Return what generated events with these scores (B, 1) cost the generator, (B, 1)."""


class CrossEntropy(ScoreAdversarial):
    """What adversaries share whose critic's score is the log-odds that an event is real.

    Critic: -E_w[log σ(D(x))] - E_w[log(1 - σ(D(x̃)))] (Goodfellow et al., arXiv:1406.2661, eq. 1).
    Generator: -E_w[log σ(D(x̃))], which does not saturate (sec. 3).
    """

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return the cross entropy and its two parts."""
        real = views.mean(softplus(-critic(views.real, views.condition)))
        fake = views.mean(softplus(critic(views.fake, views.condition)))
        return Loss(real + fake, {"on_real": real, "on_generated": fake})

    def cost(self, scores: Tensor) -> Tensor:
        """Return -log σ(D(x̃))."""
        return softplus(-scores)


@OBJECTIVES.register
class Vanilla(CrossEntropy):
    """The first GAN: a cross entropy and nothing else."""

    kind: Literal["vanilla-gan"] = "vanilla-gan"


@OBJECTIVES.register
class VanillaPenalised(CrossEntropy):
    """The first GAN with a penalty on the critic's slope at real events, γ/2 E_w[|∇D(x)|²].

    γ is `gradient_penalty`. D is the score, the log-odds (Mescheder et al., arXiv:1801.04406, eq.
    9), or σ of it where the `probability` is `penalised`: M. S. Albergo (dissertation, 2018, table
    2.1), who calls this GAN-DP, has no other D than one that ends in a σ.
    """

    kind: Literal["gan-dp"] = "gan-dp"
    gradient_penalty: NonNegativeFloat
    penalised: Literal["logit", "probability"] = "logit"

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return the cross entropy plus the penalty."""
        entropy = super().critic_loss(critic, views, noise)
        points = views.real.detach().requires_grad_()
        scores = critic(points, views.condition)
        if self.penalised == "probability":
            scores = scores.sigmoid()
        penalty = views.mean(slopes(scores, points).square())
        value = entropy.value + self.gradient_penalty / 2 * penalty
        return Loss(value, entropy.parts | {"gradient_penalty": penalty})


@OBJECTIVES.register
class LeastSquares(ScoreAdversarial):
    """LSGAN: the critic's score is drawn to b on real events and to a on generated ones.

    Critic: E_w[(D(x) - b)²]/2 + E_w[(D(x̃) - a)²]/2; generator: E_w[(D(x̃) - c)²]/2 (Mao et al.,
    arXiv:1611.04076, eq. 2). With b - c = 1 and b - a = 2, such as a, b, c = -1, 1, 0 (eq. 9), the
    generator minimises Pearson's χ² between p + p̃ and 2 p̃; with c = b, as by default, generated
    events are to be as real as can be.
    """

    kind: Literal["lsgan"] = "lsgan"
    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return the squared distances from b and a."""
        real = views.mean((critic(views.real, views.condition) - self.b).square()) / 2
        fake = views.mean((critic(views.fake, views.condition) - self.a).square()) / 2
        return Loss(real + fake, {"on_real": real, "on_generated": fake})

    def cost(self, scores: Tensor) -> Tensor:
        """Return (D(x̃) - c)²/2."""
        return (scores - self.c).square() / 2


class Wasserstein(ScoreAdversarial):
    """Critic: E_w[D(x̃)] - E_w[D(x)] plus what keeps its slope bounded; generator: -E_w[D(x̃)].

    Source: Arjovsky et al., arXiv:1701.07875, eq. 2 and 3.
    """

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return minus the estimated distance, plus the penalty on slopes."""
        penalty = self.penalty(critic, views, noise)
        real, fake = (critic(view, views.condition) for view in (views.real, views.fake))
        distance = views.mean(real) - views.mean(fake)
        return Loss(penalty.value - distance, {"wasserstein": distance} | penalty.parts)

    def cost(self, scores: Tensor) -> Tensor:
        """Return -D(x̃)."""
        return -scores

    def penalty(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return what is added to the critic's loss: nothing."""
        return Loss(views.weight.new_zeros(()), {})


@OBJECTIVES.register
class WassersteinGP(Wasserstein):
    """WGAN with gradient penalty, λ E_w[(|∇D(x̂)| - 1)²], of the weight λ = `gradient_penalty`.

    x̂ is uniform on the line between a real and a generated view (Gulrajani et al.,
    arXiv:1704.00028, eq. 3). One-sided, only slopes above one are penalised (sec. 4; Petzka et al.,
    arXiv:1709.08894, eq. 8).
    """

    kind: Literal["wgan-gp"] = "wgan-gp"
    gradient_penalty: NonNegativeFloat
    one_sided: bool = False

    def penalty(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return the gradient penalty."""
        between = points_between(views, noise)
        excess = slopes(critic(between, views.condition), between) - 1
        if self.one_sided:
            excess = excess.clamp(min=0)
        penalty = views.mean(excess.square())
        return Loss(self.gradient_penalty * penalty, {"gradient_penalty": penalty})


@OBJECTIVES.register
class WassersteinClipped(Wasserstein):
    """WGAN whose critic's weights are clipped to [-c, c] after each of its moves; c is `clip`.

    Source: Arjovsky et al., arXiv:1701.07875, algorithm 1.
    """

    kind: Literal["wgan-clipped"] = "wgan-clipped"
    clip: PositiveFloat = 0.01

    def constrain(self, player: str, module: nn.Module) -> None:
        """Clip the critic's weights."""
        if player == "critic":
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.clamp_(-self.clip, self.clip)


@OBJECTIVES.register
class MMDGAN(Adversarial):
    """The generator minimises MMD²(h(x), h(x̃)), the critic h maximises it.

    Source: Li et al., arXiv:1705.08584, eq. 4, without its autoencoder, with kernels of the
    `bandwidths` σ. Instead of clipped weights the gradient of the witness
    f(·) = E[k(h(·), h(x))] - E[k(h(·), h(x̃))] is drawn to one between real and generated views, by
    λ = `gradient_penalty` (Bińkowski et al., arXiv:1801.01401, eq. 6).
    """

    critic: ClassVar[str] = "embedding"
    kind: Literal["mmd-gan"] = "mmd-gan"
    bandwidths: Bandwidths
    gradient_penalty: NonNegativeFloat

    @property
    def traits(self) -> Traits:
        """Events are coupled."""
        return super().traits._replace(couples_events=True)

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return minus the discrepancy of the embedded views, plus λ times the penalty."""
        real, fake, discrepancy = self._embedded(critic, views)
        between = points_between(views, noise)
        embedded, w = critic(between, views.condition), views.weight
        ones = torch.ones_like(w)
        # A sum over the points between: each one's gradient is that of its own witness.
        witness = len(w) * (
            mean_kernel(embedded, real, ones, w, self.bandwidths)
            - mean_kernel(embedded, fake, ones, w, self.bandwidths)
        )
        penalty = views.mean((slopes(witness, between) - 1).square())
        parts = {"discrepancy": discrepancy, "gradient_penalty": penalty}
        return Loss(self.gradient_penalty * penalty - discrepancy, parts)

    def generator_loss(self, critic: nn.Module, views: Views) -> Loss:
        """Return the discrepancy of the embedded views."""
        *_, discrepancy = self._embedded(critic, views)
        return Loss(discrepancy, {"adversarial": discrepancy})

    def _embedded(self, critic: nn.Module, views: Views) -> tuple[Tensor, Tensor, Tensor]:
        """Return the embedded views, real and generated, and their MMD²."""
        real, fake = (critic(view, views.condition) for view in (views.real, views.fake))
        return real, fake, mmd2(real, fake, views.weight, views.weight, self.bandwidths)


@OBJECTIVES.register
class Cramer(Adversarial):
    """The generator minimises the energy distance of embedded events, |h(x) - h(x̃)| and so on.

    For each real event x two are generated under its condition, x̃ and x̃', so that the distance
    needs no pairs of different conditions. With f(·) = |h(·) - h(x̃')| - |h(·)| the critic minimises
    E_w[f(x̃)] - E_w[f(x)] + λ E_w[(|∇f(x̂)| - 1)²], of the weight λ = `gradient_penalty`; the
    generator minimises E_w[|h(x) - h(x̃)| + |h(x) - h(x̃')| - |h(x̃) - h(x̃')|] (Bellemare et al.,
    arXiv:1705.10743, algorithm 1). The critic's loss puts h = 0 in the place of a second real
    event. The generator's does not: it would be drawn to h = 0 even where it is right.
    """

    critic: ClassVar[str] = "embedding"
    fakes: ClassVar[int] = 2
    kind: Literal["cramer-gan"] = "cramer-gan"
    gradient_penalty: NonNegativeFloat

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return minus the estimated distance, plus λ times the penalty."""
        (other,) = views.others
        embedded = critic(other, views.condition)

        def f(points: Tensor) -> Tensor:
            own = critic(points, views.condition)
            return distances(own, embedded) - distances(own, torch.zeros_like(own))

        distance = views.mean(f(views.real)) - views.mean(f(views.fake))
        between = points_between(views, noise)
        penalty = views.mean((slopes(f(between), between) - 1).square())
        parts = {"surrogate": distance, "gradient_penalty": penalty}
        return Loss(self.gradient_penalty * penalty - distance, parts)

    def generator_loss(self, critic: nn.Module, views: Views) -> Loss:
        """Return the energy distance, less what the generator does not change."""
        real, fake, other = (
            critic(view, views.condition) for view in (views.real, views.fake, *views.others)
        )
        apart = distances(real, fake) + distances(real, other) - distances(fake, other)
        distance = views.mean(apart)
        return Loss(distance, {"adversarial": distance})


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the distance of each row of a from that of b, both (B, n): (B, 1)."""
    result: Tensor = (a - b).norm(dim=1, keepdim=True)
    return result


def points_between(views: Views, noise: Noise) -> Tensor:
    """Return points (B, views), each uniform on the line between a real and a generated view."""
    share = noise.uniform(len(views.weight), 1)
    return torch.lerp(views.real, views.fake, share).requires_grad_()


def slopes(scores: Tensor, points: Tensor) -> Tensor:
    """Return the norm of each event's gradient of its score, (B, 1); differentiable."""
    (gradient,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
    norm: Tensor = gradient.norm(dim=1, keepdim=True)
    return norm
