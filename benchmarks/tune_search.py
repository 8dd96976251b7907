"""TPE with pruning beside random search without, at equal wall time.

    python benchmarks/tune_search.py --root FOLDER_OF_THE_TAPES --seconds 1800 --studies 3

Both search the space of a recipe on tape2.txt, in turn, with the study seeds 1, 2, ... Prints the
best `ks_sum` of each study.
"""

import argparse
import time

from common.results import keep
from tape2_quality import DATASET, tape2

from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.tune import run_study
from mleg_ray.storage import absolute
from mleg_ray.study.plan import Plan, RandomSearch


def main() -> None:
    """Search in turn, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--recipe", default="fatgan-quick")
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--studies", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], dest="assignments")
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage = absolute(options.storage)
    rows = []
    with ray_session(spare=0):
        dataset = tape2(options.root, storage)
        for seed in range(1, options.studies + 1):
            plan = Plan.load(options.recipe, (f"dataset={DATASET}", *options.assignments))
            asked = {"trials": 100_000, "seconds": options.seconds, "seed": seed, "repeats": None}
            asked |= {"points": ()}  # a good start would tell both the answer
            tpe = plan.study.model_copy(update=asked)
            random = tpe.model_copy(update={"search": RandomSearch(), "pruning": None})
            for name, study in (("tpe-pruned", tpe), ("random", random)):
                started = time.monotonic()
                summary = run_study(
                    plan.model_copy(update={"study": study}),
                    dataset,
                    storage,
                    name=f"bench-{name}-{seed}-{int(time.time())}",
                )
                wall = time.monotonic() - started
                states = [trial.state for trial in summary.trials]
                row = {
                    "search": name,
                    "seed": seed,
                    "best_ks_sum": summary.ranked[0].figures["ks_sum"],
                    "complete": states.count("complete"),
                    "pruned": states.count("pruned"),
                    "wall_s": wall,
                }
                rows.append(row)
                print(row)
    keep("tune_search", {"rows": rows})


if __name__ == "__main__":
    main()
