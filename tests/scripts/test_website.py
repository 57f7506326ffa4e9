"""The site: what pages of GitHub become on it, its links, and how a browser shows it."""

import ast
import contextlib
import doctest
import functools
import html
import http.server
import importlib
import json
import os
import re
import subprocess
import threading

import pytest

from configs import common
from gru_jax import CELLS
from scripts.website import __main__, links
from tests.programs import ROOT

# Shows every page in a frame, since a window cannot be as narrow as a phone, at both widths and
# in both schemes, and puts what is wrong into its title.
VISITOR = """<!doctype html><body><script>
const PAGES = %s;
const wait = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const colour = text => text.match(/[\\d.]+/g).map(Number);
const over = (front, back) =>
  [0, 1, 2].map(i => (front[3] ?? 1) * front[i] + (1 - (front[3] ?? 1)) * back[i]);
const luminance = rgb => rgb.map(value => value / 255)
  .map(value => value <= 0.04 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = element => {
  const style = each => element.ownerDocument.defaultView.getComputedStyle(each);
  const layers = [];
  for (let each = element; each; each = each.parentElement)
    layers.unshift(colour(style(each).backgroundColor));
  const back = layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  const [one, other] = [luminance(over(colour(style(element).color), back)), luminance(back)];
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
};
const scrolls = element => {
  for (let each = element.parentElement; each && each.tagName != "BODY"; each = each.parentElement)
    if (/auto|scroll/.test(each.ownerDocument.defaultView.getComputedStyle(each).overflowX))
      return true;
  return false;
};
function* problems(page, width, scheme) {
  const root = page.scrollingElement;
  const shown = [...page.querySelectorAll("article *:not(.headerlink)")];
  const told = (what, element) => `${what}: ${element.outerHTML.slice(0, 120)}`;
  if (page.defaultView.innerWidth != width) yield "the frame has another width";
  if (page.body.dataset.mdColorScheme != scheme) yield "the scheme is another";
  if (root.scrollWidth > root.clientWidth) yield `the page is ${root.scrollWidth} wide`;
  for (const each of shown) {
    const box = each.getBoundingClientRect();
    if (!box.width) continue;
    if (box.right > root.clientWidth + 1 && !scrolls(each)) yield told("outside", each);
    const words = [...each.childNodes].some(n => n.nodeType == 3 && n.data.trim());
    if (words && contrast(each) < 4.4) yield told(`contrast ${contrast(each).toFixed(1)}`, each);
  }
  for (const each of page.images)
    if (!each.complete || !each.naturalWidth) yield told("not shown", each);
  const style = each => page.defaultView.getComputedStyle(each);
  if (width == 390) {
    for (const each of page.querySelectorAll("p > a > img"))
      if (each.naturalWidth > 700 && each.width < 500) yield told("too small to be read", each);
    for (const each of page.querySelectorAll(".md-code__nav"))
      if (style(each).display != "none") yield told("covers code", each);
  }
  for (const each of page.querySelectorAll(".table"))
    if (style(each).backgroundImage == "none") yield told("no sign that it scrolls", each);
  for (const each of page.querySelectorAll("math"))
    if (each.getBoundingClientRect().height < 10) yield told("not drawn", each);
}
(async () => {
  const found = [];
  let views = 0;
  localStorage.clear();
  const frame = document.body.appendChild(document.createElement("iframe"));
  frame.height = 900;
  frame.style.border = 0;
  for (const name of PAGES) {
    await new Promise(resolve => { frame.onload = resolve; frame.src = name; });
    // What moves, or changes its colour slowly, is seen where it arrives.
    frame.contentDocument.head.insertAdjacentHTML(
      "beforeend", "<style>* { transition: none !important; animation: none !important }</style>");
    for (const scheme of ["default", "slate"]) {
      const page = frame.contentDocument;
      if (page.body.dataset.mdColorScheme != scheme)
        page.querySelector(`input[data-md-color-scheme=${scheme}]`).click();
      for (const width of [1280, 390]) {
        frame.width = width;
        await wait(300);
        for (const problem of problems(page, width, scheme))
          found.push(`${name}, ${width}, ${scheme}: ${problem}`);
        views += 1;
      }
    }
  }
  frame.width = 1280;
  const page = frame.contentDocument, field = page.querySelector(".md-search__input");
  field.focus();
  field.value = "chrono";
  field.dispatchEvent(new KeyboardEvent("keyup", {bubbles: true}));
  // A worker searches, whom virtual time does not wait for, but for a server it does.
  const results = () => page.querySelectorAll(".md-search-result__link").length;
  for (let i = 0; i < 1000 && !results(); i++) await fetch(location.href);
  document.title = JSON.stringify({views, results: results(), found});
})();
</script></body>"""

BOX = '<div class="table" markdown>\n\n'


@pytest.fixture(scope="module")
def website():
    """What makes the site. Where GRU_JAX_SITE=required (as in CI) its absence is a failure."""
    if os.environ.get("GRU_JAX_SITE") != "required":
        for needed in ("latex2mathml", "material", "mkdocstrings_handlers.python"):
            pytest.importorskip(needed, reason="`make docs` installs what makes the site")
    return lambda name: importlib.import_module(f"scripts.website.{name}")


@pytest.fixture(scope="module")
def site(website, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    assert website("__main__").build(folder / "docs", folder / "site") == 0
    return folder / "site"


@contextlib.contextmanager
def served(folder):
    """An address at which a folder's files are, and a list of what was asked for in vain."""
    missing = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, text, *values):
            pass

        def send_error(self, code, *values, **options):
            missing.append(self.path)
            super().send_error(code, *values, **options)

    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", missing
        server.shutdown()
        thread.join()


def test_a_browser_shows_all_of_it(site, chromium, tmp_path):
    names = sorted(str(page.relative_to(site)) for page in site.rglob("*.html"))
    names.remove("404.html")
    names.remove("results.html")  # a page of its own, of which tests/experiments/test_league.py
    (site / "visitor.html").write_text(VISITOR % json.dumps(names))
    with served(site) as (address, missing):
        out = subprocess.run(
            [
                *(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
                *(f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000"),
                *(
                    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                    "--enable-logging=stderr",
                ),
                *("--virtual-time-budget=600000", f"{address}/visitor.html"),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    (site / "visitor.html").unlink()
    (title,) = re.findall(r"<title>(.*)</title>", out.stdout)
    found = json.loads(html.unescape(title))
    assert found["found"] == []
    assert found["views"] == 4 * len(names)
    assert found["results"] > 0
    assert not [path for path in missing if path != "/favicon.ico"]
    assert not [line for line in out.stderr.splitlines() if "CONSOLE" in line]


SEARCH = """<script>addEventListener("load", async () => {
  const field = document.querySelector(".md-search__input");
  const results = () => [...document.querySelectorAll(".md-search-result__link")];
  field.focus();
  field.value = "chrono";
  for (let i = 0; i < 100 && !results().length; i++) {
    field.dispatchEvent(new KeyboardEvent("keyup", {bubbles: true}));
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  document.title = JSON.stringify(results().map(each => each.getAttribute("href")));
});</script>"""


def test_the_search_works_in_a_page_from_a_disk(site, chromium, tmp_path):
    page = site / "searched.html"
    page.write_text((site / "index.html").read_text().replace("</body>", f"{SEARCH}</body>"))
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    options += [f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command = [chromium, *options, "--virtual-time-budget=30000", page.as_uri()]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    page.unlink()
    (title,) = re.findall(r"<title>(.*?)</title>", out.stdout)
    assert any(
        re.search(r"/gru\.html.*#chrono-gates", link) for link in json.loads(html.unescape(title))
    )


def test_every_setting_is_on_its_page_with_its_default_and_a_comment(site):
    page = (site / "settings.html").read_text()
    rows = dict(
        re.findall(r"<tr>\s*<td><code>config\.([\w.]+)</code></td>\s*(.*?)</tr>", page, re.S)
    )
    config = common.get_config()
    fields = {"name": config.name}
    for section in ("model", "optimizer", "population", "train"):
        fields |= {f"{section}.{name}": value for name, value in config[section].items()}
    fields |= {f"model.regularizer.{k}": v for k, v in config.model.regularizer.items()}
    sections = {"model.regularizer", *(f"model.{name}" for name in CELLS)}
    assert rows.keys() == fields.keys() - sections
    for name, row in rows.items():
        default, told = re.findall(r"<td>(.+?)</td>", row)
        shown = html.unescape(re.sub("<.*?>", "", default))
        assert (None if shown == "not set" else ast.literal_eval(shown)) == fields[name], name
        assert len(told) > 3
    assert "<code>reset_after=True</code>" in page
    assert 'href="settings.html"' in (site / "programs.html").read_text()


def test_the_league_and_its_page_lead_to_each_other(site):
    assert 'href="results.html"' in (site / "league.html").read_text()
    assert '<a href="league.html">' in (site / "results.html").read_text()


def test_a_notebook_is_a_page_with_its_outputs(site):
    for path in (ROOT / "docs" / "notebooks").glob("*.ipynb"):
        page = (site / "notebooks" / f"{path.stem}.html").read_text()
        outputs = [
            output for c in json.loads(path.read_text())["cells"] for output in c.get("outputs", [])
        ]
        printed = [output for output in outputs if "text" in output]
        assert page.count('<div class="output">') == len(printed)
        assert page.count("<img ") == len(outputs) - len(printed) > 0
        assert f'href="{path.name}"' in page


def test_every_cell_has_its_equations_and_its_docstring(site):
    cells, reference = ((site / page).read_text() for page in ("cells.html", "api/cells.html"))
    drawn = cells[cells.index('id="equations"') :]
    assert drawn.count('<div class="equations">') == len(CELLS)
    assert all(f'src="figures/cells/{name}.svg"' in drawn for name in CELLS)
    assert r"\begin" not in drawn
    for cell in CELLS.values():
        assert f'id="{cell.__module__}.{cell.__name__}"' in reference


def test_every_public_name_has_a_docstring_on_one_page(site):
    pages = {page.name: page.read_text() for page in (site / "api").iterdir()}
    for module in ("gru_jax", "gru_jax.diagnostics", "gru_jax.interop", "gru_jax.tasks"):
        for name in importlib.import_module(module).__all__:
            if name not in ("CELLS", "TASKS", "Batch"):  # tables, and another name for Example
                found = [
                    p for p, text in pages.items() if re.search(rf'<h2 id="[\w.]+\.{name}"', text)
                ]
                assert len(found) == 1, (name, found)


@pytest.mark.parametrize(
    ("reference", "problem"),
    {
        '<a href="nowhere.html">': "leads to nowhere.html, which does not exist",
        '<a href="page.html#no">': "leads to page.html#no, which has no such place",
        '<a href="#no">': "leads to #no, which has no such place",
        '<a href="../outside.html">': "leads to ../outside.html, which does not exist",
        '<img src="no.png">': "leads to no.png, which does not exist",
        '<img src="https://x.org/a.png">': "fetches https://x.org/a.png",
        '<script src="//x.org/a.js">': "fetches //x.org/a.js",
        '<link rel="stylesheet" href="https://x.org/a.css">': "fetches https://x.org/a.css",
        '<link rel="canonical" href="https://x.org/page.html">': "",
        '<a href="https://x.org">': "",
        '<a href="page.html#here">': "",
        '<a href="#here">': "",
    }.items(),
)
def test_what_leads_nowhere_is_told(tmp_path, reference, problem):
    (tmp_path / "outside.html").write_text("")
    site = tmp_path / "site"
    site.mkdir()
    (site / "page.html").write_text(f'<p id="here"></p>{reference}')
    found = links.broken(site)
    assert len(found) == bool(problem)
    assert problem in "".join(found)


@pytest.mark.parametrize(
    ("source", "markdown", "shown"),
    [
        ("README.md", "[docs/cells.md](docs/cells.md#gru)", "[cells](cells.md#gru)"),
        (
            "README.md",
            "![a](docs/figures/speed.png)",
            "[![a](figures/speed.png)](figures/speed.png)",
        ),
        ("README.md", "[how](CONTRIBUTING.md)", "[how](contributing.md)"),
        ("docs/log.md", "[how](../CONTRIBUTING.md)", "[how](contributing.md)"),
        ("docs/log.md", "[docs/cells.md](cells.md)", "[cells](cells.md)"),
        ("docs/log.md", "[it](../configs/adding.py)", "[it](CODE/blob/main/configs/adding.py)"),
        ("docs/log.md", "[no](../nowhere.md)", "[no](../nowhere.md)"),
        ("docs/log.md", "[a](https://x.org) [b](#c)", "[a](https://x.org) [b](#c)"),
        ("docs/log.md", "```text\n[a](../README.md)\n```", "```text\n[a](../README.md)\n```"),
        ("docs/log.md", "[it](notebooks/1_gates.ipynb)", "[it](notebooks/1_gates.md)"),
        ("docs/notebooks/1_gates.ipynb", "[docs/gru.md](../gru.md#a)", "[gru](../gru.md#a)"),
        ("docs/notebooks/1_gates.ipynb", "[it](../../README.md)", "[it](../index.md)"),
        ("docs/log.md", "<!-- part -->\nwords", "\nwords"),
        ("docs/log.md", "| [a](../README.md) |\n", f"{BOX}| [a](index.md) |\n\n</div>\n"),
        ("docs/log.md", "```python\n>>> 1\n```", "```pycon\n>>> 1\n```"),
    ],
)
def test_pages_become_those_of_the_site(website, source, markdown, shown):
    assert website("pages").translated(markdown, ROOT / source, "CODE") == shown


def test_links_to_code_are_words_where_the_code_is_nowhere(website):
    translated = website("pages").translated
    assert translated("[it](../configs/adding.py)", ROOT / "docs" / "log.md") == "it"


def test_equations_are_rows(website):
    shown = website("mathematics").shown
    rows = shown('\\begin{aligned}\na &= -b && \\text{if x="<y>"} \\\\\nb &= c\n\\end{aligned}')
    assert rows.count('<div class="row">') == rows.count("<span>=</span>") == 2
    assert rows.count("<math>") == 4
    assert '<span class="note">if x="&lt;y&gt;"</span>' in rows
    assert shown("a").startswith('<div class="equation"><math>')
    with pytest.raises(ValueError, match="a note about an equation"):
        shown("\\begin{aligned}\na &= b && c\n\\end{aligned}")


@pytest.mark.parametrize("name", ["mathematics", "docstrings"])
def test_examples_run(website, name):
    result = doctest.testmod(website(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_without_what_makes_it_there_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(__main__, "NEEDED", ("os", "nothing_of_this_name"))
    monkeypatch.setattr("sys.argv", ["website"])
    assert __main__.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no module nothing_of_this_name: `make docs` installs" in line
