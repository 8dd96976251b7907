"""The scripts of benchmarks and jobs."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
JOBS = sorted((ROOT / "jobs").glob("*.py"))
