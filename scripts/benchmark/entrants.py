"""Every workload and every contender of the benchmark, by name."""

import functools
from collections.abc import Callable
from typing import Any

from scripts.benchmark.contenders import CHUNK, Contender, Ours, Work
from scripts.benchmark.floors import Floor, NumpyFloor
from scripts.benchmark.in_scan import EquinoxInScan, HaikuInScan, NnxInScan
from scripts.benchmark.jax_peers import EquinoxPeer, HaikuPeer, LinenPeer, NnxPeer
from scripts.benchmark.other_peers import KerasPeer, TorchPeer

Make = Callable[[str, Work], Contender]

WORKLOADS = {
    "A": Work(128, 220, 10, 128),
    "B": Work(50, 750, 2, 128),
    "C": Work(32, 512, 256, 256),
    "D": Work(64, 128, 512, 512),
    "E": Work(32, 200, 10, 64),
}
OURS = "gru_jax"
# The floor is the fastest of these.
FLOORS: dict[str, Make] = {
    "floor": Floor,
    "floor-segmented": functools.partial(Floor, segmented=True),
    "floor-sharded": functools.partial(Floor, sharded=True),
    "floor-sharded-segmented": functools.partial(Floor, sharded=True, segmented=True),
    "floor-numpy": NumpyFloor,
}
JAX_PEERS: dict[str, Any] = {
    "flax.nnx": NnxPeer,
    "flax.linen": LinenPeer,
    "haiku": HaikuPeer,
    "equinox": EquinoxPeer,
}
CONTENDERS: dict[str, Make] = {
    "gru_jax": Ours,
    **JAX_PEERS,
    "keras": KerasPeer,
    "torch": TorchPeer,
} | FLOORS
# Libraries at other settings than their documentation shows: with ten steps in one dispatch, and
# also with one device per core; and with numbers too small for the usual form taken for 0.
SETTINGS: dict[str, dict[str, Make]] = {
    "torch": {"torch-flush": functools.partial(TorchPeer, flush=True)}
}
for peer, make in JAX_PEERS.items():
    SETTINGS[peer] = {
        f"{peer}-chunk": functools.partial(make, together=CHUNK),
        f"{peer}-cores": functools.partial(make, together=CHUNK, sharded=True),
    }
# Ours, with other options.
OTHER_PATHS: dict[str, dict[str, Any]] = {
    "gru_jax-plain": {"gradient": "plain"},
    "gru_jax-unroll-2": {"gradient": "plain", "unroll": 2},
    "gru_jax-unroll-4": {"gradient": "plain", "unroll": 4},
    "gru_jax-unroll-16": {"gradient": "plain", "unroll": 16},
    "gru_jax-batched": {"gradient": "batched"},
    "gru_jax-recomputed": {"gradient": "recomputed"},
    "gru_jax-bfloat16": {"dtype": "bfloat16"},
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
for settings in SETTINGS.values():
    VARIANTS |= settings
