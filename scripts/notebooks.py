"""Runs the notebooks of docs/notebooks, and keeps in them what they print and draw.

python -m scripts.notebooks             all of them
python -m scripts.notebooks 1_gates     one

GitHub and the site show a notebook as it is kept. tests/test_notebooks.py runs them again.
"""

import ast
import base64
import contextlib
import io
import json
import linecache
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import matplotlib.pyplot as plt

from experiments.figures import style
from experiments.system.commandline import Parser, guarded
from experiments.system.files import write_text
from gru_jax import fields
from scripts.paths import ROOT

FOLDER = ROOT / "docs" / "notebooks"
Notebook = dict[str, Any]


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*")
    return guarded(lambda: keep(parser.parse_args().names))


def keep(names: list[str]) -> int:
    """Runs the notebooks with these names, or all, and writes them with their outputs.

    Raises:
      FieldError: there is no notebook of a name.
    """
    found = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
    for name in names:
        fields.one_of("NAME", name, tuple(found))
    for name in names or found:
        notebook = read(found[name])
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            run(notebook, name)
        write_text(found[name], written(notebook))
        print(found[name].relative_to(ROOT), flush=True)
    return 0


def read(path: Path) -> Notebook:
    """A notebook, in which the text of a cell and what it prints are no lists of lines."""
    notebook: Notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = "".join(output["text"])
    return notebook


def written(notebook: Notebook) -> str:
    """The text of a file, with a line for each line of a cell, as Jupyter writes it."""
    lines = lambda text: text.splitlines(keepends=True)
    cells = []
    for cell in notebook["cells"]:
        cells.append(cell | {"source": lines(cell["source"])})
        if outputs := cell.get("outputs"):
            apart = lambda each: each | ({"text": lines(each["text"])} if "text" in each else {})
            cells[-1]["outputs"] = [apart(output) for output in outputs]
    return json.dumps(notebook | {"cells": cells}, indent=1, ensure_ascii=False) + "\n"


def run(notebook: Notebook, name: str) -> dict[str, Any]:
    """Runs the cells of code one after the other, as Jupyter does, and sets their outputs.

    Returns:
      What is defined after the last cell. An error's traceback names the cell.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    plt.switch_backend("agg")
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for count, cell in enumerate(code, 1):
        file = f"<{name}, cell {count}>"
        linecache.cache[file] = (
            len(cell["source"]),
            None,
            cell["source"].splitlines(keepends=True),
            file,
        )
        cell |= {"execution_count": count, "outputs": _outputs(cell["source"], file, count, names)}
    return names


def _outputs(source: str, file: str, count: int, names: dict[str, Any]) -> list[dict[str, Any]]:
    """What a cell prints and draws, and the value of the expression that it ends with."""
    body = ast.parse(source, file).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed, drawn, value = io.StringIO(), [], None
    show = lambda: drawn.append(_drawn())
    with contextlib.redirect_stdout(printed), mock.patch.object(plt, "show", show):
        exec(compile(ast.Module(body, []), file, "exec"), names)  # noqa: S102
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), file, "eval"), names)
    found: list[dict[str, Any]] = []
    if text := printed.getvalue():
        found.append({"name": "stdout", "output_type": "stream", "text": text})
    found += drawn
    if value is not None:
        kept: dict[str, Any] = {"data": {"text/plain": repr(value)}, "metadata": {}}
        found.append({"execution_count": count, "output_type": "execute_result", **kept})
    return found


def _drawn() -> dict[str, Any]:
    """The open figure, with the titles of its axes for those who do not see it."""
    figure = plt.gcf()
    parts = [
        [axis.get_title(loc="left"), axis.get_ylabel(), axis.get_xlabel()] for axis in figure.axes
    ]
    titles = ". ".join(", ".join(filter(None, each)) for each in parts)
    picture = base64.b64encode(style.saved(figure)).decode()
    plt.close(figure)
    return {
        "data": {"image/png": picture, "text/plain": titles},
        "metadata": {},
        "output_type": "display_data",
    }


if __name__ == "__main__":
    sys.exit(main())
