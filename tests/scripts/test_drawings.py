"""Drawings of cells: the graph that is drawn computes the cell, and nothing in it overlaps."""

import doctest
import itertools
import re
from xml.etree import ElementTree

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from flax import nnx

from gru_jax import CELLS
from gru_jax.cells import skew
from gru_jax.cells.norm import LayerNorm
from scripts.equations import dataflow, drawings, latex, terms
from tests.helpers import randomise
from tests.programs import ROOT

D, H, BATCH = 2, 3, 5
FUNCTIONS = {
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
    "exp": lambda a: scipy.linalg.expm(a) if a.shape == (H, H) else np.exp(a),
    "max": np.maximum,
    "Re": np.real,
    "T": np.transpose,
    "activation": lambda a: a,
    "LN": lambda a: (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-5),
    **{name: getattr(np, name) for name in ("tanh", "log", "sign", "abs")},
}
SHOWN = {"×": np.multiply, "÷": np.divide, "+": np.add}
# What is reported but no part of the step.
REPORTED = {"sLSTM": {"input", "forget"}, "LRU": {"magnitude"}}

NORMALISED = {"minLSTM"}  # whose gates are reported after more than their sigmoid


def value(term, inputs, given, definitions):
    """What a term is, with arrays for its inputs and for names."""
    op, *parts = term
    if op == "input":
        return inputs[parts[0]]
    if op == "name":
        (name,) = parts
        if name.isdigit():
            return np.float64(name)
        return given[name] if name in given else value(definitions[name], (), given, definitions)
    if op == "item":
        term, k, count = parts
        return np.split(value(term, inputs, given, definitions), count, axis=-1)[k]
    *sides, last = (value(p, inputs, given, definitions) for p in parts if isinstance(p, tuple))
    if op == "call":
        return FUNCTIONS[parts[0]](*sides, last)
    if op == "@" and last.ndim == 2 and len(last) != BATCH and sides[0].ndim:  # a matrix
        return sides[0] @ last
    signs = {"+": np.add, "-": np.subtract, "*": np.multiply, "@": np.multiply, "/": np.divide}
    return -last if op == "neg" else signs[op](sides[0], last)


def values(graph, given, definitions):
    """Of all nodes."""
    found = []
    for node in graph:
        inputs = [found[k] for k in node.inputs]
        found.append(value(node.term, inputs, given, definitions))
        if node.text in SHOWN:
            signed = [-v if sign == "−" else v for v, sign in zip(inputs, node.signs, strict=True)]
            np.testing.assert_allclose(found[-1], SHOWN[node.text](*signed))
    return found


def symbols(graph, definitions):
    """The names that a graph leaves open, with the number of gates whose parameters they are."""
    found = {}

    def visit(term, count):
        if term[0] == "name" and term[1] in definitions and term[1] not in found:
            found[term[1]] = 0
            visit(definitions[term[1]], count)
        elif term[0] == "name":
            found.setdefault(term[1], count)
        for part in filter(terms.is_term, term[1:]):
            visit(part, term[3] if term[0] == "item" else count)

    for node in graph:
        if node.kind != "input":
            visit(node.term, 1)
    return {name: n for name, n in found.items() if n and not name.isdigit()}


def known(cell):
    """What equations name that is no parameter as it is, and the parameters that are not left."""
    found = {name: getattr(cell, name) for name in latex.NAMES if hasattr(cell, name)}
    used = []
    if hasattr(cell, "skew"):
        found |= {"S": skew.kernel(cell.skew, H, float), "I": np.eye(H)}
        used = [cell.skew]
    if hasattr(cell, "output_imaginary"):  # the LRU, whose B and C are complex
        used = [cell.real.kernel, cell.imaginary.kernel]
        used += [cell.output_real.recurrent_kernel, cell.output_imaginary.recurrent_kernel]
        b, ib, c, ic = (each[...] for each in used)
        found |= {"B": b + 1j * ib, "C": c + 1j * ic, "i": 1j}
    used += [each for each in found.values() if isinstance(each, nnx.Param)]
    arrays = {k: np.asarray(v) for k, v in found.items() if k != "activation"}
    return arrays, [id(each) for each in used]


def arranged(names, arrays):
    """Every way to give all arrays to all names, of which one may be for several gates."""
    if sum(names.values()) != len(arrays):
        return
    for order in itertools.permutations(arrays):
        rest = iter(order)
        take = lambda n: np.concatenate([*itertools.islice(rest, n)], axis=-1)  # noqa: B023
        yield {name: take(n) for name, n in names.items()}


def computes(cell, docstring):
    """Whether the graph of these equations gives the cell's step and all that it reports.

    Which parameter is which is found out: one way to name all of them has to give all values.
    """
    block = latex.block(docstring)
    definitions, _ = terms.defined(block, cell.options())
    graph = dataflow.graph(block, cell.options())
    given, used = known(cell)
    free = {k: n for k, n in symbols(graph, definitions).items() if k not in given}
    along = set(re.findall(r"\bx ([A-Z]\w*)", block))
    kinds = lambda k: 0 if k in along else 1 if k[0].isupper() else 2
    params = [each for _, each in nnx.iter_graph(cell) if isinstance(each, nnx.Param)]
    left = [np.asarray(each[...]) for each in params if id(each) not in used]
    left = [each for each in left if not (each == 1).all()]  # but gains
    ways = []
    for kind, shape in enumerate([(D, H), (H, H), (H,)]):
        some = {k: n for k, n in free.items() if kinds(k) == kind}
        ways.append([*arranged(some, [each for each in left if each.shape == shape])])
    if not all(ways):
        return False
    # All ways to name vectors at once, along an axis of their own.
    vectors = {k: np.stack([way[k] for way in ways[2]])[:, None] for k in ways[2][0]}

    generator = np.random.default_rng(1)
    x, *states = generator.normal(size=(BATCH, D)), *np.abs(generator.normal(size=(4, BATCH, H)))
    states = dict(zip(cell.STATES, states, strict=False))
    new, reported = cell.step(tuple(states.values()) if len(states) > 1 else states["h"], x)
    new = dict(zip(cell.STATES, new if len(states) > 1 else [new], strict=True))
    if "re" in states:
        states["s"], new["s"] = states["re"] + 1j * states["im"], new["re"] + 1j * new["im"]
    wanted = {f"{k}'": np.asarray(v) for k, v in new.items() if k not in ("re", "im")}
    for one, other in itertools.product(*ways[:2]):
        found = values(graph, {**given, **one, **other, **vectors, "x": x, **states}, definitions)
        apart = lambda a, b: np.abs(a - b).max((-2, -1)) * np.ones(len(ways[2]))
        worst = [
            apart(v, wanted[n.text])
            for n, v in zip(graph, found, strict=True)
            if n.kind == "output"
        ]
        for name, told in reported.items():
            if name in REPORTED.get(cell.TITLE, ()):
                continue
            boxes = [
                v
                for node, v in zip(graph, found, strict=True)
                if node.name.split(" gate")[0] == name and cell.TITLE not in NORMALISED
            ]
            near = [apart(v, np.asarray(told)) for v in boxes or found if v.shape[-1] == H]
            worst.append((np.max if boxes else np.min)(near, axis=0))
        if (np.max(worst, axis=0) < 1e-10).any():
            return True
    return False


def make(cell):
    made = randomise(cell(D, H, param_dtype=jnp.float64, rngs=nnx.Rngs(0)))
    for _, each in nnx.iter_graph(made):
        if isinstance(each, LayerNorm):
            each.gain[...] = jnp.ones_like(each.gain[...])
    return made


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CELLS)
def test_what_is_drawn_is_the_cell(name):
    assert computes(make(CELLS[name]), CELLS[name].__doc__)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("gru", "z * h + (1 - z) * n   ", "(1 - z) * h + z * n   "),
        ("gru", "x W_r + h U_r + b_r", "x W_r + b_r"),
        ("gru", "reset gate", "update gate"),
        ("lstm", "tanh(c')", "tanh(c)"),
        ("lstm", "o * tanh", "o + tanh"),
        ("lstm", "input gate", "output gate"),
        ("slstm", "exp(a - m')", "exp(a + m')"),
        ("mgu", "(f * h) U_n", "f * (h U_n)"),
        ("cornn", "- gamma y", "+ gamma y"),
        ("lru", "Re(s' C)", "Re(s C)"),
        ("li_gru", "relu(n)", "tanh(n)"),
    ],
)
def test_wrong_equations_are_found(name, right, wrong):
    docstring = CELLS[name].__doc__
    assert right in docstring
    assert not computes(make(CELLS[name]), docstring.replace(right, wrong, 1))


@pytest.mark.parametrize(
    ("name", "texts"),
    {
        "gru": ["σ", "1 −", "h U_n + c_n", "tanh"],
        "brc": ["1 + tanh"],
        "slstm": ["log σ", "exp", "max"],
        "lem": ["Δt σ"],
        "cornn": ["× γ", "× Δt"],
        "janet": ["1 − σ(a − β)"],
        "exprnn": ["sign", "relu(|a| + b)"],
        "ln_lstm": ["σ LN", "tanh(LN(c') + b_c)"],
    }.items(),
)
def test_shapes_name_what_they_compute(name, texts):
    assert set(texts) <= {node.text for node in drawings.nodes(CELLS[name])}


def test_the_default_is_drawn():
    graph = drawings.nodes(CELLS["antisymmetric"])
    assert "z" not in [node.letter for node in graph]  # of gated=True


@pytest.fixture(scope="module")
def drawn():
    return {name: drawings.Drawing(drawings.nodes(cell)) for name, cell in CELLS.items()}


def segments(drawing, i, j, k):
    return [*itertools.pairwise(drawing.wire(i, j, k))]


@pytest.mark.parametrize("name", CELLS)
def test_nothing_overlaps(drawn, name):
    drawing = drawn[name]
    shapes = {}
    for i, node in enumerate(drawing.nodes):
        x, y, across, half = drawing.x[i], drawing.y[i], drawing.widths[i] // 2, drawing.half(i)
        assert x - across > 0
        assert x + across < drawing.right
        assert y - half > 0
        assert y + half < drawing.bottom
        if node.kind in ("box", "unit"):
            shapes[i] = (x - across, y - half, x + across, y + half)
    for one, other in itertools.combinations(shapes.values(), 2):
        apart = [one[0] - other[2], other[0] - one[2], one[1] - other[3], other[1] - one[3]]
        assert max(apart) >= 8, name
    lines = []
    for j, node in enumerate(drawing.nodes):
        for k, i in enumerate(node.inputs):
            wire = segments(drawing, i, j, k)
            for (a, b), (c, d) in wire:
                assert (a == c) != (b == d)  # horizontal or vertical
                assert c >= a
                low, high = sorted((b, d))
                for left, top, right, bottom in shapes.values():
                    assert not (a < right and c > left and low < bottom and high > top), name
                lines.append((i, a, low, c, high))
            if (i, j) in drawing.layout.kept:
                assert len(wire) == 1, "a state that is kept runs straight"
    for (i, a, b, c, d), (j, e, f, g, h) in itertools.combinations(lines, 2):
        if i != j and (a == c) == (e == g):  # of different wires, in the same direction
            assert not (max(a, e) <= min(c, g) and max(b, f) <= min(d, h)), name


@pytest.mark.parametrize("name", CELLS)
def test_a_drawing_is_small_and_says_what_it_shows(drawn, name):
    cell = CELLS[name]
    text = drawn[name].svg(f"One step of the {cell.TITLE}", drawings.described(cell))
    assert text == (ROOT / "docs" / "figures" / "cells" / f"{name}.svg").read_text()
    assert len(text.encode()) < 10_000
    image = ElementTree.fromstring(text)
    assert float(image.get("width")) <= 720  # as wide as a page
    words = image.find("{*}desc").text
    letters = [node.letter for node in drawings.nodes(cell) if node.inputs and node.letter]
    assert letters
    assert all(re.search(rf"(^|; ){re.escape(letter)}( \(| from )", words) for letter in letters)
    page = (ROOT / "docs" / "cells.md").read_text()
    assert f"![One step of the {cell.TITLE}: {words}](figures/cells/{name}.svg)" in page


def test_every_drawing_is_of_a_cell():
    folder = ROOT / "docs" / "figures" / "cells"
    assert {path.stem for path in folder.iterdir()} == set(CELLS)


@pytest.mark.parametrize(
    ("equations_", "said"),
    [
        ("h' = x W\nh' = h", "defined twice"),
        ("h' = x W)", "too many"),
        ("h' = tanh(x W", "lacks"),
        ("h' = max(h, x W, x)", "two"),
    ],
)
def test_what_has_no_graph_is_refused(equations_, said):
    with pytest.raises(ValueError, match=said):
        dataflow.graph(equations_, {})


@pytest.mark.parametrize("module", [terms, dataflow])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
