"""Four CPU devices for every test, hypothesis without deadlines, and the parity switch."""

import gc
import os

import hypothesis
import jax
import pytest

from gru_jax import devices

collect_ignore = ["mgu.py"]  # it registers a cell, for the tests that ask for that

devices.use_cpu_cores(seeds=4, batch=4, cores=4)

hypothesis.settings.register_profile(
    "project", deadline=None, derandomize=True, max_examples=20, print_blob=True
)
hypothesis.settings.load_profile("project")


@pytest.fixture(autouse=True, scope="module")
def compiled_programs():
    """Programs of one module are given up after it.

    Each holds maps of memory, and with the 65,530 that Linux allows a process, XLA crashes.
    """
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def x64():
    """Doubles, so that agreement can be tested to rounding."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def torch():
    """PyTorch. Where GRU_JAX_PARITY=required (as in CI) its absence is a failure."""
    if os.environ.get("GRU_JAX_PARITY") == "required":
        import torch

        return torch
    return pytest.importorskip("torch", reason="install the parity extra to compare with torch")
