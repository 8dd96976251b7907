"""Every random choice flows from (root seed, purpose, index)."""

import hashlib


def derive_seed(root: int, purpose: str, *index: int) -> int:
    """Return a seed in [0, 2**63) that depends on its arguments alone.

    Distinct purposes and indices give statistically independent streams: the seed is the head of a
    SHA-256 digest, so shard 7 of a sample is the same on any worker, in any order, at any retry.
    """
    text = f"{root}/{purpose}/" + "/".join(map(str, index))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
