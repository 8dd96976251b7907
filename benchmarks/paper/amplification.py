"""How many true events a generator is worth, by region.

Recipes learn few Pythia events, and as many generated as fresh true ones are judged, quantile by
quantile (A. Butter et al., arXiv:2008.06545). A generator that is worth `a` times its training
events makes of ten times as many generated events the worth of 10 a / (10 + a) times.
"""

from benchmarks.common.options import Paper
from benchmarks.common.results import Results, Row, budget
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.sample import default_target, sample
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.samples.datasets import from_dataset, from_generated, judged_by
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure

JUDGING_EVENTS, GENERATED_EVENTS, MORE = 2_000_000, 300_000, 10
RECIPES = ("flow-dis", "fatgan-quick")
TRAINED_ON = (6_000, 60_000)
QUICK = ("training.steps=2000", "training.threads=1", "selection.every=100")


def measure(options: Paper, results: Results) -> None:
    """Train each recipe on each number of events, and judge it in each region."""
    options.require(*RECIPES)
    truth = events("dis-ep-50-judging", JUDGING_EVENTS, 20261123, options)
    judge = from_dataset(truth, "test", seed=1, max_events=2 * GENERATED_EVENTS)
    metrics = {"amplification": METRICS["amplification"]}
    made_of_each = options.few(GENERATED_EVENTS)
    quick = options.quick(*QUICK)
    for number in options.some(TRAINED_ON):
        dataset = events(f"dis-ep-50-few-{number}", number * 10 // 6, 20261124, options)
        for recipe in options.some(RECIPES):
            for seed in options.seeds:
                checkpoint = options.trained(recipe, seed, *quick, dataset=dataset)
                target = default_target(options.place, checkpoint.uri, made_of_each, seed)
                made = sample(checkpoint.uri, made_of_each, target, seed=seed)
                generated = from_generated(
                    judged_by(truth, made), seed=seed, max_events=made_of_each
                )
                card = scorecard(judge, generated, metrics=metrics, seed=seed)
                figures = budget(checkpoint)
                for region, figure in card.figures["amplification"].items():
                    figures |= worth(region, figure)
                labels = {"recipe": recipe, "train events": dataset.rows("train")}
                results.add(labels, figures, seed=seed)


def events(name: str, number: int, seed: int, options: Paper) -> Dataset:
    """Prepare so many events of dis-ep-50; 60% of them are the train split, 30% the test split."""
    number, shards = options.few(number), options.few(20, 10)
    own = (f"name={name}", f"source.events={number}", f"source.seed={seed}")
    spec = DatasetSpec.load("dis-ep-50", (*own, f"shard_events={number // shards}"))
    return prepare(spec, options.place)


def worth(region: str, figure: Figure) -> Row:
    """Return a region's amplification and what `MORE` times the training events are worth."""
    if not isinstance(figure, Estimate):
        return {region: str(figure)}
    together = MORE * figure.value / (MORE + figure.value)
    return {region: [figure.value, figure.uncertainty], f"{region}, {MORE} times": together}
