"""docs/figures/cells: the step of every cell, drawn from the equations in its docstring."""

import itertools
import re
from html import escape

from gru_jax import Cell
from scripts.equations import dataflow, latex
from scripts.equations.dataflow import Node
from scripts.equations.layout import Item, Layout, crossings

UNIT = 12  # pixels a row
MARGIN, TRACK, RADIUS = 14, 11, 6
SYMBOLS = {"×": "M-5 -5L5 5M5 -5L-5 5", "+": "M-6 0H6M0 -6V6", "÷": "M-6 0H6M0 -5V-4M0 4V5"}
GATE, OTHER, PLAIN, PAPER = "#d6e4f0", "#f4dfba", "#ffffff", "#fbfbf9"
INK, MEMORY = "#333333", "#17344f"
FUNCTIONS = {"σ", *latex.FUNCTIONS} - {"sigmoid", "LN"}

Point = tuple[int, int]


def drawing(cell: type[Cell]) -> str:
    """An SVG of one step."""
    return Drawing(nodes(cell)).svg(f"One step of the {cell.TITLE}", described(cell))


def nodes(cell: type[Cell]) -> list[Node]:
    """The graph of a cell as it is by default."""
    return dataflow.graph(latex.block(cell.__doc__ or ""), cell.options())


def described(cell: type[Cell]) -> str:
    """What a drawing shows, in words, for those who cannot see it."""
    graph = nodes(cell)

    def sources(node: Node) -> list[str]:
        found: dict[str, None] = {}
        for i in node.inputs:
            named = graph[i].letter
            found |= dict.fromkeys([named] if named else sources(graph[i]))
        return list(found)

    told = []
    for node in graph:
        if node.letter and node.inputs and node.kind != "output":
            *some, last = sources(node)
            listed = f"{', '.join(some)} and {last}" if some else last
            name = f" ({node.name})" if node.name else ""
            told.append(f"{node.letter}{name} from {listed}")
    return "; ".join(told)


class Drawing:
    """Coordinates of a layout, and the SVG of them."""

    def __init__(self, graph: list[Node]):
        self.nodes = graph
        self.widths = [_width(node) for node in graph]
        self.layout = layout = Layout(graph, self.widths)
        top = min(row - layout.half[item] for item, row in layout.rows.items())
        self.y = {item: MARGIN + UNIT * (row - top) for item, row in layout.rows.items()}
        self.bottom = max(y + UNIT * layout.half[i] for i, y in self.y.items()) + MARGIN
        self.tracks: list[dict[Item, int]] = []  # of each gap between layers: where wires climb
        centres, right = [], MARGIN
        for layer in range(layout.last + 1):
            there = zip(self.widths, layout.layer, strict=True)
            width = max((width for width, at in there if at == layer), default=0)
            centres.append(right + width // 2)
            right += width
            if layer < layout.last:
                tracks = _tracks(layout.nets(layer))
                self.tracks.append({net: right + 10 + TRACK * at for net, at in tracks.items()})
                signs = [graph[j].signs[k] for _, j, k in layout.wires[layer] if k >= 0]
                right += 24 + 10 * any(signs) + TRACK * max(tracks.values(), default=0)
        self.right = right + MARGIN
        # Of each wire between layers, where it leads: an item, and a height.
        self.ends = []
        for layer in range(layout.last):
            wires = zip(layout.wires[layer], layout.pins(layer), strict=True)
            self.ends.append(
                {
                    (one, (j, k) if k >= 0 else -1): (other, MARGIN + UNIT * (row - top))
                    for (one, j, k), (_, other, row) in wires
                }
            )
        self.x = [centres[layer] for layer in layout.layer]

    def half(self, i: int) -> int:
        """Half the height of a node's shape."""
        return UNIT * self.layout.half[i] - 2 * (self.nodes[i].kind == "box")

    def wire(self, i: int, j: int, k: int) -> list[Point]:
        """The corners of the wire from a node to the k-th input of another."""
        x, y = self.x[i] + self.widths[i] // 2, self.y[i]
        points = [(x, y)]
        item: Item = i
        for layer in range(self.layout.layer[i], self.layout.layer[j]):
            last = layer + 1 == self.layout.layer[j]
            after, to = self.ends[layer][item, (j, k) if last else -1]
            if to != y:
                points += [(self.tracks[layer][item], y), (self.tracks[layer][item], to)]
            item, y = after, to
        if isinstance(item, int):
            return [*points, (self.x[j] - self.widths[j] // 2, y)]
        end = self.y[j] + (12 if y > self.y[j] else -12)
        return [*points, (self.x[j], y), (self.x[j], end)]

    def svg(self, title: str, words: str) -> str:
        thin, thick, arrows, dots, signs = "", "", "", "", ""
        for i, users in enumerate(self.layout.users):
            wires = [self.wire(i, j, k) for j, k in users]
            joins = _joins(wires)
            dots += "".join(f'<circle cx="{x}" cy="{y}" r="3"/>' for x, y in sorted(joins))
            for (j, k), points in zip(users, wires, strict=True):
                if (i, j) in self.layout.kept:
                    thick += _rounded(points, joins)
                else:
                    thin += _rounded(points, joins)
                arrows += _arrow(points)
                signs += _sign(points, self.nodes[j].signs[k])
        shapes = "".join(self.shape(i) for i in range(len(self.nodes)))
        texts = "\n".join(filter(None, (self.text(i) for i in range(len(self.nodes)))))
        return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{self.right}" \
height="{self.bottom}" viewBox="0 0 {self.right} {self.bottom}" font-family="sans-serif" \
font-size="15" fill="#1c1c1c" text-anchor="middle" role="img" aria-labelledby="title desc">
<title id="title">{escape(title)}</title>
<desc id="desc">{escape(words)}</desc>
<rect width="{self.right}" height="{self.bottom}" rx="6" fill="{PAPER}"/>
<path d="{thin}" fill="none" stroke="{INK}" stroke-width="1.5"/>
<path d="{thick}" fill="none" stroke="{MEMORY}" stroke-width="3.5"/>
<g fill="{INK}">{dots}<path d="{arrows}"/></g>
<g stroke="{INK}" stroke-width="1.5">
{shapes}</g>
{texts}{signs}
</svg>
"""

    def shape(self, i: int) -> str:
        node, x, y, width, half = self.nodes[i], self.x[i], self.y[i], self.widths[i], self.half(i)
        if node.kind in ("input", "output"):
            return ""
        if symbol := SYMBOLS.get(node.text):
            return (
                f'<circle cx="{x}" cy="{y}" r="{half}" fill="{PLAIN}"/>'
                f'<path transform="translate({x} {y})" d="{symbol}" stroke-width="2"/>\n'
            )
        functions = FUNCTIONS & {*re.findall(r"\w+(?![\w(])", node.text)}
        fill = GATE if "σ" in functions else OTHER if functions else PLAIN
        colour, corner = (fill, 6) if node.kind == "box" else (PLAIN, half)
        return (
            f'<rect x="{x - width // 2}" y="{y - half}" width="{width}" height="{2 * half}" '
            f'rx="{corner}" fill="{colour}"/>\n'
        )

    def text(self, i: int) -> str:
        node, x, y = self.nodes[i], self.x[i], self.y[i]
        if node.kind in ("input", "output"):
            style = 'font-size="18" font-weight="bold"'
            return f'<text x="{x}" y="{y + 6}" {style}>{_typeset(node.text)}</text>'
        if node.text in SYMBOLS:
            return ""
        up = 8 * bool(node.name)
        first = f'<text x="{x}" y="{y + 5 - up}">{_typeset(_first(node))}</text>'
        return first + up // 8 * f'<text x="{x}" y="{y + 14}" font-size="13">{node.name}</text>'


def _first(node: Node) -> str:
    """What stands in a box: its letter, unless that is a state's, and its function."""
    named = node.letter and not node.letter.endswith("'")
    return f"{node.letter} = {node.text or 'Σ'}" if named else node.text


def _width(node: Node) -> int:
    if node.kind in ("input", "output"):
        return 30 if node.text == "m'" else 22
    if node.text in SYMBOLS:
        return 24
    if node.kind == "unit":
        return 2 * round(4.1 * len(node.text.replace("_", "")) + 9)
    return 2 * round(
        max(34, 4.3 * len(_first(node).replace("_", "")) + 9, 3.5 * len(node.name) + 7)
    )


def _typeset(text: str) -> str:
    """With primes, and with indices set low."""
    text = escape(text, quote=False).replace("'", "′")
    return re.sub(
        r"_(\w)", r'<tspan dy="4" font-size="11">\1</tspan><tspan dy="-4">&#8203;</tspan>', text
    )


def _tracks(nets: dict[Item, list[int]]) -> dict[Item, int]:
    """Where between two layers each wire climbs, so that wires cross little and share places."""
    climbing = [net for net, rows in nets.items() if max(rows) > min(rows)]
    pairs = {(a, b): crossings(nets[a], nets[b]) for a in climbing for b in climbing if a != b}
    price = lambda order: sum(pairs[pair] for pair in itertools.combinations(order, 2))
    order: list[Item] = []
    for net in climbing:
        order = min(([*order[:k], net, *order[k:]] for k in range(len(order) + 1)), key=price)
    found: dict[Item, int] = {}
    for net in order:
        behind = [
            at
            for other, at in found.items()
            if pairs[other, net] != pairs[net, other]
            or max(min(nets[other]), min(nets[net])) <= min(max(nets[other]), max(nets[net]))
        ]
        found[net] = max(behind, default=-1) + 1
    return found


def _joins(wires: list[list[Point]]) -> set[Point]:
    """Where wires from one source part."""
    found = set()
    for x, y in {point for wire in wires for point in wire[1:-1]}:
        ways = set()
        for wire in wires:
            for (a, b), (c, d) in itertools.pairwise(wire):
                if b == d == y and min(a, c) <= x <= max(a, c):
                    ways |= {"left"} if min(a, c) < x else set()
                    ways |= {"right"} if max(a, c) > x else set()
                if a == c == x and min(b, d) <= y <= max(b, d):
                    ways |= {"up"} if min(b, d) < y else set()
                    ways |= {"down"} if max(b, d) > y else set()
        if len(ways) > 2:
            found.add((x, y))
    return found


def _rounded(points: list[Point], joins: set[Point]) -> str:
    """The path of a wire; its corners are round where nothing else leaves it."""
    (x, y), *_ = points
    d = f"M{x} {y}"
    for (a, b), (x, y), (c, e) in zip(points, points[1:], points[2:], strict=False):
        r = (
            0
            if (x, y) in joins
            else min(RADIUS, (abs(x - a) + abs(y - b)) // 2, (abs(c - x) + abs(e - y)) // 2)
        )
        sign = lambda v: (v > 0) - (v < 0)
        one = x - r * sign(x - a), y - r * sign(y - b)
        other = x + r * sign(c - x), y + r * sign(e - y)
        d += f"L{one[0]} {one[1]}" + (f"Q{x} {y} {other[0]} {other[1]}" if r else "")
    return d + f"L{points[-1][0]} {points[-1][1]}"


def _arrow(points: list[Point]) -> str:
    """A triangle at the end of a wire."""
    (before, height), (x, y) = points[-2:]
    if before != x:
        return f"M{x} {y}l-7 -4v8Z"
    return f"M{x} {y}l-4 {7 if height > y else -7}h8Z"


def _sign(points: list[Point], sign: str) -> str:
    """Beside the end of a wire: what is done with it."""
    (before, height), (x, y) = points[-2:]
    dx, dy = (-12, -5) if before != x else (11, 16 if height > y else -6)
    return f'\n<text x="{x + dx}" y="{y + dy}">{sign}</text>' if sign else ""
