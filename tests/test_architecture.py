"""Who may import whom, and that the library touches no disk, flag or ConfigDict."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# A module may import those of its own rank only if listed before it here, and lower ranks.
RANKS = [
    {"gru_jax.axes", "gru_jax.fields", "gru_jax.lapack"},
    {"gru_jax.streams"},
    {"gru_jax.bptt.jaxprs", "gru_jax.bptt.lists"},
    {"gru_jax.bptt.recomputation"},
    {"gru_jax.bptt.derivative"},
    {"gru_jax.bptt"},
    {"gru_jax.initializers"},
    {"gru_jax.cells"},
    {"gru_jax.recurrence"},
    {"gru_jax.model", "gru_jax.tasks", "gru_jax.optimizer", "gru_jax.devices"},
    {"gru_jax.population"},
    {"gru_jax.torch_weights", "gru_jax.training", "gru_jax.diagnostics"},
    {"gru_jax"},
    {"configs"},
    {"experiments"},
    {"scripts"},
]
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
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who depends on whom"
            if node.module in ("gru_jax", "gru_jax.cells", "gru_jax.tasks"):
                # `from gru_jax import fields` imports the module fields
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    known = (ROOT / (inner.replace(".", "/") + ".py")).exists()
                    yield inner if known else node.module
            else:
                yield node.module


def rank(name):
    for level, names in reversed(list(enumerate(RANKS))):
        if any(
            name == prefix or name.startswith(prefix + ".")
            for prefix in names
            if prefix != "gru_jax"
        ):
            return level
    assert name == "gru_jax" or not name.startswith("gru_jax"), f"{name} has no rank"
    return next(level for level, names in enumerate(RANKS) if "gru_jax" in names)


def test_imports_run_downwards_only():
    ours = ("gru_jax", "configs", "experiments", "scripts")
    for name, tree in modules():
        for imported in imports(tree):
            if (
                imported.split(".")[0] not in ours
                or imported.split(".")[0] == name.split(".")[0] != "gru_jax"
            ):
                continue
            if imported.split(".")[:2] == name.split(".")[:2]:
                continue  # within one room
            assert rank(imported) < rank(name), f"{name} imports {imported}"


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


def test_the_public_names_are_few_and_sorted():
    import gru_jax

    assert len(gru_jax.__all__) <= 20
    assert all(hasattr(gru_jax, name) for name in gru_jax.__all__)


def test_no_module_is_called_like_one_of_the_standard_library():
    for name, _ in modules():
        assert name.split(".")[-1] not in sys.stdlib_module_names - {"tasks"}, name
