"""Four CPU devices for every test, one cache of compiled programs, and the parity switch."""

import contextlib
import functools
import gc
import os
import shutil
import tempfile

import hypothesis
import jax
import pytest
from jax._src import compiler

from gru_jax import devices

collect_ignore = [
    "minimal_rnn.py",  # it registers a cell, for the tests that ask for that
    "golden/make_authors.py",  # these need PyTorch or Keras
    "golden/make_keras.py",
    "golden/make_torch.py",
]

devices.use_cpu_cores(seeds=4, batch=4, cores=4)

# Calls outside `jit` are traced anew each time, and most of their programs have been compiled
# before. The processes of one run share what they compile; it is gone with the first of them, but
# where the environment names a folder: that stays, for the next run.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    COMPILED = tempfile.TemporaryDirectory(prefix="gru_jax-compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

hypothesis.settings.register_profile(
    "project", deadline=None, derandomize=True, max_examples=20, print_blob=True
)
# For whom it is enough to know that a test fails: the smallest example takes long to find.
hypothesis.settings.register_profile(
    "unshrunk", hypothesis.settings.get_profile("project"), phases=[hypothesis.Phase.generate]
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))


def pytest_collection_modifyitems(items):
    """Those of files that take minutes come first, so that no core waits for another at the end."""
    items.sort(key=lambda item: item.path.parent != item.config.rootpath / "tests")


def pytest_collection_finish():
    """Tracing makes so many objects that a twentieth of the time went into looking for garbage."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


@pytest.fixture(autouse=True, scope="module")
def compiled_programs():
    """Programs of one module are given up after it.

    Each holds maps of memory, and with the 65,530 that Linux allows a process, XLA crashes.
    """
    yield
    jax.clear_caches()
    gc.collect()


@functools.cache
def known(**options):
    """Those that this release of XLA has."""
    found = {}
    for name, value in options.items():
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            jax.jit(lambda x: x).lower(0.0).compile(compiler_options={name: value})
            found[name] = value
    return found


@contextlib.contextmanager
def compiled_with(**options):
    """Inside, XLA compiles so, also in the programs that a test starts."""
    usual, wanted = compiler.get_compile_options, known(**options)

    def changed(*args, **kwargs):
        found = usual(*args, **kwargs)
        found.env_option_overrides = [*found.env_option_overrides, *wanted.items()]
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "get_compile_options", changed)
        given = os.environ.get("XLA_FLAGS", "")
        told = [f"--{name}={str(value).lower()}" for name, value in wanted.items()]
        patch.setenv("XLA_FLAGS", " ".join([given, *told]))
        yield


@pytest.fixture(autouse=True, scope="session")
def one_thread_compiles():
    """Every core has tests of its own, and to divide a program costs a tenth of its compilation."""
    with compiled_with(xla_cpu_parallel_codegen_split_count=1):
        yield


@pytest.fixture(scope="module")
def least_effort():
    """XLA compiles in a third of the time what runs slower and rounds otherwise.

    For modules of tests within a tolerance, and for those of what is stopped and goes on by the
    same programs; never for speed, or for equal bits of other programs. Memory is the same to the
    byte, since it is planned before any code is made.
    """
    with compiled_with(
        xla_backend_optimization_level=0,
        xla_llvm_disable_expensive_passes=True,
        xla_cpu_use_fusion_emitters=False,
    ):
        yield


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


@pytest.fixture(scope="session")
def keras(tmp_path_factory):
    """Keras 3 on JAX; its absence is that of PyTorch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "jax")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        if os.environ.get("GRU_JAX_PARITY") == "required":
            import keras

            return keras
        return pytest.importorskip("keras", reason="install the parity extra to compare with keras")


@pytest.fixture(scope="session")
def chromium():
    """A browser. Where GRU_JAX_CHROMIUM=required (as in CI) its absence is a failure."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        assert os.environ.get("GRU_JAX_CHROMIUM") != "required", "there is no Chromium"
        pytest.skip("there is no Chromium to open a page in")
    return found
