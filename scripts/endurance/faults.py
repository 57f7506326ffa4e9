"""The faults that `mutants` plants: their list, the tests that may meet one, and their outcome."""

import ast
import contextlib
import dataclasses
import fnmatch
import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.system.files import RunError
from gru_jax import fields

ANYTHING = Path("*")
# What imports one of these may start a program or read a file.
OPAQUE = {"importlib", "multiprocessing", "pathlib", "runpy", "subprocess"}
PARSER = threading.Lock()  # Python 3.11 cannot parse in two threads at a time
PASSED, FAILED, HANGS, CRASHES = "passed", "failed", "hangs", "crashes"
SUMMARY = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
STARTED = re.compile(r"^([\w/.-]+\.py::.+?)(?= [A-Z]{4,}\b|\s*$)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Fault:
    """A change of one file that makes the code wrong.

    file: its path in the project.
    before, after: the text that is replaced, and by what.
    why: what is wrong then, in one sentence.
    """

    file: str
    before: str
    after: str
    why: str


def read(path: Path) -> list[Fault]:
    """The faults of a list.

    Raises:
      RunError: it is no list of faults, or has the same one twice.
    """
    try:
        faults = [Fault(**entry) for entry in tomllib.loads(path.read_text())["fault"]]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise RunError(f"{path.name} is no list of faults: {error}") from None
    if len({*faults}) < len(faults):
        raise RunError(f"{path.name} has the same fault twice")
    return faults


def problem(fault: Fault, root: Path) -> str:
    """Why a fault cannot be planted in the tree below `root`; empty where it can."""
    shown = f"before = {fields.short(fault.before)}"
    path = root / fault.file
    if not path.is_file():
        return f"{shown}: there is no such file"
    text = path.read_text()
    if (count := text.count(fault.before)) != 1:
        return f"{shown}: must occur once in the file, occurs {count} times"
    if fault.before == fault.after:
        return f"{shown}: equals after"
    if path.suffix == ".py":
        try:
            compile(text.replace(fault.before, fault.after), fault.file, "exec")
        except SyntaxError as error:
            return f"after = {fields.short(fault.after)}: is not Python ({error.msg})"
    return ""


def matches(fault: Fault, pattern: str) -> bool:
    """Whether a pattern with * and ? fits a part of the file's path or of the description."""
    return any(
        fnmatch.fnmatch(text.lower(), f"*{pattern.lower()}*") for text in (fault.file, fault.why)
    )


@contextlib.contextmanager
def planted(fault: Fault, tree: Path) -> Iterator[None]:
    """Inside, the tree has the fault."""
    path = tree / fault.file
    sound = path.read_text()
    path.write_text(sound.replace(fault.before, fault.after))
    try:
        yield
    finally:
        path.write_text(sound)


def by_distance(file: str, tests: Sequence[str]) -> list[list[str]]:
    """The tests that are named like the file or its folder, those of its package, and the others.

    Where there are none, there is no list of them.
    """
    *folders, name = Path(file).with_suffix("").parts
    package, folder = folders[0], folders[-1]

    def distance(test: str) -> tuple[int, bool]:
        stem = Path(test).stem.removeprefix("test_")
        mirrors = test.startswith((f"tests/{package}/", package))
        named = stem in (name, f"{folder}_{name}")
        beside = named or (test.endswith(".py") and stem.startswith((folder, name)))
        return (0 if mirrors and beside else 1 if mirrors else 2), not named

    ordered = sorted(tests, key=distance)
    groups = [[test for test in ordered if distance(test)[0] == far] for far in range(3)]
    return list(filter(None, groups))


class Imports:
    """Which files of a tree may run in a test, by what it imports.

    A test that the file of a fault has no part in need not be run to know that it does not catch
    it. One that may start programs, or read the code as text, may depend on every file.

    Args:
      tree: the folder of the project.
    """

    def __init__(self, tree: Path):
        self._tree = tree
        self._found: dict[Path, set[Path]] = {}

    def reaching(self, file: str, tests: Sequence[str]) -> list[str]:
        """Those of the tests (files, or folders of code with doctests) that may run the file."""
        return [test for test in tests if self._may_run(test, self._tree / file)]

    def importing(self, file: str, tests: Sequence[str]) -> list[str]:
        """Those of the tests that import the file themselves."""
        path = self._tree / file
        return [t for t in tests if t.endswith(".py") and path in self._imported(self._tree / t)]

    def _may_run(self, test: str, file: Path) -> bool:
        path = self._tree / test
        begun = [*path.rglob("*.py")] if path.is_dir() else [path]
        begun += [each for folder in path.parents if (each := folder / "conftest.py").exists()]
        seen: set[Path] = set()
        while begun:
            if (each := begun.pop()) not in seen:
                seen.add(each)
                begun += self._imported(each)
        return bool({file, ANYTHING} & seen) or file.suffix != ".py"

    def _imported(self, path: Path) -> set[Path]:
        """The files of the project that a file imports, and `ANYTHING` if it may run any."""
        if path not in self._found:
            text = path.read_text() if path != ANYTHING else ""
            with PARSER:
                names = set(_imports(ast.parse(text)))
            parts = [name.split(".") for name in names]
            places = {Path(*name[:end]) for name in parts for end in range(1, len(name) + 1)}
            files = {
                self._tree / file
                for place in places
                for file in (place.with_suffix(".py"), place / "__init__.py")
            }
            found = {file for file in files if file.exists()}
            self._found[path] = found | ({ANYTHING} if names & OPAQUE else set())
        return self._found[path]


def _imports(tree: ast.Module) -> Iterator[str]:
    """The name of each module that is imported, and what is imported from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def outcome(status: int | None, printed: str) -> tuple[str, str]:
    """How pytest ended, and the test that did not pass.

    Args:
      status: its exit status; None: it was killed, since a test went on for too long.
      printed: its output, with a line for each test.

    Raises:
      RunError: it has not run the tests.
    """
    if status in (0, 5):  # 5: nothing was selected
        return PASSED, ""
    if status in (1, 2) and (found := SUMMARY.search(printed)):
        return FAILED, found[1]
    started = STARTED.findall(printed)
    if started and (status is None or status < 0):
        return HANGS if status is None else CRASHES, started[-1]
    last = (printed.strip() or "nothing").splitlines()[-1]
    raise RunError(f"pytest ended with {status}, and has printed {last!r}")


def copy_tracked(root: Path, tree: Path) -> None:
    """Copies the files that git tracks, as they are now, to a repository of their own."""
    git = ["git", "-c", "user.name=mutants", "-c", "user.email=mutants@localhost"]
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, tree / name)
    for command in (["init"], ["add", "--all"], ["commit", "--message=as it is"]):
        subprocess.run([*git, *command], cwd=tree, capture_output=True, check=True)
