"""The equations of a docstring as a graph: what flows from x and the old states to the new ones.

A sum that contains a product with a matrix is a box, with its biases and the function around it.
All else is an operation on units. What depends on parameters alone, as exp(gamma), is no node.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from scripts.equations.terms import Term, defined, is_term, parts, replaced, summands, written

HOLE: Term = ("name", "")
LINEAR = ("LN", "Re")  # functions of a sum that belong to it
SIGNS = {"*": "×", "@": "×", "/": "÷", "+": "+", "-": "+"}


@dataclasses.dataclass(frozen=True)
class Node:
    """A part of a step.

    kind: "input", "box", "unit" or "output".
    text: what it computes, such as "σ", "×" or "1 −"; the name of an input or output.
    letter, name: those of the equation, such as "z" and "update gate", or nothing.
    inputs: the nodes before it, by their places.
    signs: for each of them "−" if it is subtracted, "+" if a box adds it without a weight.
    term: the value, of ("input", 0) and so on, and of parameters.
    """

    kind: str
    text: str
    letter: str = ""
    name: str = ""
    inputs: tuple[int, ...] = ()
    signs: tuple[str, ...] = ()
    term: Term = HOLE


def graph(block: str, options: dict[str, Any]) -> list[Node]:
    """The nodes of a cell's step, each behind its inputs.

    Args:
      block: the equations of the cell's docstring.
      options: of equations whose notes name a value of an option, those with this value count.

    >>> [node.text for node in graph("h' = z * h + x W\\nz = sigmoid(x W_z)", {})]
    ['x', 'σ', 'h', '×', 'x W', '+', "h'"]
    """
    definitions, names = defined(block, options)
    step = _Step(_fused(definitions), names)
    for head in definitions:
        if head.endswith("'"):
            node = step.named(head)
            step.add(Node("output", head, head, inputs=(node,), signs=("",), term=("input", 0)))
    return step.nodes


def kept_paths(nodes: list[Node]) -> list[list[int]]:
    """For each state that operations alone lead to its new value, the shortest way through them."""
    paths = []
    for i, node in enumerate(nodes):
        ways = [[i]] if node.kind == "input" else []
        while ways:
            way = ways.pop(0)
            if nodes[way[-1]].text == f"{node.text}'":
                paths.append(way)
                break
            ways += [
                [*way, j]
                for j, other in enumerate(nodes)
                if way[-1] in other.inputs and other.kind in ("unit", "output")
            ]
    return sorted(paths, key=lambda path: path[-1])


def _fused(definitions: dict[str, Term]) -> dict[str, Term]:
    """With a function that is taken of every use of a name, in the definition of the name."""
    for name in list(definitions):
        found = [part for term in definitions.values() for part in parts(term)]
        calls = [part for part in found if part[0] == "call" and part[2:] == (("name", name),)]
        if len(set(calls)) == 1 and len(calls) == found.count(("name", name)):
            if name.endswith("'") or definitions[name][0] == "call":
                continue
            call = calls[0]
            definitions = {k: replaced(v, call, call[2]) for k, v in definitions.items()}
            definitions[name] = (*call[:2], definitions[name])
    return definitions


class _Step:
    """Makes the nodes of equations, the same node for the same value."""

    def __init__(self, definitions: dict[str, Term], names: dict[str, str]):
        self.definitions, self.names = definitions, names
        self.nodes: list[Node] = []

    def add(self, node: Node) -> int:
        for k, other in enumerate(self.nodes):
            if (other.kind, other.inputs, other.term) == (node.kind, node.inputs, node.term):
                return k
        self.nodes.append(node)
        return len(self.nodes) - 1

    def constant(self, term: Term, within: tuple[str, ...] = ()) -> bool:
        """Whether it depends on parameters alone."""
        if term[0] != "name":
            return all(self.constant(part, within) for part in term[1:] if is_term(part))
        name = term[1]
        if name in self.definitions and name not in within:
            return self.constant(self.definitions[name], (*within, name))
        return name != "x" and not name.endswith("'") and f"{name}'" not in self.definitions

    def linear(self, term: Term) -> bool:
        """Whether it is a signal times a matrix, perhaps scaled or normalised."""
        if self.constant(term):
            return False
        if term[0] in ("@", "*"):
            one, other = term[1:]
            if self.constant(other) and any(
                part[1][:1].isupper() for part in parts(other) if part[0] == "name"
            ):
                return True
            return self.constant(one) and self.linear(other)
        return term[0] == "call" and term[1] in LINEAR and self.affine(term[2], all)

    def affine(self, term: Term, some: Callable[..., bool]) -> bool:
        """Whether some or all signals of a sum come through matrices."""
        if term[0] == "item":
            term = term[1]
        signals = [part for _, part in summands(term) if not self.constant(part)]
        return some(map(self.linear, signals))

    def named(self, name: str) -> int:
        if name in self.definitions:
            return self.node(self.definitions[name], name)
        return self.add(Node("input", name, name, term=("name", name)))

    def node(self, term: Term, letter: str = "") -> int:
        """The node of a value that depends on x or a state."""
        core, around, affine = self.peeled(term)
        if affine:
            return self.box(core, around, letter)
        inside = letter if around == HOLE else ""
        within = self.named(core[1]) if core[0] == "name" else self.operation(core, inside)
        if around == HOLE:
            return within
        operand = self.nodes[within].letter or "·"
        text = _affix(around) or written(replaced(around, HOLE, ("name", operand)))
        made = replaced(around, HOLE, ("input", 0))
        return self.add(Node("unit", text, letter, "", (within,), ("",), made))

    def peeled(self, term: Term, some: Callable[..., bool] = all) -> tuple[Term, Term, bool]:
        """What is innermost, what is around it, with a hole, and whether it is the sum of a box.

        Within a function a single product with a matrix makes a sum that of a box.
        """
        if self.affine(term, some):
            return term, HOLE, True
        inner = [k for k, part in enumerate(term) if is_term(part) and not self.constant(part)]
        if term[0] == "name" or len(inner) != 1:
            return term, HOLE, False
        core, around, affine = self.peeled(term[inner[0]], any if term[0] == "call" else all)
        return core, (*term[: inner[0]], around, *term[inner[0] + 1 :]), affine

    def box(self, core: Term, around: Term, letter: str) -> int:
        """A sum of products with matrices, with what is around it."""
        inputs: dict[int, str] = {}

        def numbered(term: Term, sign: str) -> Term:
            node = self.node(term)
            inputs.setdefault(node, sign)
            return ("input", list(inputs).index(node))

        def heard(term: Term, sign: str = "+") -> Term:
            """A part of the sum, of the inputs of the box."""
            if self.constant(term):
                return term
            op, *sides = term
            if op in ("+", "-", "neg", "item") or (op == "call" and self.linear(term)):
                turned = "−" if op in ("-", "neg") else sign
                *first, last = (k for k, side in enumerate(term) if is_term(side))
                changed = {
                    **{k: heard(term[k], sign) for k in first},
                    last: heard(term[last], turned),
                }
            elif self.linear(term) or (op in ("*", "@") and any(map(self.constant, sides))):
                k = 2 if self.constant(sides[0]) else 1
                changed = {k: heard(term[k]) if self.linear(term[k]) else numbered(term[k], "")}
            else:
                return numbered(term, sign)
            return tuple(changed.get(k, side) for k, side in enumerate(term))

        made = replaced(around, HOLE, heard(core))
        text = _around(around)
        if any(part[:2] == ("call", "LN") for part in parts(core)):
            text = f"{text} LN".strip()
        if around == HOLE and not letter:
            text = written(core)
        name = self.names.get(letter, "")
        signs = tuple(inputs.values())
        return self.add(Node("box", text, letter, name, tuple(inputs), signs, made))

    def operation(self, core: Term, letter: str) -> int:
        """A sum, product or other function of two signals."""
        first = 2 if core[0] == "call" else 1
        if len(core) != first + 2:
            raise ValueError(f"{written(core)!r}: must be of two values, to be drawn")
        inputs = tuple(map(self.node, core[first:]))
        made = (*core[:first], ("input", 0), ("input", 1))
        signs = ("", "−" if core[0] == "-" else "")
        text = SIGNS.get(core[0]) or core[1]
        return self.add(Node("unit", text, letter, "", inputs, signs, made))


def _affix(around: Term) -> str:
    """A single operation without its operand: "1 −", "× Δt", "tanh"."""
    sides = around[1:]
    if around[0] == "call" and sides[1:] == (HOLE,):
        return {"abs": "|·|"}.get(sides[0]) or written(("name", sides[0]))
    if HOLE not in sides or around[0] not in ("+", "-", "*", "@", "/"):
        return ""
    if around[0] in ("*", "@"):
        return f"× {written(sides[0] if sides[1] == HOLE else sides[1])}"
    return written(around).strip()


def _around(term: Term) -> str:
    """The functions around a sum, without the sum: "σ", "1 + tanh", "Δt σ"."""
    return re.sub(r"\((\w+)\)", r" \1", written(term).replace("()", "").strip())
