"""Where the nodes of a graph are drawn: in layers from left to right, in rows within a layer.

A wire that passes a layer has a row there, as a node has. An operation takes one input from the
left and another from above or below. Rows are searched for that have few crossings and bends.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from scripts.equations.dataflow import Node, kept_paths

# A node by its place, a wire that passes a layer, (source, layer), or an input that enters an
# operation from above or below, (node, "entry").
Item = Any
# The prices of what is ugly, where a row that a wire climbs costs 1: a crossing, a bend, a row
# between an operation and its entry, a row of the whole.
CROSSING, BEND, ENTRY, ROW = 14, 5, 1.1, 1.2


class Layout:
    """Layers and rows.

    layer: of each node. rows: of each item. users: of each node the nodes that it leads to, with
    the numbers of their inputs. kept: the edges, (source, node), on which a state stays. west: of
    an operation the number of the input that comes from the left.
    """

    def __init__(self, nodes: list[Node], widths: list[int]):
        self.nodes = nodes
        self.layer = _layers(nodes, widths)
        self.last = max(self.layer)
        self.users: list[list[tuple[int, int]]] = [[] for _ in nodes]
        for j, node in enumerate(nodes):
            for k, i in enumerate(node.inputs):
                self.users[i].append((j, k))
        paths = kept_paths(nodes)
        self.kept = {edge for path in paths for edge in itertools.pairwise(path)}
        pairs = [i for i, node in enumerate(nodes) if node.kind == "unit" and len(node.inputs) == 2]
        self.west: dict[int, int] = {}
        self.rows: dict[Item, int] = {}
        self.items: list[list[Item]] = [[] for _ in range(self.last + 1)]  # of each layer
        # From a layer to the next: two items, and the number of the input, -1 for a wire.
        self.wires: list[list[tuple[Item, Item, int]]] = [[] for _ in range(self.last)]
        for i, layer in enumerate(self.layer):
            self.items[layer] += [i, (i, "entry")] if i in pairs else [i]
            end = max((self.layer[j] for j, _ in self.users[i]), default=layer)
            chain: list[Item] = [i, *((i, between) for between in range(layer + 1, end))]
            for one, other in itertools.pairwise(chain):
                self.items[other[1]].append(other)
                self.wires[other[1] - 1].append((one, other, -1))
            for j, k in self.users[i]:
                before = self.layer[j] - 1
                self.wires[before].append((chain[before - layer], j, k))
        # Half the rows that an item takes.
        self.half: dict[Item, int] = dict.fromkeys(itertools.chain(*self.items), 0)
        for i, node in enumerate(nodes):
            self.half[i] = max(2, len(node.inputs) // 2 + 1) if node.kind == "box" else 1
        between = lambda i, j: range(self.layer[i] + 1, self.layer[j])
        self.straight: list[list[Item]] = [
            path + [(i, layer) for i, j in itertools.pairwise(path) for layer in between(i, j)]
            for path in paths
        ]
        self.prices: dict[Any, float] = {}
        ways = [self._searched(first, pairs) for first in (0, 1)]
        _, self.rows, self.west = min(ways, key=lambda way: way[0])

    def _fixed(self, i: int) -> list[int]:
        """Of an operation: the input that has to come from the left, if there is one."""
        node = self.nodes[i]
        kept = [k for k, source in enumerate(node.inputs) if (source, i) in self.kept]
        return kept or [0] * (node.text == "÷")

    def pins(self, layer: int) -> list[tuple[Item, Item, int]]:
        """The wires from a layer to the next: two items, and the row of its end."""
        found = []
        heard: dict[int, list[tuple[int, int]]] = {}
        for at, (one, j, k) in enumerate(self.wires[layer]):
            other = (j, "entry") if k >= 0 and self.west.get(j, k) != k else j
            found.append((one, other, self.rows[other]))
            if k >= 0 and self.nodes[j].kind == "box":
                heard.setdefault(j, []).append((self.rows[one], at))
        for j, some in heard.items():  # a box's wires do not cross before it
            for port, (_, at) in zip(_spread(len(some)), sorted(some), strict=True):
                found[at] = found[at][0], j, self.rows[j] + port
        return found

    def nets(self, layer: int) -> dict[Item, list[int]]:
        """The rows of each wire between a layer and the next: its source's, and where it leads."""
        found: dict[Item, list[int]] = {}
        for one, _, row in self.pins(layer):
            found.setdefault(one, [self.rows[one]]).append(row)
        return found

    def _start(self) -> None:
        """Straight lines at the top, and all else near what leads to it."""
        self.rows = {}
        for k, line in enumerate(self.straight):
            self.rows |= dict.fromkeys(line, 4 * k)
            self.rows |= {(i, "entry"): 4 * k + 2 for i in line if i in self.west}
        for layer in range(self.last + 1):
            row = 4 * len(self.straight)
            for item in sorted(self.items[layer], key=self._first):
                if item in self.rows or _entry(item):
                    continue
                self.rows[item] = row + self.half[item] + 1
                row = self.rows[item] + self.half[item]
                if item in self.west:
                    row += 1
                    self.rows[item, "entry"] = row

    def _first(self, item: Item) -> tuple[float, bool]:
        """Of an item at the start: the mean row of what leads to it; whether it is x, the last."""
        layer = self.layer[item] if isinstance(item, int) else item[1]
        if _entry(item) or not layer:
            return 0, isinstance(item, int) and self.nodes[item].text == "x"
        near = [self.rows[one] for one, other, _ in self.wires[layer - 1] if other == item]
        return sum(near) / len(near), False

    def price(self) -> float:
        """What is ugly, in all."""
        rows = self.rows.values()
        total = ROW * (max(rows) - min(rows))
        total += ENTRY * sum(abs(self.rows[i] - self.rows[i, "entry"]) for i in self.west)
        for layer in range(self.last):
            pins = tuple([(one, self.rows[one], row) for one, _, row in self.pins(layer)])
            if (layer, pins) not in self.prices:
                self.prices[layer, pins] = _price(pins)
            total += self.prices[layer, pins]
        return total

    def _searched(self, west: int, pairs: list[int]) -> tuple[float, dict[Item, int], Any]:
        """Makes moves as long as that helps; which input comes from the left, if it can choose."""
        self.west = {i: (self._fixed(i) or [west])[0] for i in pairs}
        self._start()
        best, before = self.price(), float("inf")
        while best < before:
            before = best
            for move in self._moves():
                saved = dict(self.rows), dict(self.west)
                move()
                if self._fits() and (found := self.price()) < best - 1e-6:
                    best = found
                else:
                    self.rows, self.west = saved
        return best, self.rows, self.west

    def _moves(self) -> Iterator[Callable[[], None]]:
        """Other sides for inputs, and other rows for lines, with room made for them or without."""
        for j in self.west:
            if not self._fixed(j):
                yield functools.partial(self._turn, j, False)
                yield functools.partial(self._turn, j, True)
        for line in self._lines():
            for to in range(max(self.rows.values()) + 3):
                yield functools.partial(self._insert, line, to, 0)
                room = 2 * max(self.half[item] for item in line) + 2
                yield functools.partial(self._insert, line, to, room)

    def _turn(self, j: int, swap: bool) -> None:
        self.west[j] = 1 - self.west[j]
        if swap:
            entry = (j, "entry")
            self.rows[j], self.rows[entry] = self.rows[entry], self.rows[j]

    def _insert(self, line: tuple[Item, ...], to: int, room: int) -> None:
        """Moves a line, so that its first item is in a row; what is behind goes further down."""
        by = to - self.rows[line[0]]
        behind = to - room // 2 + 1
        for item, row in self.rows.items():
            self.rows[item] = row + (by if item in line else room * (row >= behind))
        if room:
            self._squeeze()

    def _lines(self) -> list[tuple[Item, ...]]:
        """Items that straight wires connect, and single items."""
        groups: dict[Item, set[Item]] = {item: {item} for item in self.rows}
        for line in self.straight:
            groups |= {item: set(line) for item in line}
        alone = list(groups.values())
        for layer in range(self.last):
            for one, other, row in self.pins(layer):
                if self.rows[one] == row:
                    both = groups[one] | groups[other]
                    groups |= dict.fromkeys(both, both)
        return [*dict.fromkeys(tuple(sorted(g, key=str)) for g in [*groups.values(), *alone])]

    def _gaps(self) -> list[tuple[Item, Item, int]]:
        """Items that follow each other in a layer, and how many rows are free between them."""
        rows, half = self.rows, self.half
        return [
            (one, other, rows[other] - rows[one] - half[one] - half[other] - 1)
            for items in self.items
            for one, other in itertools.pairwise(sorted(items, key=rows.__getitem__))
        ]

    def _fits(self) -> bool:
        """Whether nothing overlaps, an entry is next to its operation, and what is kept on top."""
        gaps = self._gaps()
        first = self.straight[0] if self.straight else ()
        if any(gap < 0 or other in first for _, other, gap in gaps):
            return False
        beside = {(one, other) for one, other, _ in gaps}
        return all(beside & {(j, (j, "entry")), ((j, "entry"), j)} for j in self.west)

    def _squeeze(self) -> None:
        """Takes out empty rows that nobody needs."""
        needed: dict[int, list[tuple[int, int]]] = {row: [] for row in self.rows.values()}
        for one, other, gap in self._gaps():
            needed[self.rows[other]].append((self.rows[one], gap))
        new: dict[int, int] = {}
        last = -1
        for row in sorted(needed):
            last = max(
                [last + 1, *(new[low] + row - low - gap for low, gap in needed[row] if low < row)]
            )
            new[row] = last
        self.rows = {item: new[row] for item, row in self.rows.items()}


def _spread(number: int) -> range:
    """The rows of a box's inputs, relative to its own."""
    return range(-1, 2, 2) if number == 2 else range(-(number // 2), number // 2 + 1)


def _price(pins: tuple[tuple[Item, int, int], ...]) -> float:
    """What is ugly between two layers, given the net and the rows of each wire."""
    nets: dict[Item, list[int]] = {}
    for net, row, to in pins:
        nets.setdefault(net, [row]).append(to)
    total = sum(max(rows) - min(rows) for rows in nets.values())
    total += BEND * sum(row != to for _, row, to in pins)
    pairs = itertools.combinations(nets.values(), 2)
    return total + CROSSING * sum(min(crossings(a, b), crossings(b, a)) for a, b in pairs)


def crossings(one: list[int], other: list[int]) -> int:
    """How often wires cross if the first climbs left of the other; 99 where they would overlap.

    A wire is its rows: that from which it comes, then those to which it leads.
    """
    ends, start = set(one[1:]), other[0]
    low, high, least, most = min(other), max(other), min(one), max(one)
    if least < most and ((low < high and ends & {low, high}) or start in ends):
        return 99
    return sum(low < row < high for row in ends) + (least < start < most)


def _entry(item: Item) -> bool:
    return not isinstance(item, int) and item[-1] == "entry"


def _layers(nodes: list[Node], widths: list[int]) -> list[int]:
    """Each node behind its inputs, so that wires are short and columns narrow."""
    layer = [0] * len(nodes)
    for i, node in enumerate(nodes):
        if node.inputs:
            layer[i] = 1 + max(layer[k] for k in node.inputs)
    last = max(layer)
    users = [[j for j, node in enumerate(nodes) if i in node.inputs] for i in range(len(nodes))]

    def price() -> float:
        wires = sum(
            max(layer[j] for j in users[i]) - layer[i] for i in range(len(nodes)) if users[i]
        )
        columns = (
            max(w for i, w in enumerate(widths) if layer[i] == k)
            for k in range(last + 1)
            if k in layer
        )
        return 25 * wires + sum(columns)

    for i, node in enumerate(nodes):
        if node.kind == "output":
            layer[i] = last
    while True:
        moved = False
        for i, node in enumerate(nodes):
            if node.kind in ("input", "output"):
                continue
            best = price()
            for to in range(
                1 + max(layer[k] for k in node.inputs), min(layer[j] for j in users[i])
            ):
                old, layer[i] = layer[i], to
                if (found := price()) < best:
                    best, moved = found, True
                else:
                    layer[i] = old
        if not moved:
            return layer
