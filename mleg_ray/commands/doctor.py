"""Say what this installation can do, and what it lacks."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console

from mleg_ray.commands.options import Storage
from mleg_ray.errors import ResourceError, UserError

PACKAGE = "mleg-ray"
DEVELOPERS = "dev"  # the extra of those who change the code
# What is not there without a library of an extra.
PURPOSES = {
    "pythia8mc": "no events of Pythia 8 (`mleg prepare dis-ep-50`)",
    "fastjet": "no jets of proton collisions (`mleg prepare zmumu-13tev`)",
    "awkward": "no ROOT files, no arrays of events (`mleg.open`)",
    "vector": "no momenta in arrays of events (`mleg.open`)",
    "pandas": "no frames of events (`mleg.open`)",
    "polars": "no lazy frames of events (`mleg.open`)",
    "hist": "no histograms of samples (`mleg.histogram`)",
    "onnx": "no ONNX files (`mleg export --to onnx`)",
    "onnxscript": "no ONNX files (`mleg export --to onnx`)",
    "pypenred": "no showers by PENELOPE",
    "h5py": "no HDF5 files (`mleg convert --to hdf5`, `--to calochallenge`)",
    "uproot": "no ROOT files (`mleg convert --to root`)",
    "pylhe": "no Les Houches events (`mleg convert --to lhe`)",
    "pyhepmc": "no HepMC records (`mleg convert --to hepmc`)",
    "cmaes": "no search `cma-es` of studies",
}


@dataclass(frozen=True)
class Finding:
    """One line: what was looked for, what was found, and what is not possible without it.

    `lacks` is empty where all is well; `is_core` tells whether nothing works without it.
    """

    what: str
    found: str
    lacks: str = ""
    is_core: bool = False

    def line(self) -> str:
        """Return it as a line of text."""
        mark = "✓" if not self.lacks else "✗" if self.is_core else "–"
        return f"{mark} {self.what:<14} {self.found}" + (f": {self.lacks}" if self.lacks else "")


def doctor(*, storage: Storage = None) -> list[Finding]:
    """Say what this installation can do: versions, machine, storage, extras; 2 if it cannot run."""
    findings: list[Finding] = []
    for look in (_libraries, _machine, lambda: _storage(storage)):  # each needs those before
        found = [*look()]
        for finding in found:
            Console(highlight=False).print(finding.line(), markup=False, soft_wrap=True)
        findings += found
        if missing := [finding for finding in found if finding.is_core and finding.lacks]:
            told = "; ".join(f"{finding.what}: {finding.lacks}" for finding in missing)
            raise ResourceError(f"mleg cannot run: {told}")
    return findings


def _libraries() -> Iterator[Finding]:
    """Yield the versions of Python, of this package, and of what it declares to need."""
    yield Finding("python", platform.python_version())
    yield Finding(PACKAGE, version(PACKAGE))
    declared = map(Requirement, requires(PACKAGE) or ())
    used = {one.name: one for one in declared if _extra_of(one) != DEVELOPERS}
    for requirement in used.values():
        extra = _extra_of(requirement)
        install = f"pip install '{PACKAGE}[{extra}]'" if extra else f"pip install '{requirement}'"
        purpose = f"{PURPOSES[canonicalize_name(requirement.name)]}; " if extra else ""
        try:
            there = version(requirement.name)
        except PackageNotFoundError:
            yield Finding(requirement.name, "missing", purpose + install, is_core=not extra)
            continue
        fits = requirement.specifier.contains(there, prereleases=True)
        lacks = "" if fits else f"{requirement.specifier} is needed; {purpose}{install}"
        yield Finding(requirement.name, there, lacks, is_core=not extra)


def _extra_of(requirement: Requirement) -> str:
    """Return the extra that a requirement belongs to, empty if it is the core's."""
    marker = str(requirement.marker or "")
    return marker.partition("extra == ")[2].strip("\"' ")


def _machine() -> Iterator[Finding]:
    import torch

    from mleg_ray.cluster.session import usable_cpus

    yield Finding("cores", str(usable_cpus()))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield Finding("memory", f"{memory / 2**30:.1f} GiB")
    gpus = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    lacks = "" if gpus else "all runs on CPUs, and `--gpus` only on a cluster that has some"
    yield Finding("GPUs", ", ".join(gpus) or "none", lacks)
    compilers = map(shutil.which, (os.environ.get("CXX") or "g++", "clang++"))
    compiler = next(filter(None, compilers), None)
    lacks = "`mleg sample` of 20 million events or more wants --no-compile; install g++"
    yield Finding("compiler", compiler or "none", "" if compiler else lacks)
    yield _ray()


def _ray() -> Finding:
    from mleg_ray.cluster.session import possible_cpus, possible_gpus, ray_session

    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return Finding("cluster", "none: each command begins a Ray of its own on this machine")
    try:
        with ray_session():
            return Finding("cluster", f"{address}: {possible_cpus()} CPUs, {possible_gpus()} GPUs")
    except UserError as error:
        return Finding("cluster", address, str(error), is_core=True)


def _storage(option: str | None) -> Iterator[Finding]:
    from mleg_ray.storage import is_remote, require_writable, storage_root

    root = storage_root(option)
    try:
        if is_remote(root):
            require_writable(root)
            yield Finding("storage", root)
            return
        there = next(folder for folder in (Path(root), *Path(root).parents) if folder.exists())
        free = f"{root}, {shutil.disk_usage(there).free / 1e9:,.0f} GB free"
        writable = there.is_dir() and os.access(there, os.W_OK)
        mend = f"nothing can be written into {there}; name another by --storage or MLEG_STORAGE"
        yield Finding("storage", free, "" if writable else mend, is_core=True)
    except UserError as error:
        yield Finding("storage", root, str(error), is_core=True)
