"""Small studies for tests, planned and as if they had been run."""

import math
import shutil
from pathlib import Path

import optuna

from mleg_ray.checkpoint import CHECKPOINT, run_uri
from mleg_ray.config import named_folders
from mleg_ray.folder import SealedFolder
from mleg_ray.study.ledger import Ledger, Repeats, StudyPlan, begin
from mleg_ray.study.plan import Job, Plan
from tests.checkpoints import small_checkpoint
from tests.recipes import SMALL

SPACE = """
"training.batch_size" = { kind = "int", low = 16, high = 64 }
"training.optimisers.autoencoder.learning_rate" = { kind = "log-uniform", low = 1e-4, high = 1e-2 }
"""
QUICK = ("training.steps=20", "training.batch_size=64", "selection.every=10")
QUICK = (*SMALL["bvae-dis"], *QUICK, "selection.events=200")


def small_plan(
    folder: Path,
    study: str = "",
    *,
    space: str = SPACE,
    trials: int = 10,
    run: tuple[str, ...] = (),
) -> Plan:
    """Return a plan around a small β-VAE; its recipe is written into the folder."""
    path = folder / "small.toml"
    recipe = (named_folders("tuning")[0] / "bvae-dis.toml").read_text().split("\n# Around")[0]
    path.write_text(f"{recipe}\n[space]\n{space}\n[study]\ntrials = {trials}\n{study}\n")
    return Plan.load(str(path), (*QUICK, *run))


MIXED = """
"training.batch_size" = { kind = "int", low = 16, high = 1024, log = true }
"training.optimisers.autoencoder.learning_rate" = { kind = "log-uniform", low = 1e-4, high = 1e-2 }
"model.decoder.widths" = { kind = "layers", width = [16, 128], depth = [1, 4] }
"objective.beta" = { kind = "uniform", low = 0.0, high = 0.2 }
"training.optimisers.autoencoder.schedule" = { kind = "choice", values = ["cosine", "constant"] }
"model.decoder.residual" = { kind = "choice", values = [true, false] }

[space."model.decoder.dropout"]
kind = "uniform"
low = 0.0
high = 0.5
when = { "model.decoder.residual" = true }
"""
RATE = "training.optimisers.autoencoder.learning_rate"


def begun(
    plan: Plan, folder: str, *, resume: bool = False, dataset: str = "digest"
) -> optuna.Study:
    """Begin the record of a study, or open it again."""
    return begin(SealedFolder(folder, StudyPlan(plan=plan, dataset=dataset)), resume=resume)


def finished_study(folder: Path, study: str = "", trials: int = 30, space: str = MIXED) -> str:
    """Record a study whose `ks_sum` is least at a rate of 1e-3; nothing is trained."""
    plan = small_plan(folder, study, space=space, trials=trials, run=("training.steps=100",))
    place = folder / "studies" / "toy"
    ledger = Ledger(plan, begun(plan, str(place)))
    small_checkpoint(folder / "checkpoint", recipe="bvae-dis")
    while job := ledger.ask():
        _pretend(ledger, job, place, folder / "checkpoint")
    repeats = Repeats(plan, ledger.study)
    while job := repeats.ask():
        _pretend(repeats, job, place, folder / "checkpoint")
    return str(place)


def _pretend(jobs: Ledger | Repeats, job: Job, place: Path, checkpoint: Path) -> None:
    adam = job.run.training.optimisers["autoencoder"]
    off = math.log10(adam.learning_rate / 1e-3)
    luck = 0.05 * math.sin(100 * job.run.training.seed + 1e4 * adam.learning_rate)
    worth = (0.5 + off**2 + 2e-4 * job.run.training.batch_size) * (1 + luck)
    measured = {
        "c2st_auc": 0.5 + 0.1 * abs(off),
        "throughput": 1e8 / sum(job.run.model.decoder.widths),
    }
    asked = jobs.study.metric_names or []
    best = math.inf
    shutil.copytree(checkpoint, Path(run_uri(str(place), job.name)) / CHECKPOINT)
    for step in range(10, 101, 10):
        now = worth * (1 + 20 / step)
        best = min(best, now)
        result = {
            "step": step,
            "ks_sum": now,
            "best": best,
            "best_step": step,
            "seconds": 0.5 * step,
            "ended": "steps" if step == 100 else "",
            "flops": 2.0 * sum(w * w for w in job.run.model.decoder.widths),
        }
        result |= {name: value for name, value in measured.items() if name in asked}
        if jobs.observe(job, result):
            break
    jobs.finish(job, result)
