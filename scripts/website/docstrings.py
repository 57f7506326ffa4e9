"""Docstrings as Markdown: what a reader of the code sees at once, a browser has to be told."""

import re
from typing import Any

import griffe

# Lines of a dataclass's docstring that tell of its fields, `name, other: words`, and go on
# indented.
FIELDS = re.compile(r"(?:[A-Za-z]\w*(?:, [A-Za-z]\w*)*: .*\n(?:  .*\n)*){2,}")
FIELD = re.compile(r"([A-Za-z]\w*(?:, [A-Za-z]\w*)*): (.*\n(?:  .*\n)*)")
EXAMPLE = re.compile(r"^>>> .*?(?=\n\n|\n*\Z)", re.MULTILINE | re.DOTALL)
SHAPE = re.compile(r"(?<![\w`])\((?:time, )?\*\w+[^()]*\)")


class Markdown(griffe.Extension):
    """Rewrites the docstrings of all objects that are found."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(docstring: str) -> str:
    """A docstring with its examples, fields and shapes marked.

    >>> markdown("(*batch, D):\\n\\na: one.\\nb, c: two,\\n  on.")
    '`(*batch, D)`:\\n\\n- `a`: one.\\n- `b`, `c`: two, on.'
    >>> markdown(">>> 1\\n1")
    '```pycon\\n>>> 1\\n1\\n```'
    """
    paragraphs = (docstring.strip() + "\n").split("\n\n")
    text = "\n\n".join(map(_listed, paragraphs))
    text = EXAMPLE.sub(r"```pycon\n\g<0>\n```", text.rstrip())
    return SHAPE.sub(r"`\g<0>`", text)


def _listed(paragraph: str) -> str:
    """A paragraph of fields as a list."""
    if not FIELDS.fullmatch(paragraph + "\n" * (not paragraph.endswith("\n"))):
        return paragraph
    items = []
    for names, words in FIELD.findall(paragraph + "\n"):
        named = ", ".join(f"`{name}`" for name in names.split(", "))
        items.append(f"- {named}: {' '.join(words.split())}")
    return "\n".join(items) + "\n" * paragraph.endswith("\n")
