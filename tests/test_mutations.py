"""Mutations: one formula is flipped at a time, and tests that have values by hand must notice.

A flipped formula that nobody notices is one that nobody checks. Each mutant names the tests that
must fail; they run in a process of their own, on a copy of the repository in which that one place
differs. `pytest -m slow tests/test_mutations.py` tells the mutants that survive.
"""

import compileall
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("mleg_ray", "benchmarks", "tests", "tuning", "data_catalog")
# What takes long to import, once for all mutants; nothing of this repository.
PRELOADED = (
    "hypothesis",
    "pyarrow.parquet",
    "pydantic",
    "s3fs",
    "safetensors.torch",
    "scipy.stats",
    "sklearn.ensemble",
    "torch.distributed.tensor",
    "typer.testing",
    "zuko",
)


@dataclass(frozen=True)
class Mutant:
    """A place of a file, what stands there instead, and the tests that must fail.

    `survives` says why an equivalent mutant, which changes no result, is not noticed.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]  # files, and maybe `-k` and an expression
    survives: str = ""


def mutants(
    file: str, tests: str, *flips: tuple[str, str] | tuple[str, str, str], k: str = ""
) -> list[Mutant]:
    """Return the mutants of a file, noticed by the same tests; a third text is `survives`."""
    chosen = (*tests.split(), *(("-k", k) if k else ()))
    return [Mutant(file, old, new, chosen, *why) for old, new, *why in flips]


VALUES = "tests/features/test_values.py"
STEPS = "tests/features/test_steps.py"
COLLIDER = "tests/features/test_collider_steps.py"
LOSSES = "tests/objectives/test_losses.py"
METRICS = "tests/evaluation/metrics"
STATISTICS = "tests/evaluation/statistics"

MUTANTS = [
    # What a critic sees.
    *mutants(
        "tuning/cfatgan.toml",
        VALUES,
        ("product(electron.px, electron.pz)", "product(electron.px, electron.py)"),
        ("product(electron.py, electron.pz)", "product(electron.px, electron.py)"),
    ),
    *mutants(
        "tuning/fatgan.toml",
        VALUES,
        ("kinematics.cot_theta(electron)", "kinematics.polar_angle(electron)"),
        ('  "electron.energy",\n', ""),
    ),
    *mutants(
        "tuning/fatgan-clas.toml",
        VALUES,
        ("kinematics.sin_turns(electron.phi, 6)", "kinematics.sin_turns(electron.phi, 3)"),
    ),
    *mutants(
        "tuning/fatgan-photoproduction.toml",
        VALUES,
        ("photoproduction.pair_mass(p, pim)", "photoproduction.pair_mass(p, pip)"),
    ),
    *mutants(
        "mleg_ray/physics/kinematics.py",
        VALUES,
        ("return torch.hypot(px, py)\n", "return torch.hypot(px, py).square()\n"),
        ("return pz / torch.hypot(px, py)\n", "return pz * torch.hypot(px, py)\n"),
        ("return first * second", "return first + second"),
        ("return torch.cos(times * math.pi", "return torch.cos(math.pi"),
        ("torch.atan2(torch.hypot(px, py), pz)", "torch.atan2(pz, torch.hypot(px, py))"),
        ("return torch.atan2(py, px)", "return torch.atan2(px, py)"),
        ("torch.where(pz > 0, transverse", "torch.where(pz < 0, transverse"),
        ("+ mass**2).sqrt()", "+ mass).sqrt()"),
    ),
    *mutants(
        "mleg_ray/physics/electromagnetic.py",
        "tests/physics/test_electromagnetic.py",
        ("- (1 + 3 * k) / (1 + 2 * k) ** 2", "- (1 + 3 * k) / (1 + 2 * k)"),
        ("share + 1 / share - t * (2 - t)", "share + 1 / share - t * (1 - t)"),
        ("Z * (Z + 1) * (first + second * Z", "Z * Z * (first - second * Z"),
        ("math.log(1194 * Z ** (-2 / 3))", "math.log(1194 * Z ** (-1 / 3))"),
        ("math.log(184.15 * Z ** (-1 / 3))", "math.log(184.15 * Z ** (-2 / 3))"),
        ("f = 1 - b2 + (t**2 / 8", "f = 1 + b2 + (t**2 / 8"),
        ("b2 / 12 * (23 + 14 / y", "b2 / 12 * (23 - 14 / y"),
        ("a * np.maximum(x1 - x, 0) ** m", "a * np.maximum(x1 - x, 0) * m"),
        ("- mixed * transfer / rest", "+ mixed * transfer / rest"),
        ("b3, b4 = half**2 + half**3", "b3, b4 = half**2 - half**3"),
        ("loss if charge < 0 else loss * _pos", "loss if charge > 0 else loss * _pos"),
        ("-((g + 1) ** 2) + (g**2 + 4", "(g + 1) ** 2 + (g**2 + 4"),
        ("section * (1 + material.charges / nuclei)", "section"),
    ),
    *mutants(
        "mleg_ray/physics/showers.py",
        "tests/physics/test_showers.py",
        ("losing = em.collision_loss(material, energy, charge) - hard + below", "losing = below"),
        ("np.sqrt(step * rates[:, STRAGGLING])", "10 * np.sqrt(step * rates[:, STRAGGLING])"),
        ("radiating = above * np.log(energy / PHOTON_CUT) * scale", "radiating = above * scale"),
        ("left[ENERGY] + 2 * MASS * (left[CHARGE] > 0)", "left[ENERGY]"),
        ("np.full(n, MASS), direction", "np.full(n, 2 * MASS), direction"),
        ("part * (energy + 2 * MASS), photon", "part * energy, photon"),
        ("kinetic = np.maximum(total - MASS, 0)", "kinetic = np.maximum(total, 0)"),
        ("energy - binding, gone[DIRECTION]", "energy, gone[DIRECTION]"),
        ("w * cos - across * c]", "w * cos + across * c]"),
        (
            "(plane * of.cells + row) * of.cells + column",
            "(plane * of.cells + column) * of.cells + row",
        ),
        ("distance * transport], axis=1)", "2 * distance * transport], axis=1)"),
    ),
    *mutants(
        "mleg_ray/catalog/sources/showers.py",
        "tests/catalog/test_shower_sources.py",
        ("drawn, drawn + last - first)", "drawn, drawn)"),
        ("self.spot * (rng.random((2, n)) - 0.5)", "self.spot * rng.random((2, n))"),
        ("bool(conditions) == bool(self.energies", "bool(conditions) != bool(self.energies"),
    ),
    *mutants(
        "mleg_ray/catalog/sources/penelope.py",
        "tests/catalog/test_shower_sources.py",
        ("start = x - np.tan(theta)", "start = x + np.tan(theta)"),
        ("(0, 0, 1, -edge)", "(0, 0, 1, edge)"),
        ("number * e.A / material.molar_mass", "number * e.Z / material.molar_mass"),
    ),
    *mutants(
        "mleg_ray/physics/images.py",
        "tests/physics/test_images.py",
        ("return total(image[:, number])", "return total(image[:, :number])"),
    ),
    *mutants(
        "mleg_ray/features/view.py",
        "tests/features/test_map.py",
        ("label: function(math.pi * known[name])", "label: function(known[name])"),
        k="seam",
    ),
    # The steps.
    *mutants(
        "mleg_ray/features/steps/dis_lightcone.py",
        VALUES,
        ("lost = 2 * columns[self._beam] -", "lost = 6 * columns[self._beam] -"),
        ("plus = 2 * columns[self._beam] -", "plus = 6 * columns[self._beam] -"),
        ("- momentum(px, py, pz) - pz", "- momentum(px, py, pz) + pz"),
        ("(plus - minus) / 2, (plus + minus) / 2", "(plus + minus) / 2, (plus - minus) / 2"),
        ("/ 2 * minus * lost  #", "/ 2 * minus / lost  #"),
        ("return -(volume * math.pi).log()", "return -volume.log()"),
        ("(px, py, pz, pt.log())", "(px, py, pz, pt)"),
    ),
    *mutants(
        "mleg_ray/features/steps/dis_kinematic.py",
        VALUES,
        ("u1 = excess.log() - torch.log1p(-tau)", "u1 = excess.log() + torch.log1p(-tau)"),
        ("tau = ((self._q2_min + excess) / s)", "tau = (excess / s)"),
        ("log_odds = mirrored.log() - complement", "log_odds = mirrored.log() + complement"),
        ("u2 = log_odds - share.log()", "u2 = log_odds + share.log()"),
        ("- math.log(self._smearing)\n            u2", "\n            u2"),
        ("r = 1 - log_odds.exp() * past", "r = 1 + log_odds.exp() * past"),
        ("(1 / (q2 - self._q2_min) + 1 / (s - q2)).log()", "(1 / (q2 - self._q2_min)).log()"),
        ("span.log() + log_y)", "span.log() - log_y)"),
        ("math.log(2 / math.pi)", "math.log(2)"),
        ("log_energy_gap = log_beam + log_q2", "log_energy_gap = log_beam - log_q2"),
        ("q2 = (excess + self._q2_min) / (1 + excess / s)", "q2 = excess + self._q2_min"),
        ("log_minus = log_q2 - math.log(2) - log_beam", "log_minus = log_q2 - log_beam"),
        ("beyond = fraction / rest * past", "beyond = rest / fraction * past"),
    ),
    *mutants(
        "mleg_ray/features/steps/dis_kinematic.py",
        STEPS,
        ("inside & (rest >= self._resolution)", "inside"),
    ),
    *mutants(
        "mleg_ray/features/steps/spherical.py",
        VALUES,
        ("volume = 2 * momentum", "volume = momentum"),
        ("pt = p * theta.sin()", "pt = p * theta.cos()"),
        ("-volume - math.log(math.pi)", "-volume"),
        ("azimuth(px, py) / math.pi", "azimuth(px, py)"),
    ),
    *mutants(
        "mleg_ray/features/steps/transverse.py",
        VALUES,
        ("pt * eta.sinh()", "pt * eta.cosh()"),
        ("transverse_momentum(px, py).log() + momentum", "2 * momentum"),
    ),
    *mutants(
        "mleg_ray/features/steps/pair.py",
        VALUES,
        ("2 * (more + pt1 * pt2 * pair.opening)", "2 * pt1 * pt2 * pair.opening"),
        ("/ math.pi - 1)", "/ math.pi)"),
        ("pt2.log() - pt1.log()), strict", "pt1.log() - pt2.log()), strict"),
        ("b < 0, (root - b)", "b < 0, (root + b)"),
        ("-2 * c / (root + b", "-c / (root + b"),
        ("unequal + 2 * pt1", "unequal + pt1"),
        ("(grows / mass).log()", "grows.log()"),
        ("- pt2.log() - math.log(math.pi)", "- pt2.log()"),
        ("2 * (dphi / 2).sin().square()", "2 * (dphi / 2).cos().square()"),
        k="pair",
    ),
    *mutants(
        "mleg_ray/features/steps/pair.py",
        COLLIDER,
        (".clamp(min=self._least)", ".clamp(min=0)"),
        ("(pt2 <= LEAST) | at_rest", "(pt2 <= LEAST) & at_rest"),
        k="Pair",
    ),
    *mutants(
        "mleg_ray/features/steps/acceptance.py",
        VALUES,
        ("(2 * self._threshold**2 * opening).log()", "(self._threshold**2 * opening).log()"),
        ("(mass / self._threshold).square() / 2 -", "(mass / self._threshold).square() -"),
        ("/ 2 - self._opening(columns)", "/ 2 + self._opening(columns)"),
        ("(most.clamp(min=LEAST) / 2)", "most.clamp(min=LEAST)"),
        ("(eta - width).clamp(min=-self._reach)", "(eta - width)"),
        ("columns[self.uses[1]] / 2).cos()", "columns[self.uses[1]] / 2).sin()"),
        ("+ (high - low).log()", "- (high - low).log()"),
        k="acceptance",
    ),
    *mutants(
        "mleg_ray/features/steps/acceptance.py",
        COLLIDER,
        ("return first | light | far[0] | far[1]", "return light | far[0] | far[1]"),
        ("return first | light | far[0] | far[1]", "return first | light | far[0]"),
        k="Acceptance",
    ),
    *mutants(
        "mleg_ray/features/steps/rotation.py",
        VALUES,
        ("names], -angle)", "names], angle)"),
        ("level = level - math.log(2)", "level = level + math.log(2)"),
        ("-math.log(math.pi))", "math.log(math.pi))"),
        ("px * angle.sin() + py", "px * angle.sin() - py"),
        k="rotation",
    ),
    *mutants(
        "mleg_ray/features/steps/reflection.py",
        COLLIDER,
        (">= 1", "< 1"),
        ("torch.where(below, u - 1, u)", "torch.where(below, u, u - 1)"),
        k="Reflection",
    ),
    *mutants(
        "mleg_ray/features/steps/ordered.py",
        VALUES,
        ("z[:, 1:] * (1 - ratios)], dim=1).log()", "z[:, 1:] * ratios], dim=1).log()"),
        ("self._above + logs.exp()", "logs.exp()"),
        k="ordered",
    ),
    *mutants(
        "mleg_ray/features/steps/ordered.py",
        COLLIDER,
        ("(ratios > 1 - self._resolution)", "(ratios > 1)"),
        ("ratios < self._resolution", "ratios < 0"),
        k="Ordered",
    ),
    *mutants(
        "mleg_ray/features/steps/slots.py",
        COLLIDER,
        ("made.columns[self._key] > self._above", "made.columns[self._key] > -1"),
        ("dim=1, descending=True, stable=True)", "dim=1, stable=True)"),
        ("torch.where(there, values, 0).gather(1, order)", "values.gather(1, order)"),
        ("torch.where(there, values, 0).gather(1, order)", "torch.where(there, values, 0)"),
        ("columns[self._key] <= self._above", "columns[self._key] < 0"),
        k="Slots",
    ),
    *mutants(
        "mleg_ray/features/steps/spike.py",
        VALUES,
        ("(1 + math.log(2 * math.pi)) / 2", "math.log(2 * math.pi) / 2"),
        ("ENTROPY + self.std[i].log()", "ENTROPY"),
        ("torch.where(above, -self._log(x)", "torch.where(above, self._log(x)"),
        ("self._above + columns[log].exp()", "columns[log].exp()"),
        k="spike",
    ),
    *mutants(
        "mleg_ray/features/steps/spike.py",
        COLLIDER,
        ("+ self.std[i] * e)", "+ e)"),
        ("weight[above].abs()", "weight[above]"),
        k="Spike",
    ),
    *mutants(
        "mleg_ray/features/steps/quantile.py",
        VALUES,
        ("- far - self.get_buffer", "+ far - self.get_buffer"),
        ("+ math.log(2 * math.pi)) / 2", ") / 2"),
        ("slope = slope + math.log(2)", "slope = slope - math.log(2)"),
        ("log_ndtr(-sign * y)", "log_ndtr(sign * y)"),
        ("_normal(below) - _normal(above)", "_normal(below)"),
        k="quantile",
    ),
    *mutants(
        "mleg_ray/features/quantiles.py",
        "tests/features/test_quantiles.py",
        ("cumsum(0) - weights / 2) / weights.sum()", "cumsum(0)) / weights.sum()"),
        ("side * (self._values - edge)", "self._values - edge"),
        ("(0, group, weights * values)", "(0, group, values)"),
    ),
    *mutants(
        "mleg_ray/features/steps/category.py",
        COLLIDER,
        ("argmax(dim=0)", "argmin(dim=0)"),
        k="Category",
    ),
    *mutants(
        "mleg_ray/features/steps/dequantise.py",
        COLLIDER,
        ("return y.floor()", "return y.round()"),
        ("self.sigma * drawn", "drawn"),
        k="Gaussian",
    ),
    *mutants(
        "mleg_ray/features/map.py",
        COLLIDER,
        ("before = self._chain[:number]", "before = self._chain[:0]"),
        k="Learning",
    ),
    *mutants(
        "mleg_ray/features/steps/electron_response.py",
        VALUES,
        ("(p / p_v).log()", "p / p_v"),
        ("turned = math.pi * wrapped((phi - phi_v) / math.pi)", "turned = phi - phi_v"),
        ("return -3 * p.log()", "return -2 * p.log()"),
        ("theta - theta_v", "theta_v - theta"),
        ("phi_v + turn", "phi_v - turn"),
    ),
    *mutants(
        "mleg_ray/features/steps/mass_shell.py",
        STEPS,
        (".abs() > OFF_SHELL", " > OFF_SHELL"),
    ),
    *mutants(
        "mleg_ray/features/steps/mass.py",
        VALUES,
        ("((energy - p) * (energy + p))", "((energy - p) * (energy - p))"),
        ("torch.hypot(p, mass.clamp(min=0))", "p + mass.clamp(min=0)"),
        ("slope = -(mass / energy)", "slope = (mass / energy)"),
        k="mass",
    ),
    *mutants(
        "mleg_ray/features/steps/mass.py",
        COLLIDER,
        ("mass < RESOLUTION * energy", "mass < 0.0"),
        ("mass.clamp(min=0)", "mass"),
        ("off = p - energy", "off = energy - p"),
        k="Mass",
    ),
    *mutants(
        "mleg_ray/features/steps/pion_pair.py",
        VALUES,
        ("by_share = -(share * (1 - share)).log()", "by_share = -share.log()"),
        ("math.log(2) - (1 - c.square()).log()", "-(1 - c.square()).log()"),
        ("- 2 * math.log(math.pi)", "- math.log(math.pi)"),
        ("cosine = pair[:, 2] / pair", "cosine = -pair[:, 2] / pair"),
        ("torch.atan2(y, x)", "torch.atan2(x, y)"),
        ("(both - turned).sqrt(), mass)", "(both + turned).sqrt(), mass)"),
        ("before * after * cosine)", "before * after)"),
        ("- PROTON_MASS - THRESHOLD", "- PROTON_MASS"),
        ("-sine], dim=1)", "sine], dim=1)"),
    ),
    *mutants(
        "mleg_ray/features/steps/dequantise.py",
        VALUES,
        ("torch.full_like(x, 0.5,", "torch.full_like(x, 0.0,"),
        ("mean = 2 + self.levels", "mean = 2 - self.levels"),
        ("return mean - math.log(self.levels)", "return mean"),
        ("(self.levels * y.sigmoid()).floor()", "(self.levels * y.sigmoid()).round()"),
    ),
    *mutants(
        "mleg_ray/features/steps/count.py",
        STEPS,
        (".sum(dim=1).double()", ".any(dim=1).double()"),
        ("device=count.device) < count", "device=count.device) <= count"),
    ),
    *mutants(
        "mleg_ray/features/steps/elementwise.py",
        VALUES,
        ("return wrapped(x / math.pi)", "return wrapped(x / 2)"),
        ("x.new_full(x.shape, -math.log(math.pi))", "x.new_full(x.shape, math.log(math.pi))"),
        ("return self.above + y.exp()", "return y.exp()"),
        ("return -(x - self.above).log()", "return (x - self.above).log()"),
        ("return self.low + (self.high - self.low)", "return self.low + self.high"),
        ("- math.log(self.high - self.low)", ""),
        ("return (x - self.low) / (self.high - self.low)", "return (x - self.low) / self.high"),
        ("x = self.scale * torch.expm1(y)", "x = torch.expm1(y)"),
        ("- math.log(self.scale)", "+ math.log(self.scale)"),
        ("(columns[self.below] - x).clamp", "(columns[self.below] + x).clamp"),
        ("return columns[self.below] - y.exp()", "return columns[self.below] + y.exp()"),
        ("return -(columns[self.below] - x).log()", "return (columns[self.below] - x).log()"),
        ("return x - columns[self.to]", "return x + columns[self.to]"),
        ("return x.clamp(min=LEAST).log() -", "return x.clamp(min=LEAST).log() +"),
        ("return -x.log()", "return -(x / columns[self.to]).log()"),
    ),
    *mutants(
        "mleg_ray/features/steps/elementwise.py",
        STEPS,
        ("clamp(min=self.resolution).log()", "clamp(min=LEAST).log()"),
        ("return columns[self.below] - x < self.resolution", "return columns[self.below] < x"),
        (".logit(eps=self.resolution)", ".logit(eps=1e-12)"),
        ("x < self.threshold, 0.0", "x <= 2 * self.threshold, 0.0"),
        ("| (share > 1 - self.resolution)", ""),
    ),
    *mutants(
        "mleg_ray/features/steps/dis_kinematic.py",
        "tests/features/test_dis_steps.py",
        ("pz * (1 / beam - 1 / proton_beam)", "pz * (1 / beam + 1 / proton_beam)"),
        ("1 + electron_beam / proton_beam", "1 + proton_beam / electron_beam"),
        ("span = whole.clamp(max=self._longest)", "span = whole"),
        ("log_beam + proton_beam.log()", "2 * log_beam"),
    ),
    # What a detector measures.
    *mutants(
        "mleg_ray/physics/detector.py",
        "tests/physics/test_detector.py tests/catalog/test_spectrometer.py",
        ("return torch.hypot(sagitta * p", "return torch.hypot(sagitta / p"),
        ("stochastic * energy.rsqrt()", "stochastic / energy"),
        ("1 + resolution * noise[:, 0]", "1 - resolution * noise[:, 0]"),
        ("theta * noise[:, 1]", "theta * noise[:, 0]"),
        ("phi * noise[:, 2]", "theta"),
        k="by_hand or quadrature",
    ),
    *mutants(
        "mleg_ray/catalog/sources/detectors.py",
        "tests/catalog/test_spectrometer.py",
        ("own * other / torch.hypot(own, other)", "own * other / (own + other)"),
        ("self.scale * zone.resolution", "zone.resolution"),
        ("self.identification * zone.efficiency", "zone.efficiency"),
        k="one_mean or efficiency",
    ),
    # The losses.
    *mutants(
        "mleg_ray/objectives/adversarial.py",
        LOSSES,
        ("softplus(-critic(views.real", "softplus(critic(views.real"),
        ("return softplus(-scores)", "return -softplus(scores)"),
        ("views.condition) - self.b)", "views.condition) - self.c)"),
        ("views.condition) - self.a)", "views.condition) + self.a)"),
        ("return (scores - self.c).square() / 2", "return (scores - self.c).square()"),
        ("views.mean(real) - views.mean(fake)", "views.mean(fake) - views.mean(real)"),
        ("penalty.value - distance", "penalty.value + distance"),
        ("return -scores", "return scores"),
        ("torch.lerp(views.real, views.fake, share)", "torch.lerp(views.real, views.real, share)"),
        ("noise.uniform(len(views.weight), 1)\n", "noise.uniform(len(views.weight), 1)[:1]\n"),
        ("penalty = views.mean(excess.square())", "penalty = views.mean(excess.abs())"),
        ("excess = excess.clamp(min=0)", "excess = excess.clamp(max=0)"),
        ("views.condition), between) - 1", "views.condition), between)"),
        ("Loss(self.gradient_penalty * penalty, {", "Loss(penalty, {"),
        ("self.gradient_penalty * penalty - discrepancy", "penalty - discrepancy"),
        ("            - mean_kernel(embedded", "            + mean_kernel(embedded"),
        ("witness = len(w) * (", "witness = ("),
        ("gradient.norm(dim=1, keepdim=True)", "gradient.sum(dim=1, keepdim=True)"),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/objectives/adversarial.py",
        LOSSES,
        ("score + self.mmd_weight * discrepancy", "score - self.mmd_weight * discrepancy"),
        ("mmd2(views.real, views.fake, w, w,", "mmd2(views.real, views.fake, w, w / w,"),
        k="joins",
    ),
    *mutants(
        "mleg_ray/objectives/adversarial.py",
        LOSSES,
        ("math.ceil(self.critic_share * len(batch))", "math.floor(self.critic_share * len(batch))"),
        (
            'if player != "generator":\n            batch',
            'if player == "generator":\n            batch',
        ),
        k="share",
    ),
    *mutants(
        "mleg_ray/models/networks/mlp.py",
        "tests/models/networks/test_mlp.py",
        ("nn.init.xavier_uniform_(layer.weight)", "nn.init.xavier_normal_(layer.weight)"),
        ("nn.init.zeros_(layer.bias)", "nn.init.ones_(layer.bias)"),
        k="glorot",
    ),
    *mutants(
        "benchmarks/common/dimuon_pictures.py",
        "tests/benchmarks/test_hashemi.py",
        ('"turned_px": pt * np.cos(turn)', '"turned_px": pt * np.sin(turn)'),
        ("[0] / max(1, len(values))", "[0] / 2"),
    ),
    *mutants(
        "benchmarks/paper/hashemi.py",
        "tests/benchmarks/test_hashemi.py",
        ('if by == "ks_sum" else', 'if by != "ks_sum" else'),
        ('if (seed, int(m["step"])) in kept', "if seed"),
        k="trainings",
    ),
    *mutants(
        "mleg_ray/objectives/adversarial.py",
        f"{LOSSES} tests/objectives/test_unfolding.py",
        ("parameter.clamp_(-self.clip, self.clip)", "parameter.clamp_(max=self.clip)"),
        k="bounds",
    ),
    *mutants(
        "mleg_ray/objectives/discrepancy.py",
        "tests/objectives/test_discrepancy.py",
        ("        - 2 * mean_kernel(x, y", "        - mean_kernel(x, y"),
        ("weight_x, weight_x, bandwidths, without_diagonal=True", "weight_x, weight_x, bandwidths"),
        ("/ (2 * s * s)", "/ (2 * s)"),
        ("alpha=-2", "alpha=-1"),
        ("pairs = u[:, None] * v[None, :]", "pairs = u[:, None] * torch.ones_like(v)[None, :]"),
        ("unit = directions / directions.norm(dim=1, keepdim=True)", "unit = directions"),
        ("weight_y[order].cumsum", "torch.ones_like(weight_y)[order].cumsum"),
        (".cumsum(dim=1).cummax(dim=1).values", ".cumsum(dim=1)"),
        ("b.gather(1, rows)).square()", "b.gather(1, rows)).abs()"),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/objectives/autoencoding.py",
        LOSSES,
        ("(batch.weight * error)", "error"),
        ("return code, beta * kl,", "return code, kl,"),
        ("kl = share * (batch.weight * divergence)", "kl = share * divergence"),
        ("torch.zeros_like(prior))", "prior)"),
        ("return code, self.discrepancy_weight * discrepancy", "return code, discrepancy"),
        ("prior, weight, weight.new_ones(len(prior))", "prior, weight, weight"),
        ("(prior, code, weight, directions)", "(prior, code, torch.ones_like(weight), directions)"),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/objectives/autoencoding.py",
        "tests/objectives/test_autoencoding.py",
        ("1 / model.latent_dim", "1.0"),
        ("return 1 - self.beta if", "return 1.0 if"),
        ("self.share * reconstruction", "reconstruction"),
        ("self.convex and self.beta > 1", "self.convex and self.beta > 2"),
        k="weighs or reward",
    ),
    *mutants(
        "mleg_ray/models/heads.py",
        "tests/models/test_heads.py",
        ("head.bits).sigmoid()", "head.bits).tanh()"),
        ("-(target * logits)", "(target * logits)"),
        ("term.sum(dim=1) for term", "term.mean(dim=1) for term"),
        ("term.mean(dim=1) for term", "term.sum(dim=1) for term"),
        ("yield torch.cat(classes, dim=1)", "yield from classes"),
    ),
    *mutants(
        "mleg_ray/models/table.py",
        "tests/models/test_table.py",
        ("(first * self.cells)", "(first * len(self.rows))"),
        ("second < self.own[cell]", "second > self.own[cell]"),
        ("own[giver] -= 1 - own[filled]", "own[giver] -= own[filled]"),
        ("if own[giver] < 1:", "if own[giver] < 0:"),
    ),
    *mutants(
        "mleg_ray/features/steps/typed_slots.py",
        "tests/features/test_typed_slots.py",
        ("[:, :most]", "[:, -most:]"),
        ("told[0] <= 0.5", "told[0] < 0.5"),
        ("torch.where(present, values.gather(1, order), 0)", "values.gather(1, order)"),
        ("torch.as_tensor(number) > self._most", "torch.as_tensor(number) >= self._most"),
    ),
    *mutants(
        "mleg_ray/features/steps/unary.py",
        VALUES,
        ("> k - 0.5", "> k + 0.5"),
        ("columns[bit] > self._threshold", "columns[bit] > 2 * self._threshold"),
        k="unary",
    ),
    *mutants(
        "mleg_ray/training/plateau.py",
        "tests/training/test_plateau.py",
        ("total < self._least", "total <= self._least"),
        ("self.factor *= self._config.factor", "self.factor = self._config.factor"),
        ("            self._since = 0\n", ""),
    ),
    *mutants(
        "mleg_ray/objectives/parts.py",
        "tests/models/test_parts.py",
        ("(len(some) / len(rows))", "1.0"),
        k="left_out",
    ),
    *mutants(
        "mleg_ray/models/vae.py",
        LOSSES,
        ("log_variance.exp() - 1 - log_variance", "log_variance.exp() - 1 + log_variance"),
        ("(0.5 * log_variance).exp() * noise", "log_variance.exp() * noise"),
        ("kl = 0.5 * (", "kl = ("),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/models/vae.py",
        LOSSES,
        ("+ self.alpha * noise", "+ noise"),
        ("self.reference_condition.copy_(condition[rows])", "pass"),
        k="alpha_vae",
    ),
    *mutants(
        "mleg_ray/objectives/distillation.py",
        LOSSES,
        ("loss = self.regression * regression", "loss = regression"),
        ("loss + self.sliced * sliced", "loss + sliced"),
        ("real, batch.weight, directions", "real, torch.ones_like(batch.weight), directions"),
        ("rows = (chosen * every)", "rows = (0 * chosen)"),
        ("low, high = low / reach, high * reach", "low, high = low * reach, high * reach"),
        ("low * (high / low) ** u", "low + (high - low) * u"),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/objectives/likelihood.py",
        LOSSES,
        ("nll = -(batch.weight * bounded)", "nll = (batch.weight * bounded)"),
        ("batch.weight < 0, log_prob.clamp", "batch.weight > 0, log_prob.clamp"),
        ("nll - seen.mean_log_abs_det", "nll + seen.mean_log_abs_det"),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/objectives/flow_matching.py",
        LOSSES,
        ("(found - velocity).square()", "(found - batch.x).square()"),
        ("batch.weight * error", "error"),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/models/flow_matching.py",
        f"{LOSSES} tests/models/test_flow_matching.py",
        ("return start + time * velocity", "return end + time * velocity"),
        ("wrapped(circle))\n        return start", "circle)\n        return start"),
        ("(v1 + 2 * v2 + 2 * v3 + v4)", "(v1 + 2 * v2 + v3 + 2 * v4)"),
        ("x + step / 2 * v2", "x + step / 2 * v1"),
        ("divide(end - start)", "divide(start - end)"),
        k="by_hand or ways or solver",
    ),
    *mutants(
        "mleg_ray/catalog/formats/particles.py",
        "tests/catalog/test_records.py",
        (
            'np.where(self.part("mass") > 0, self.parts["energy"]',
            'np.where(True, self.parts["energy"]',
        ),
        ("(MASS_NOISE * parts", "(2 * MASS_NOISE * parts"),
        ("energy < momentum * (1 - PRINTED)", "energy < momentum"),
        ('return parts["pt"] * np.cosh(parts["eta"])', 'return parts["pt"]'),
        ('np.arcsinh(parts["pz"]', 'np.arcsinh(-parts["pz"]'),
        ("(NEGATIVE_ENERGY, energy < 0)", "(NEGATIVE_ENERGY, energy < -1e9)"),
    ),
    *mutants(
        "mleg_ray/catalog/formats/dark_machines.py",
        "tests/catalog/test_records.py",
        ('"energy": scale * energy', '"energy": energy'),
        ("values.insert(0, values[0] * math.cosh(values[1]))", "values.insert(0, values[0])"),
        ('"met.pt": scale * numbers', '"met.pt": numbers'),
        ('return text.partition(b";")[2].strip()', "return text"),
        ('ALIASES = {"a": "g"', 'ALIASES = {"a": "b"'),
    ),
    *mutants(
        "mleg_ray/catalog/sources/records.py",
        "tests/catalog/test_records.py",
        ("low < np.median(pt) < high", "low < np.median(pt)"),
        ("(hashes[1:] == hashes[:-1]).sum()", "(hashes[1:] != hashes[:-1]).sum()"),
        ("good[-rows % self._shard_events ::", "good[rows % self._shard_events ::"),
    ),
    *mutants(
        "mleg_ray/physics/tops.py",
        "tests/physics/test_tops.py",
        ("_mass(_hardest(jets, 2)", "_mass(_hardest(jets, 3)"),
        ("_hardest(b_jets, 1).sum(dim=2)\n", "_hardest(b_jets, 2).sum(dim=2)\n"),
        ("leptons[:, 0].argmax", "leptons[:, 0].argmin"),
        ("masses.amin(dim=1)", "masses.amax(dim=1)"),
        ("(_number(leptons) > 0)", "(_number(leptons) > -1)"),
        ("- pz.square()", "+ pz.square()"),
        ("pt * eta.sinh()", "pt * eta.cosh()"),
    ),
    *mutants(
        "mleg_ray/catalog/sources/pythia_pp.py",
        "tests/catalog/test_pythia_pp.py",
        ("counts.kept / counts.made\n            columns", "1.0\n            columns"),
        ("MB_TO_PB, PB_TO_FB = 1e9, 1e3", "MB_TO_PB, PB_TO_FB = 1e9, 1.0"),
        ("MB_TO_PB, PB_TO_FB = 1e9", "MB_TO_PB, PB_TO_FB = 1e12"),
        ("sum(self.shard_rows()[stratum])", "self._config.events // 2"),
        k="weights or cross_section",
    ),
    *mutants(
        "mleg_ray/models/flow.py",
        "tests/models/test_flow.py",
        ("circle.shape[1] * math.log(math.pi)", "circle.shape[1] * math.log(2)"),
        k="integrates",
    ),
    *mutants(
        "mleg_ray/models/flow.py",
        "tests/models/test_flow.py",
        ("-len(self._even) * math.log(2)", "0.0"),
        ("behind = (*self._learned, *self._even)", "behind = (*self._even, *self._learned)"),
        k="Even",
    ),
    *mutants(
        "mleg_ray/optimisers.py",
        "tests/test_optimisers.py",
        ("torch.optim.AdamW(", "torch.optim.Adam("),
        k="adamw",
    ),
    *mutants(
        "benchmarks/common/conditional.py",
        "tests/benchmarks/test_dimuons.py",
        ("by[chosen], edges", "by, edges"),
        ("off = 0.5 / np.sqrt(len(own))", "off = 1.0 / np.sqrt(len(own))"),
        ("np.hypot(self.error, other.error)", "self.error + other.error"),
        ("* (1 / n + 1 / m)", "/ (n + m)"),
        k="Bins",
    ),
    *mutants(
        "benchmarks/common/resonance.py",
        "tests/benchmarks/test_dimuons.py",
        ("resolution, width / 2)", "resolution, width)"),
        ("counts.sum() * (slopes", "(slopes"),
        k="Resonance",
    ),
    *mutants(
        "mleg_ray/models/autoregressive.py",
        "tests/models/test_autoregressive.py",
        ("return torch.full_like(x, -math.log(2))", "return torch.full_like(x, math.log(2))"),
        ("return LOG_NORMAL - x.square() / 2", "return LOG_NORMAL + x.square() / 2"),
        ("weight * self.mask", "weight"),
        ("-len(self._even) * math.log(2)", "0.0"),
        (".level(columns[at]) > above", ".level(columns[at]) >= above"),
        ("absent[factor.position] = ~there", "absent[factor.position] = there"),
        ("torch.where(there[:, None], shown, 0.0)", "shown"),
        (".middle(x)[:, None]", ".level(x).to(x)[:, None] + x[:, None]"),
        ("(*named, *range(space.width))", "range(space.width)"),
    ),
    *mutants(
        "mleg_ray/features/map.py",
        "tests/models/test_autoregressive.py",
        ("(has, 0)", "(has, 1)"),
        ("((count, k),)", "((count, 0),)"),
        k="TestFeatureMap",
    ),
    *mutants(
        "mleg_ray/models/sequence.py",
        "tests/models/test_sequence.py",
        ("torch.where(self.bound, -y, 0.0)", "torch.where(self.bound, y, 0.0)"),
        ("self.limit - y.exp(), y)", "self.limit + y.exp(), y)"),
        ("& self.turn, -math.log(2), logs)", "& self.turn, 0.0, logs)"),
        ("if i != zero else torch.zeros_like(noise[:, i])", ""),
        ("told.cumsum(dim=1) - told)", "told.cumsum(dim=1))"),
        ("queue.rank[rows] > 0)", "queue.rank[rows] >= 0)"),
        ("logs = torch.where(present[rows], logs, 0.0)", "logs = logs"),
        k="density",
    ),
    *mutants(
        "mleg_ray/models/sequence.py",
        "tests/models/test_sequence.py",
        ("sizes * cos, sizes * sin", "sizes * sin, sizes * cos"),
        (".exp()\n        if self._cosine", "\n        if self._cosine"),
        k="vector_sum",
    ),
    *mutants(
        "mleg_ray/models/splines.py",
        "tests/models/test_splines.py",
        ("log_slope - z.square() / 2 + LOG_NORMAL", "log_slope - z.square() / 2"),
        ("return log_slope - math.log(2)", "return log_slope"),
        ("wrapped(x - raw[..., -1])", "wrapped(x + raw[..., -1])"),
        ("(self.level(x).to(x) + 0.5)", "self.level(x).to(x)"),
        ("logit = self.mean + self.std * x", "logit = self.std * x"),
        ("return log_p + log_slope + torch", "return log_p - log_slope + torch"),
        ("(self.number * self.std).log()", "(self.number / self.std).log()"),
        ("(1 - (end - below) / own)", "((end - below) / own)"),
        ("(upper[..., :-1] <= below)", "(upper[..., :-1] > below)"),
        ("s * share.square() + d0 * rest", "s * share + d0 * rest"),
        ("slope = d1 * share.square()", "slope = d0 * share.square()"),
        ("log_slope = 2 * (s / below)", "log_slope = (s / below)"),
        ("- 4 * a * c)", "+ 4 * a * c)"),
        ("math.log(math.expm1(1 - LEAST))", "0.0"),
        ("(1 - len(raw) * LEAST)", "1.0"),
    ),
    *mutants(
        "mleg_ray/objectives/regression.py",
        "tests/objectives/test_regression.py",
        ("variance.clamp(min=1e-12).sqrt()", "variance.clamp(min=1e-12)"),
        ("(weight * values).sum() / weight.sum()", "values.mean()"),
        ("return (weight * (fake - real).square()).mean()", "return (fake - real).square().mean()"),
        ("total = total + term.weight * value", "total = total + value"),
        ("values - _mean(values, weight)).square()", "values - _mean(values, weight)).abs()"),
        ("(_width, 1.0)", "(_width, 0.0)"),
        ("None if term.to == TRAIN_SPLIT else", "None if term.to != TRAIN_SPLIT else"),
    ),
    *mutants(
        "mleg_ray/objectives/unfolding.py",
        "tests/objectives/test_unfolding.py",
        ("noise=noise, measured=self._measured)", "noise=noise)"),
        ("        self.adversary.constrain(player, module)", "        pass"),
        ("vertex.columns[schema.truth.get(n, n)]", "vertex.columns[n]"),
        k="measured or bounds",
    ),
    *mutants(
        "mleg_ray/objectives/unfolding.py",
        "tests/objectives/test_unfolding_likelihood.py",
        ("ratio = ratio - self._response", "ratio = ratio + self._response"),
        ("logsumexp(dim=0) - math.log(k)", "logsumexp(dim=0)"),
        k="smeared_density",
    ),
    *mutants(
        "mleg_ray/models/base.py",
        "tests/objectives/test_unfolding_likelihood.py",
        ("condition) + feature_map.log_abs_det", "condition) - feature_map.log_abs_det"),
        k="smeared_density",
    ),
    *mutants(
        "mleg_ray/models/gan.py",
        "tests/models/test_models.py",
        ("n if config.conditional_critic else 0", "n"),
        (" + angle))", "))"),
        k="sees_conditions or without_noise or turns",
    ),
    # The figures of merit.
    *mutants(
        "mleg_ray/evaluation/metrics/chi2.py",
        f"{METRICS}/test_chi2_ndf.py",
        ("variance = truth.variance + generated.variance", "variance = generated.variance"),
        (
            "generated.scaled(truth.weight.sum() / generated",
            "generated.scaled(truth.weight.sum() / truth",
        ),
        ("np.square(difference) / variance[filled]", "np.square(difference)"),
        ("slope[filled] = difference / variance[filled]", "slope[filled] = difference"),
        ("ndf=len(variance) - 1", "ndf=len(variance)"),
        ("change = sign * 2 * slope - event", "change = sign * 2 * slope + event"),
        ("design * self.first_order - least", "design * self.first_order"),
        ("weight**2 >= MINIMUM_TRUTH_EVENTS * variance", "weight**2 >= MINIMUM_TRUTH_EVENTS"),
        k="value_and_uncertainty or joined",
    ),
    *mutants(
        "mleg_ray/evaluation/metrics/chi2.py",
        f"{METRICS}/test_chi2_all.py",
        ("stats.chi2.sf(test.chi2, test.ndf)", "stats.chi2.sf(test.value, test.ndf)"),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/evaluation/samples/histogram.py",
        f"{METRICS}/test_chi2_ndf.py {METRICS}/test_histograms.py",
        ("self.effective >= MINIMUM_TRUTH_EVENTS", "self.effective > MINIMUM_TRUTH_EVENTS + 5"),
        ("self.weight.sum() / self.variance.sum()", "self.variance.sum() / self.weight.sum()"),
        k="effective_events or joined",
    ),
    *mutants(
        "mleg_ray/evaluation/metrics/histograms.py",
        f"{METRICS}/test_histograms.py",
        ("np.square(g - t)[filled] / t[filled]", "np.square(g - t)[filled] / g[filled]"),
        ("filled = (t > 0) & inside", "filled = t > 0"),
        ("PSEUDO_COUNT = 0.5", "PSEUDO_COUNT = 1.0"),
        ("float(p @ np.log(p / q))", "float(q @ np.log(q / p))"),
        ("0.5 * np.sum(np.square(difference)", "np.sum(np.square(difference)"),
        ("return math.sqrt(max(float(divergence), 0.0))", "return max(float(divergence), 0.0)"),
        ("n = min(truth.counts.sum(), generated.counts.sum())", "n = truth.counts.sum()"),
        ("g = generated.density * t.sum()", "g = generated.weight"),
    ),
    *mutants(
        "mleg_ray/evaluation/statistics/distances.py",
        f"{STATISTICS}/test_distances.py",
        ("order)[ends]).max()", "order)).max()"),
        ("ordered[1:] != ordered[:-1], True", "ordered[1:] == ordered[:-1], True"),
        ("@ steps / scale)", "@ steps)"),
        ("a / a.sum() - b / b.sum()", "a / a.sum() - b / a.sum()"),
        ("n_truth * n_generated / (n_truth + n_generated)", "n_truth + n_generated"),
        ("float(weights.sum()) ** 2 / squares", "float(weights.sum()) / squares"),
        ("np.square(values - w @ values)", "np.square(values)"),
        k="by_hand or limit or effective",
    ),
    *mutants(
        "mleg_ray/evaluation/statistics/ensemble.py",
        f"{STATISTICS}/test_ensemble.py",
        ("np.hypot(self.generated_error, self.truth_error)", "self.generated_error"),
        ("(self.generated - self.truth)", "(self.truth - self.generated)"),
        ("{0.683: 1.0, 0.954: 2.0}", "{0.683: 1.0, 0.954: 3.0}"),
        ("np.mean(size < sigmas)", "np.mean(size > sigmas)"),
        ("size = np.abs(self.pulls)", "size = self.pulls"),
        ("np.square(1 - share) * squares", "squares"),
        ("np.std(shares, axis=0, ddof=1)", "np.std(shares, axis=0)"),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/evaluation/statistics/resampling.py",
        f"{STATISTICS}/test_resampling.py",
        ("floor=float(np.mean(floors))", "floor=float(np.max(floors))"),
        ("np.std(floors, ddof=1)", "np.std(floors)"),
        ("(1 + larger) / (1 + len(floors))", "larger / len(floors)"),
        ("np.asarray(floors) >= value", "np.asarray(floors) > value"),
        ("order[: self.n], order[self.n : 2 * self.n]", "order[: self.n], order[: self.n]"),
        ("rng.poisson(1.0, len(self.truth))", "rng.poisson(2.0, len(self.truth))"),
    ),
    *mutants(
        "mleg_ray/evaluation/metrics/c2st.py",
        f"{METRICS}/test_c2st.py",
        ("np.cumsum(truth) - truth / 2", "np.cumsum(truth)"),
        ("(12 * n_truth * n_generated)", "(n_truth * n_generated)"),
        ("value += mean / 2", "value += mean"),
        ("gain = 1 + gain / math.log(2)", "gain = 1 + gain"),
        ("floor_spread=1 / (math.log(2) * math.sqrt(", "floor_spread=1 / (math.sqrt("),
        ("max(math.sqrt(variance), one_event)", "math.sqrt(variance)"),
        ("(n_generated + 1) / (n_generated + 2), 1 / (n_truth + 2)", "1.0, 0.0"),
        ("a / a.sum() + b / b.sum()\n    target", "a + b\n    target"),
        ("weight = np.exp(-test.score)", "weight = np.exp(test.score)"),
        ("(-score / math.log(10) - low)", "(score / math.log(10) - low)"),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/evaluation/metrics/physics_distances.py",
        f"{METRICS}/test_physics_distances.py",
        ("return mean, covariance / (1 - lost)", "return mean, covariance"),
        ("+ trace - 2 * overlap", "+ trace - overlap"),
        ("np.square(m1 - m2).sum(axis=-1)", "np.abs(m1 - m2).sum(axis=-1)"),
        ("root @ c2 @ root", "c1 @ c2"),
        ("(np.sum(mean_x * mean_x) - own_x)", "np.sum(mean_x * mean_x)"),
        ("within_x + within_y - 2 * np", "within_x + within_y - np"),
        ("features / math.sqrt(d), np.ones", "features / d, np.ones"),
        ("i == j, 1.0, math.sqrt(2)", "i == j, 1.0, 2.0"),
        ("np.square(w) @ np.square", "w @ np.square"),
        k="by_hand or numpys_moments",
    ),
    *mutants(
        "mleg_ray/evaluation/metrics/amplification.py",
        f"{METRICS}/test_amplification.py",
        ("(1 / effective_size(a) + 1 / effective_size(b))", "(1 / effective_size(a))"),
        ("variance = p * (1 - p)", "variance = p"),
        ("float(capacity / value / train_events)", "float(value / capacity / train_events)"),
        ('"edge": (1, 5)', '"edge": (1, 6)'),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/evaluation/metrics/memorisation.py",
        f"{METRICS}/test_memorisation.py",
        ('rank = 2 if whose == "training" else 1', "rank = 1"),
        ('median(distances["generated"])) / own', 'median(distances["generated"]))'),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/evaluation/metrics/correlations.py",
        f"{METRICS}/test_correlations.py",
        ("spread = np.sqrt(np.diag(covariance))", "spread = np.diag(covariance)"),
        ("features - w @ features", "features - features.mean(axis=0)"),
        ("(features, b) - correlation_matrix(features, a)", "(features, b)"),
    ),
    *mutants(
        "mleg_ray/evaluation/metrics/swd.py",
        f"{METRICS}/test_swd.py",
        ("np.abs(gap) @ steps", "gap @ steps"),
        ("/ spreads\n", "\n"),
        k="one_dimension",
    ),
    *mutants(
        "mleg_ray/evaluation/metrics/unphysical.py",
        f"{METRICS}/test_unphysical.py",
        ("floor=whole * floor,", "floor=floor,"),
        ("uncertainty=whole * uncertainty", "uncertainty=uncertainty"),
        ('whole=100, direction="equal"', 'whole=100, direction="lower"'),
    ),
    # What is drawn, and what is learned of and kept.
    *mutants(
        "mleg_ray/sampling/spectra.py",
        "tests/sampling/test_spectra.py",
        ("(math.log(self.high / self.low) * u).exp()", "(1 + (self.high / self.low - 1) * u)"),
        ("return self.low + (self.high - self.low) * u", "return self.high * u"),
        ("(u - shares[chosen]) / size[chosen]", "u - shares[chosen]"),
        k="by_hand",
    ),
    *mutants(
        "mleg_ray/training/batches.py",
        "tests/training/test_batches.py",
        ('derive_seed(seed, "epoch", epoch)', 'derive_seed(seed, "epoch")'),
        ('derive_seed(seed, "chunk", epoch, index)', 'derive_seed(seed, "chunk", index)'),
        (
            "if skip >= len(chunk):",
            "if skip > len(chunk):",
            "nothing is left of a chunk that is skipped whole, and nothing is added",
        ),
        ("Batch.concatenate([rest, chunk])", "chunk"),
        ("torch.poisson(torch.ones(len(events))", "torch.poisson(2 * torch.ones(len(events))"),
        ("events.weighted(events.weight * times)", "events.weighted(times)"),
    ),
    *mutants(
        "mleg_ray/training/selection.py",
        "tests/training/test_loop.py",
        ("TIE = 0.01", "TIE = 0.0"),
        ("return tied[-1] if tied", "return tied[0] if tied"),
        ("1.0 if math.isnan(value)", "0.0 if math.isnan(value)"),
        ("others[: self._keep - 1]", "others[: self._keep]"),
        ("key=lambda one: one.ks_sum", "key=lambda one: -one.ks_sum"),
        k="Selection",
    ),
    *mutants(
        "mleg_ray/training/selection.py",
        "tests/training/test_loop.py",
        ("np.where(np.isnan(ks), np.inf, ks)", "np.where(np.isnan(ks), 0, ks)"),
        ("ranks = scipy.stats.rankdata(", "ranks = np.sum("),
        k="ranks",
    ),
    *mutants(
        "mleg_ray/training/selection.py",
        "tests/training/test_stopping.py",
        ("return since >= config.patience", "return since > config.patience"),
        ("reference * (1 - config.min_improvement)", "reference - config.min_improvement"),
    ),
    *mutants(
        "mleg_ray/physics/dis.py",
        "tests/physics/test_dis.py",
        ("return 4 * electron_beam * proton_beam", "return 4 * electron_beam * electron_beam"),
        ("return 2 * electron_beam * minus", "return electron_beam * minus"),
        ("1 - (momentum(px, py, pz) + pz)", "1 - (momentum(px, py, pz) - pz)"),
        ("return PROTON_MASS**2 + sy", "return sy"),
        ("y_plus = 1 + (1 - inelasticity)", "y_plus = 1 - (1 - inelasticity)"),
    ),
    # Proton collisions.
    *mutants(
        "mleg_ray/catalog/sources/reconstruction.py",
        "tests/catalog/test_reconstruction.py",
        ("total(neutral) - total(overlaid) / 2)", "total(neutral) - total(overlaid))"),
        ("summed: Numbers = own + np.maximum(0, ", "summed: Numbers = np.maximum(0, own + "),
        ("return summed / seen.pt[candidates]", "return summed"),
        ("& (second != index)", "& (second == second)"),
        ("(seen.pt[second] >= cone.pt)", "(seen.pt[second] >= 0)"),
        ("~neutral & (seen.vertex[second] > 0)", "~neutral & (seen.vertex[second] < 0)"),
        ("+ math.pi, 2 * math.pi) - math.pi", "+ math.pi, 4 * math.pi) - math.pi"),
        ("self.stochastic**2 / particles.energy", "self.stochastic**2 / particles.pt"),
        ("(self.slope * particles.pt) ** 2", "self.slope * particles.pt"),
        ("np.sqrt(np.log1p(error[seen] ** 2))", "error[seen]"),
        ("len(width)) - width**2 / 2)", "len(width)))"),
        ("clustered[candidates] = False", "clustered[candidates] = True"),
        ("(seen.charge == 0) | (seen.vertex == 0)", "(seen.charge == 0) | (seen.vertex >= 0)"),
        ("met_py=-_total(", "met_py=_total("),
        ("count.reshape(n, most) >= tracks", "count.reshape(n, most) > tracks"),
        ("np.maximum.at(flavour,", "np.minimum.at(flavour,"),
        ("(np.abs(found.eta) < tag.eta)", "(np.abs(found.eta) > -1)"),
        ("eta=np.arcsinh(pz / pt)", "eta=np.arctanh(pz / energy)"),
        ("mass < LEAST_MASS * energy, 0, mass", "mass < 0, 0, mass"),
    ),
    *mutants(
        "mleg_ray/catalog/sources/pythia_pp.py",
        "tests/catalog/test_pythia_pp.py",
        ("(away > self.gap[0]) & (away < self.gap[1])", "away > self.gap[0]"),
        ("marks &= away < self.eta", "marks &= found.eta < self.eta"),
        ("minlength=n) == 2", "minlength=n) >= 1"),
        ("(one * other < 0)", "(one * other != 0)"),
        ("(mass > low) & (mass < high)", "(mass > low)"),
        ("energy**2 - px**2 - py**2 - pz**2", "energy**2 - px**2 - py**2"),
        ('"eta": found.eta * side[use],', '"eta": found.eta * side[0],'),
        ("_ranks(event)[use]", "0 * _ranks(event)[use]"),
        ("rng.poisson(mean, n)", "np.full(n, int(mean))"),
        ("found.phi + turn[use]", "found.phi + turn[0]"),
        k="cuts or pair or required or overlaid",
    ),
    *mutants(
        "mleg_ray/catalog/sources/slha.py",
        "tests/catalog/test_slha.py",
        ("self.m_stop - self.m_chi > TOP_MASS", "self.m_stop > TOP_MASS"),
        ("{STOP: self.m_stop, NEUTRALINO: self.m_chi}", "{STOP: self.m_chi, NEUTRALINO: 0}"),
        ('block == "block mass"', 'block != "block"'),
    ),
    *mutants(
        "mleg_ray/physics/dark_machines.py",
        "tests/physics/test_dark_machines.py",
        ("~((away > GAP[0]) & (away < GAP[1]))", "(away > 0)"),
        ("eta.abs()", "eta"),
        ("(b_jet_pt > JET_PT)", "(b_jet_pt > 1e9)"),
        ("jets.double() + electrons", "2 * jets.double() + electrons"),
    ),
    *mutants(
        "mleg_ray/physics/kinematics.py",
        "tests/physics/test_kinematics.py",
        ("return pt * eta.cosh()", "return pt * eta.sinh()"),
        ("both: Tensor = first + second", "both: Tensor = first - second"),
        ("- azimuth(second[:, 0], second[:, 1])", "+ azimuth(second[:, 0], second[:, 1])"),
    ),
    *mutants(
        "mleg_ray/physics/objects.py",
        "tests/physics/test_objects.py",
        ("(values > threshold)", "(values >= threshold)"),
    ),
    # What benchmarks judge by, and the rivals.
    *mutants(
        "benchmarks/common/histogram_unfolding.py",
        "tests/benchmarks/test_histogram_unfolding.py",
        ("np.bincount(columns, 1 / seen,", "np.bincount(columns, seen,"),
        ("np.add.at(pairs, (rows, columns), 1.0)", "np.add.at(pairs, (columns, rows), 1.0)"),
        ("migration.pairs.sum(axis=1)", "migration.pairs.sum(axis=0)"),
        ("data * _over(migration.true, measured)", "data * _over(measured, migration.true)"),
        ("efficiency = response.sum(axis=0)", "efficiency = np.ones(len(true))"),
        ("spectrum: FloatArray = true ", "spectrum: FloatArray = np.ones(len(true)) "),
        ("response.T @ _over(data, response @ spectrum)", "response.T @ _over(data, spectrum)"),
        ("spectrum * _over(back, efficiency)", "spectrum * back"),
    ),
    *mutants(
        "benchmarks/common/dis_figures.py",
        "tests/benchmarks/test_dis_figures.py",
        ('"nu1": (q2 / (2 * beam)).log()', '"nu1": (q2 / beam).log()'),
        ('"nu2": (2 * beam * y).log()', '"nu2": (beam * y).log()'),
        ("x = q2 / (dis.mandelstam_s(beam, proton) * y)", "x = q2 / (4 * beam**2 * y)"),
        ("inside, at_x * (len(Q2_EDGES) - 1) + at_q2", "inside, at_x + (len(X_EDGES) - 1) * at_q2"),
        ("[0] / weight.sum()", "[0] / len(weight)"),
        ("sums / np.maximum(counts, 1) / area", "sums / area"),
        ("np.outer(np.diff(X_EDGES), np.diff(Q2_EDGES))", "np.outer(X_EDGES[1:], Q2_EDGES[1:])"),
        ("expected * (1 / len(ones) + 1 / events)", "expected / len(ones)"),
        ("difference[used] ** 2 / variance[used]", "difference[used] / variance[used]"),
        ("np.abs(np.cumsum(difference)).max()", "np.abs(difference).max()"),
        ("v[used] / expected[used]", "v[used]"),
        ("products = (centred[:, 1:] * centred[:, :-1])", "products = (centred[:, 1:] ** 2)"),
    ),
    *mutants(
        "benchmarks/physics/hera.py",
        "tests/benchmarks/test_hera.py",
        (
            "sigma * np.hypot(statistical, uncorrelated) / 100",
            "np.hypot(statistical, uncorrelated)",
        ),
        ("at_q2 * (NEAR_Q2 - 1 / NEAR_Q2) * at_x", "at_q2 * (NEAR_Q2 - 1) * at_x"),
        ("(NEAR_X - 1 / NEAR_X)\n", "(NEAR_X - 1)\n"),
        ("(near > at_x / NEAR_X) & (near < at_x * NEAR_X)", "near < at_x * NEAR_X"),
        ("[at_q2 / NEAR_Q2, at_q2 * NEAR_Q2]", "[at_q2 / NEAR_Q2, at_q2 * NEAR_X]"),
        ("factor[first:last][inside].sum() / area", "inside.sum() / area"),
    ),
]


def name(mutant: Mutant) -> str:
    return f"{Path(mutant.file).stem}: {mutant.old.strip()[:40]} -> {mutant.new.strip()[:40]}"


def test_each_mutant_changes_one_place() -> None:
    texts = {mutant.file: (ROOT / mutant.file).read_text() for mutant in MUTANTS}
    assert [one for one in MUTANTS if texts[one.file].count(one.old) != 1] == []
    assert len({(one.file, one.old, one.new) for one in MUTANTS}) == len(MUTANTS)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which a file may be changed."""
    root = tmp_path_factory.mktemp("repository")
    for folder in COPIED:
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy2(ROOT / "pyproject.toml", root)
    compileall.compile_dir(root, quiet=2)
    return root


@pytest.fixture(scope="module")
def processes(repository: Path) -> Iterator[Executor]:
    """What runs `pytest.main` in the copy, each time in a process that knows nothing of it yet."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    with (
        pytest.MonkeyPatch.context() as patched,
        ProcessPoolExecutor(
            1, context, initializer=os.chdir, initargs=(repository,), max_tasks_per_child=1
        ) as executor,
    ):
        patched.setenv("PYTHONDONTWRITEBYTECODE", "1")  # a mutant leaves nothing behind
        yield executor


def outcome(processes: Executor, tests: tuple[str, ...]) -> pytest.ExitCode:
    quiet = ("-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "--timeout=60")
    return processes.submit(pytest.main, [*quiet, *tests]).result()


@pytest.mark.slow
@pytest.mark.parametrize("tests", sorted({mutant.tests for mutant in MUTANTS}), ids=" ".join)
def test_nothing_is_noticed_where_nothing_is_changed(
    tests: tuple[str, ...], processes: Executor
) -> None:
    assert outcome(processes, tests) is pytest.ExitCode.OK


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=name)
def test_it_is_noticed(mutant: Mutant, processes: Executor, repository: Path) -> None:
    place, kept = repository / mutant.file, repository / "kept"
    shutil.copy2(place, kept)
    place.write_text(place.read_text().replace(mutant.old, mutant.new))
    try:
        found = outcome(processes, mutant.tests)
    finally:
        shutil.move(kept, place)  # with its time, by which Python knows it again
    expected = pytest.ExitCode.OK if mutant.survives else pytest.ExitCode.TESTS_FAILED
    assert found is expected, mutant
