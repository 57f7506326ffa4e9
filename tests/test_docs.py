"""What the documentation shows runs, and its generated parts are those of results/."""

import ast
import doctest
import functools
import importlib
import importlib.util
import json
import operator
import re
from pathlib import Path

import pytest
from flax import nnx

import gru_jax
from gru_jax import interop

pytestmark = pytest.mark.usefixtures("least_effort")

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
OURS = ("gru_jax", "experiments", "scripts", "configs")
# What pages may name although our code does not define it.
OTHERS = {
    "of Python, the system and other libraries": """
        None ctypes.CDLL os.waitid Popen.wait checkpoint mallinfo2 malloc_trim MALLOC_ARENA_MAX
        NPROC matplotlibrc mpirun cond jit jax.clear_caches jax.jacfwd jax.jvp jax.lax.scan
        jax.checkpoint jax.grad jax.hessian jax.jacrev jax.jit jax.linearize jax.shard_map
        jax.sharding.AxisType.Explicit jax.vjp jax.vmap
        vaderSentiment no strip pandas.read_csv
        jax.profiler.ProfileData jax.profiler.trace jax_enable_recoverability jax_num_cpu_devices
        lax.map lax.scan missed_heartbeat_callback optimization_barrier ParallelBatchMap
        tensorboardX.SummaryWriter EventsWriter xla_cpu_multi_thread_eigen
        xla_cpu_copy_insertion_use_region_analysis flax.nnx hk.GRU linen.GRUCell linen.MGUCell
        nnx.Bidirectional nnx.Module nnx.GRUCell nnx.RNN nnx.Rngs nnx linen nnx.LSTMCell
        linen.LSTMCell nnx.OptimizedLSTMCell get_weights go_backwards proj_size residual
        JAX_COMPILATION_CACHE_DIR
        JAX_DEFAULT_MATMUL_PRECISION
        JAX_ENABLE_COMPILATION_CACHE cuda12 tpu vmap
        jax.export export.deserialize flatbuffers
        xla_gpu_enable_command_buffer xla_gpu_graph_min_graph_size
    """,
    "of examples": "mine mine.py repetition.py exported.serialize MyTask N NAME h",
    "of earlier versions, in the changelog": "mix separable",
    "attributes of a cell, which the page's doctests read": """
        cell.reset.kernel cell.update.kernel cell.candidate.kernel cell.recurrent_bias
    """,
}
EXCEPTIONS = {name for names in OTHERS.values() for name in names.split()}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what an example leaves on disk is not left here
    result = doctest.testfile(str(page), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 0 or page.name not in ("README.md", "gru.md")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras
@pytest.mark.parametrize("library", ["torch", "keras"])
def test_examples_of_other_libraries_run(library, request):
    request.getfixturevalue(library)
    text = (ROOT / "docs" / "interop.md").read_text()
    (block,) = re.findall(rf"```python\n(import {library}\n.*?)```", text, re.DOTALL)
    names = {"nnx": nnx, **vars(gru_jax)}
    exec(block, names)
    back = getattr(interop, f"to_{library}")(names["model"])
    own = (
        names["encoder"]["rnn"].state_dict()
        if library == "torch"
        else names["theirs"].get_weights()
    )
    assert len(back) == len(own)


def prose(page):
    """A page's text; of a notebook, that of the cells that are no code."""
    if page.suffix != ".ipynb":
        return page.read_text()
    cells = json.loads(page.read_text())["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose(page)):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda path: path.name)
def test_no_number_that_begins_a_line_makes_a_list_of_a_sentence(page):
    """Markdown takes "200. " at the beginning of a line for an item, and breaks what it is in."""
    before = ""
    for line in re.sub(r"^```.*?^```$", "", prose(page), flags=re.DOTALL | re.MULTILINE).split(
        "\n"
    ):
        if re.match(r" *\d+[.)] ", line):
            assert not before.strip() or re.match(r" *\d+[.)] ", before), line
        before = line


def test_claims_name_tests_that_exist():
    files = (ROOT / "tests" / "scripts").glob("test_*claims.py")
    tests = "".join(file.read_text() for file in files)
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "claims.md").read_text(), re.MULTILINE)
    assert rows
    assert all(re.search(rf"def test_(\d+_and_)*{row}_", tests) for row in rows), rows


def test_lines_of_the_tutorial_stand_where_the_page_says():
    table = (ROOT / "docs" / "gru.md").read_text().partition("## Where it stands in the code")[2]
    rows = re.findall(r"^\|[^|]+\| `([\w/]+)\.py` \| (.+) \|$", table, re.MULTILINE)
    assert len(rows) > 5
    for file, names in rows:
        module = importlib.import_module(file.replace("/", "."))
        for name in re.findall(r"`([\w.]+)`", names):
            # A caller may stand in another file.
            place = module if hasattr(module, name.partition(".")[0]) else gru_jax
            assert operator.attrgetter(name)(place), name


@functools.cache
def sources() -> dict[Path, str]:
    """The text of every file of our code."""
    return {file: file.read_text() for folder in OURS for file in (ROOT / folder).rglob("*.py")}


@functools.cache
def words() -> set[str]:
    """Every name that our code defines or takes as an argument, and every string in it."""
    found: set[str] = set()
    for text in sources().values():
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.FunctionDef() | ast.ClassDef():
                    found.add(node.name)
                case ast.arg() | ast.keyword():
                    found.add(str(node.arg))
                case ast.Name(ctx=ast.Store()):
                    found.add(node.id)
                case ast.Attribute(ctx=ast.Store()):
                    found.add(node.attr)
                case ast.Constant(value=str()):
                    found.add(node.value)
    return found


@functools.cache
def flags() -> set[str]:
    """Every flag of our programs, and of others that pages name."""
    defined = r"""(?:DEFINE_\w+\(|Flag\(|add_argument\()\s*"(?:--)?(\w+)\""""
    return EXCEPTIONS.union(*(re.findall(defined, text) for text in sources().values()))


def resolves(dotted: str) -> bool:
    """Whether a dotted name is one of ours: of a package, a module, a class or the config."""
    first, *rest = dotted.split(".")
    if first in ("config", "model", "train", "task", "optimizer", "population"):
        return all(part in words() for part in rest)
    if first in OURS:
        place = importlib.import_module(first)
        for index, part in enumerate(rest, 1):
            if not hasattr(place, part):
                name = ".".join([first, *rest[:index]])
                if importlib.util.find_spec(name) is None:
                    return False
                place = importlib.import_module(name)
            else:
                place = getattr(place, part)
        return True
    for file, text in sources().items():
        if re.search(rf"^class {first}\b", text, re.MULTILINE) or file.stem == first:
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            place = importlib.import_module(name)
            place = place if file.stem == first else getattr(place, first)
            try:
                operator.attrgetter(".".join(rest))(place)
            except AttributeError:
                continue
            return True
    return False


def known(quoted: str) -> bool:
    """Whether all that a text in backticks names is there."""
    if quoted in EXCEPTIONS or quoted.split("(")[0] in EXCEPTIONS or quoted in OURS:
        return True
    if re.fullmatch(r"[\w.]+", quoted) and (ROOT / quoted).is_file():
        return True
    if "python -m" in quoted or quoted.startswith("--"):
        return True  # a command or its flags, see `commands`
    if target := re.search(r"\bmake (\w+)$", quoted):
        return f"\n{target[1]}:" in (ROOT / "Makefile").read_text()
    path, _, _ = quoted.partition("/")
    if re.fullmatch(r"\.?\w[\w./-]*", quoted) and (ROOT / path).is_dir() and "/" in quoted:
        return (ROOT / quoted).exists() or quoted.startswith("runs/")
    if re.fullmatch(r"\w+\.(json|jsonl|csv|png|html|safetensors)", quoted):
        return any(quoted in text for text in sources().values())
    if options := re.findall(r"\b(\w+(?:\.\w+)*) ?=[^=]", quoted + " "):
        return all(n in words() or n in EXCEPTIONS or ("." in n and resolves(n)) for n in options)
    name = re.fullmatch(r"([A-Za-z_]\w*(?:\.\w+)*)(?:\(.*\))?", quoted)
    if not name or re.fullmatch(r"test_\w+", quoted):
        return True  # no name of code; of tests, see above
    return resolves(name[1]) if "." in name[1] else name[1] in words()


def commands(text: str) -> list[str]:
    """What is missing of each `python -m` command, and of the flags, on a line."""
    missing = [
        f"python -m {module}"
        for module in re.findall(r"python -m ([\w.]+)", text)
        if module.split(".")[0] in OURS and importlib.util.find_spec(module) is None
    ]
    for flag, value in re.findall(r"(?<![\w-])--(\w[\w.]*)(?:=([^\s`\]]+))?", text):
        first, *fields = flag.split(".")
        fields = [field for field in fields if field not in EXCEPTIONS]
        if not {first, first.removeprefix("no")} & flags() or not set(fields) <= words():
            missing.append(f"--{flag}")
        file = value.partition(":")[0].strip("'")
        if file.endswith(".py") and file not in EXCEPTIONS and "NAME" not in file:
            missing += [file] * (not (ROOT / file).exists())
        if flag in ("contenders", "cells"):
            missing += [f"--{flag}={name}" for name in value.split(",") if name not in words()]
    return missing


@pytest.mark.parametrize(
    "page", [*PAGES, *NOTEBOOKS, *ROOT.glob("C*.md")], ids=lambda path: path.name
)
def test_what_a_page_names_exists(page):
    blank = lambda part: "\n" * part[0].count("\n")
    # Generated parts tell what was run at an earlier commit.
    text = re.sub(r"<!-- (.*) -->\n.*?<!-- end of \1 -->", blank, prose(page), flags=re.DOTALL)
    files = {file.name for folder in (*OURS, "tests") for file in (ROOT / folder).rglob("*.py")}
    missing, in_code = [], False
    for number, line in enumerate(text.split("\n"), 1):
        in_code ^= line.startswith("```")
        quoted = [] if in_code else re.findall(r"`([^`]+)`", line)
        names = [name for name in quoted if not known(name)] + commands(line.replace("\\", " "))
        names += [
            n for n in re.findall(r"(?<![\w/])\w+\.py\b", line) if n not in files | EXCEPTIONS
        ]
        missing += [f"{page.name}:{number}: {name}" for name in names]
    assert not missing, "\n".join(["these do not exist (any more):", *missing])


def test_nothing_committed_names_an_index_or_a_path_of_a_machine():
    pins = (ROOT / "requirements.txt").read_text()
    assert "--hash=sha256:" in pins
    assert "index-url" not in pins
    assert "://" not in pins
