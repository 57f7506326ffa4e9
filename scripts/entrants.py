"""Every contender of the benchmark, by name."""

import functools
from collections.abc import Callable
from typing import Any

from scripts.contenders import Contender, Floor, Ours, Work
from scripts.in_scan import EquinoxInScan, HaikuInScan, NnxInScan
from scripts.peers import EquinoxPeer, HaikuPeer, KerasPeer, LinenPeer, NnxPeer, TorchPeer

Make = Callable[[str, Work], Contender]

CONTENDERS: dict[str, Make] = {
    "gru_jax": Ours,
    "flax.nnx": NnxPeer,
    "flax.linen": LinenPeer,
    "haiku": HaikuPeer,
    "equinox": EquinoxPeer,
    "keras": KerasPeer,
    "torch": TorchPeer,
    "floor": Floor,
}
# Ours, with other options.
OTHER_PATHS: dict[str, dict[str, Any]] = {
    "gru_jax-plain": {"gradient": "plain"},
    "gru_jax-unroll-2": {"gradient": "plain", "unroll": 2},
    "gru_jax-unroll-4": {"gradient": "plain", "unroll": 4},
    "gru_jax-recomputed": {"gradient": "recomputed"},
    "gru_jax-1-core": {"cores": 1},
    "gru_jax-8-seeds": {"seeds": 8},
    "gru_jax-reset-before": {"reset_after": False},
    "gru_jax-reset-before-plain": {"reset_after": False, "gradient": "plain"},
}
IN_SCAN: dict[str, Make] = {
    "flax.nnx-in-scan": NnxInScan,
    "haiku-in-scan": HaikuInScan,
    "equinox-in-scan": EquinoxInScan,
}
# Contenders that only take part if they are named.
VARIANTS: dict[str, Make] = {
    name: functools.partial(Ours, **options) for name, options in OTHER_PATHS.items()
} | IN_SCAN
