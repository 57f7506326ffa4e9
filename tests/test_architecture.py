"""Who may import whom, and that the library touches no disk, flag or ConfigDict."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Of every folder what is in it, the lowest first. A module imports what stands below it only,
# within functions as well; what stands together on a line imports nothing of each other. "*" is
# whatever is not named. A folder's own __init__ stands above all that is in it.
RANKS = {
    "": ["gru_jax", "configs", "experiments", "scripts"],
    "gru_jax": [
        "axes fields lapack",
        "streams arguments padding placement variables run",
        "bptt initializers",
        "cells parallel",
        "regularizers",
        "masking",
        "recurrence",
        "layers",
        "model tasks optimizer devices",
        "population experiment",
        "training interop diagnostics",
    ],
    "gru_jax.bptt": [
        "jaxprs lists reverse_only",
        "joining recomputation step",
        "derivative",
        "loops",
    ],
    "gru_jax.cells": ["gates", "factory forms", "base", "norm skew", "*"],
    "gru_jax.parallel": ["linear recurrence", "steps", "scan"],
    "gru_jax.diagnostics": ["dynamics", "gradients", "spectrum", "gates"],
    "gru_jax.interop": ["layout", "matching", "*"],
    "gru_jax.tasks": ["base", "dataset", "adding copy_memory languages", "*"],
    "configs": ["common variants", "*", "ablations gradients", "sweeps"],
    "configs.sweeps": ["chorales cogscale reach sentiment", "*"],
    "experiments": [
        "system stats",
        "datasets",
        "settings",
        "runs",
        "measurements",
        "figures",
        "training",
        "sweeps",
        "reports usage",
        "*",  # the programs
    ],
    "experiments.system": ["files manual", "*", "config_files", "commandline"],
    "experiments.stats": ["*"],
    "experiments.datasets": ["reading", "labelled", "*", "sources"],
    "experiments.settings": ["options schema models", "descriptions resolution stored", "trials"],
    "experiments.runs": ["checkpoints environment records", "*", "loading"],
    "experiments.measurements": ["*"],
    "experiments.figures": ["glyphs", "style", "families", "*"],
    "experiments.training": ["display memory", "recorder", "loop"],
    "experiments.sweeps": ["folder", "estimates", "*"],
    "experiments.reports": ["results", "problems svg", "charts naming", "league", "page", "live"],
    "scripts": ["paths", "benchmark endurance equations notebooks", "paper", "website"],
    "scripts.benchmark": [
        *("contenders", "peers", "*", "in_scan", "entrants", "turns", "__main__"),
        "accelerator",
    ],
    "scripts.endurance": ["faults cases", "*"],
    "scripts.equations": ["latex", "terms", "dataflow", "layout", "drawings"],
    "scripts.paper": [
        "merging pages starts",
        "*",
        "gradients published tasks performance aggregates cells",
        "characters cogscale reach sentiment league verdict_gates",
        "cogscale_starts cogscale_torch horizons verdicts",
        "__main__",
    ],
    "scripts.website": ["mathematics docstrings links notebooks settings", "pages", "__main__"],
}
FORBIDDEN = {
    "absl",
    "ml_collections",
    "orbax",
    "tensorboardX",
    "matplotlib",
    "rich",
    "pathlib",
    "json",
}


def modules():
    for folder in ("gru_jax", "configs", "experiments", "scripts"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), ast.parse(path.read_text())


def imports(tree):
    """Modules of ours by their full names, others as they are written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who depends on whom"
            for alias in node.names:
                # `from gru_jax import fields` imports the module fields
                inner = ROOT.joinpath(*node.module.split("."), alias.name)
                known = inner.with_suffix(".py").exists() or inner.is_dir()
                yield f"{node.module}.{alias.name}" if known else node.module


def rank(folder, name):
    """Of a file or a folder in a folder; of the folder's own __init__, where there is no name."""
    levels = RANKS[folder]
    if not name:
        return len(levels)
    for level, names in enumerate(levels):
        if name in names.split():
            return level
    assert "*" in levels, f"{name} has no rank in {folder or 'the tree'}"
    return levels.index("*")


def test_imports_run_downwards_only():
    ours = set(RANKS[""])
    for name, tree in modules():
        for imported in imports(tree):
            if imported.split(".")[0] not in ours:
                continue
            mine, theirs = name.split("."), imported.split(".")
            shared = 0
            while mine[shared : shared + 1] == theirs[shared : shared + 1] != []:
                shared += 1
            if (ROOT / Path(*mine)).is_dir() and shared == len(mine):
                continue  # a folder's __init__ may import all that is in it
            folder = ".".join(mine[:shared])
            here, there = (
                rank(folder, "".join(path[shared : shared + 1])) for path in (mine, theirs)
            )
            assert there < here, f"{name} imports {imported}"


def test_every_rank_is_that_of_something():
    for folder, levels in RANKS.items():
        inside = {path.stem for path in (ROOT / folder.replace(".", "/")).iterdir()}
        assert {name for level in levels for name in level.split()} - {"*"} <= inside, folder


def test_every_folder_says_what_it_is_for():
    for name, tree in modules():
        if name in RANKS:
            assert ast.get_docstring(tree), name


def test_configs_import_nothing_of_ours():
    """But for the one that asks the cells for their options."""
    for name, tree in modules():
        if name.startswith("configs"):
            allowed = {"configs", "ml_collections", *sys.stdlib_module_names}
            allowed |= {"gru_jax"} if name == "configs.common" else set()
            assert {i.split(".")[0] for i in imports(tree)} <= allowed, name


def test_the_library_is_pure():
    for name, tree in modules():
        if name.startswith("gru_jax"):
            assert not {i.split(".")[0] for i in imports(tree)} & FORBIDDEN, name
            calls = [
                n.func.id
                for n in ast.walk(tree)
                if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
            ]
            assert not {"open", "print", "eval", "exec"} & set(calls), name


def test_the_library_is_imported_within_a_second_of_processor_time():
    """Beyond JAX and Flax. SciPy loads its modules once they are needed."""
    code = """if True:
        import sys, time
        import jax, flax.nnx
        before, began = set(sys.modules), time.process_time()
        import gru_jax
        slow = {"scipy.sparse", "scipy.special", "scipy.stats"}
        print(time.process_time() - began < 1, slow & (set(sys.modules) - before))
    """
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout == "True set()\n", found


def test_no_run_waits_at_its_start_for_what_it_needs_at_its_end():
    """The recorder draws the curves; a config that is refused does not even wait for a recorder."""
    code = """if True:
        import sys
        import experiments.train
        print("tensorboardX" in sys.modules)
        import experiments.training.recorder
        print("matplotlib" in sys.modules)
    """
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout == "False\nFalse\n", found


def test_the_public_names_are_few_and_sorted():
    import gru_jax

    assert len(gru_jax.__all__) <= 20
    assert all(hasattr(gru_jax, name) for name in gru_jax.__all__)


def test_no_file_is_long():
    for folder, most in [*((folder, 300) for folder in RANKS[""]), ("tests", 400)]:
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= most, path


def test_no_module_is_called_like_one_of_the_standard_library():
    for name, _ in modules():
        assert name.split(".")[-1] not in sys.stdlib_module_names - {"tasks"}, name
