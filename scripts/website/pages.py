"""Pages as GitHub shows them, made pages of the site.

Links that leave docs/ lead to a page of the site, to the repository if it is known where that is,
or are words alone; equations are MathML; examples of the interpreter are coloured as such.
"""

import ast
import os
import posixpath
import re
from pathlib import Path

from scripts.paper import league
from scripts.paths import ROOT
from scripts.website import mathematics, notebooks, settings

OWN = [Path(__file__).with_name(name) for name in ("site.css", "iframe-worker.js")]
# Files of the repository that are pages besides those of docs/.
ADDED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
# A file of code whose page says what is in it.
PAGED = {"configs/common.py": "settings.md"}
LEAGUE = """# League

**[Open the league](results.html)**: every model on every problem of all committed sweeps, to sort,
to filter by name and parameters, and to open for its curves.

These ten solve the most problems with half of their seeds or more. Not every model was tried on
every problem, so that one that was tried on few, and solves all of these, may be better than one
that stands above it: compare them within a column of the league.

| model | solved | tried |
|---|--:|--:|
"""
# The modules whose public names have a page; what one imports of another is on the other's.
MODULES = ("gru_jax", "gru_jax.cells", "gru_jax.tasks", "gru_jax.diagnostics", "gru_jax.interop")
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")
MARK = re.compile(r"^<!--.*?-->$", re.MULTILINE)  # of generated parts
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def write(folder: Path, repository: str = "") -> None:
    """All pages, and what they show, into a folder that is empty or does not exist."""
    others = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
    figures = filter(Path.is_file, sorted((ROOT / "docs" / "figures").rglob("*")))
    for path in [*figures, *others]:
        _write(folder / path.relative_to(ROOT / "docs"), path.read_bytes())
    for path in OWN:
        _write(folder / path.name, path.read_bytes())
    files = [ROOT / file for file in ADDED] + sorted((ROOT / "docs").glob("*.md"))
    for source in files:
        _write(folder / _place(source), translated(source.read_text(), source, repository).encode())
    for source in others:
        text, pictures = notebooks.markdown(source)
        page = folder / _place(source)
        own = f"This page is a notebook: [{source.name}]({source.name})."
        title, _, rest = translated(text, source, repository).partition("\n")
        _write(page, f"{title}\n\n{own}\n{rest}".encode())
        for name, picture in pictures.items():
            _write(page.with_name(name), picture)
    best = league.whole().lines[:10]
    rows = [f"| {line.name} | {line.solved} | {line.ended} |\n" for line in best]
    made = {"league.md": "".join([LEAGUE, *rows]), "settings.md": settings.page()}
    for name, markdown in made.items():
        _write(folder / name, translated(markdown, ROOT / "docs" / name, repository).encode())
    league.write(folder / "results.html", "league.html")
    for module in MODULES:
        _write(folder / "api" / _page(module), reference(module).encode())


def reference(module: str) -> str:
    """The page of a module: its docstring, and those of what it has public from other files."""
    names, homes, order = _public(ROOT.joinpath(*module.split("."), "__init__.py").read_text())
    only = "    options: {members: false, show_root_heading: false, show_root_toc_entry: false}"
    parts = [f"# {module}", f"::: {module}\n{only}"]
    others: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: order.index(name) if name in order else -1):
        home = homes.get(name, module)
        if home in MODULES:  # of another page, or a table of names, which the docstring explains
            others.setdefault(home, []).append(f"`{name}`")
        else:  # by its file, since some files are called like what is in them
            parts.append(f"::: {home}.{name}")
    others.pop(module, None)
    parts += [f"Also from [{m}]({_page(m)}): {', '.join(some)}." for m, some in others.items()]
    return "\n\n".join([*parts, ""])


def _public(source: str) -> tuple[list[str], dict[str, str], list[str]]:
    """A module's `__all__`; the module that each name is imported from; the names in its dict."""
    names: list[str] = []
    homes: dict[str, str] = {}
    order: list[str] = []
    for node in ast.parse(source).body:
        match node:
            case ast.ImportFrom(module=str(home)):
                homes |= {alias.name: home for alias in node.names}
            case ast.Assign(targets=[ast.Name("__all__")]):
                names = ast.literal_eval(node.value)
            case ast.AnnAssign(value=ast.Dict(values=values)):
                order += [value.id for value in values if isinstance(value, ast.Name)]
    return names, homes, order


def _page(module: str) -> str:
    return f"{module.rpartition('.')[2]}.md"


def translated(markdown: str, source: Path, repository: str = "") -> str:
    """The Markdown of a file of the repository, for the site."""
    markdown = MARK.sub("", markdown)
    parts, end = [], 0
    words = lambda text: TABLE.sub(_table, LINK.sub(lambda m: _link(m, source, repository), text))
    for fence in FENCE.finditer(markdown):
        parts += [words(markdown[end : fence.start()]), _fence(fence)]
        end = fence.end()
    return "".join([*parts, words(markdown[end:])])


def _table(table: re.Match[str]) -> str:
    """In a box of its own, which scrolls; the theme needs a script for that."""
    return f'<div class="table" markdown>\n\n{table[0]}\n</div>\n'


def _fence(fence: re.Match[str]) -> str:
    if fence["language"] == "math":
        return mathematics.shown(fence["body"])
    if fence["language"] == "python" and fence["body"].startswith(">>> "):
        return fence[0].replace("```python", "```pycon", 1)
    return fence[0]


def _link(link: re.Match[str], source: Path, repository: str) -> str:
    image, text, target, anchor = link.group("image", "text", "target", "anchor")
    path = Path(os.path.normpath(source.parent / target))
    if not target or "://" in target or not path.is_relative_to(ROOT) or not path.exists():
        return link[0]  # if it leads nowhere, the build finds that
    text = path.stem if text.endswith(path.name) else text  # "docs/cells.md" is "cells" there
    if place := _place(path):
        place = posixpath.relpath(place, posixpath.dirname(_place(source)) or ".")
        found = f"{image}[{text}]({place}{anchor or ''})"
        # On a phone, a figure that is opened by itself can be read.
        return f"[{found}]({place})" if image else found
    code = path.relative_to(ROOT).as_posix()
    return f"[{text}]({repository}/blob/main/{code}{anchor or ''})" if repository else text


def _place(path: Path) -> str:
    """Where a file of the repository is on the site; nothing, if it is not there."""
    place = path.relative_to(ROOT).as_posix()
    if place.startswith("docs/"):
        return re.sub(r"\.ipynb$", ".md", place.removeprefix("docs/"))
    return ADDED.get(place) or PAGED.get(place, "")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
