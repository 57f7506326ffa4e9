"""Docstrings as Markdown: what a reader of the code sees at once, a browser has to be told."""

import re
from typing import Any

import griffe

# Lines of a class's docstring that tell of its fields: `name, other: words`, which go on indented.
# A single line may be a sentence, such as "Source: ...".
FIELD = re.compile(r"([A-Za-z]\w*(?:, [A-Za-z]\w*)*): (.*\n(?:  .*\n)*)")
FIELDS = re.compile(rf"(?:{FIELD.pattern}){{2,}}|[A-Za-z]\w*: .*\n(?:  .*\n)+")
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
    >>> markdown("a: one,\\n  on.\\n\\nSource: a paper,\\nand where.")
    '- `a`: one, on.\\n\\nSource: a paper,\\nand where.'
    >>> markdown(">>> 1\\n1")
    '```pycon\\n>>> 1\\n1\\n```'
    """
    text = "\n\n".join(map(_listed, docstring.strip().split("\n\n")))
    text = EXAMPLE.sub(r"```pycon\n\g<0>\n```", text)
    return SHAPE.sub(r"`\g<0>`", text)


def _listed(paragraph: str) -> str:
    """A paragraph of fields as a list."""
    if not FIELDS.fullmatch(paragraph + "\n"):
        return paragraph
    items = []
    for names, words in FIELD.findall(paragraph + "\n"):
        named = ", ".join(f"`{name}`" for name in names.split(", "))
        items.append(f"- {named}: {' '.join(words.split())}")
    return "\n".join(items)
