"""Equations in LaTeX as MathML, which browsers show without a script or a font of ours."""

import html
import re

from latex2mathml.converter import convert

BEGIN, END = r"\begin{aligned}", r"\end{aligned}"
PRIME = re.compile(r"<msup>(<mi>\w+</mi>)<mi>&#x02032;</mi></msup>")
# A minus without a left side, which a browser would give the space of a difference.
SIGN = re.compile(r"(<mrow>|&#x00028;</mo>|&#x0003D;</mo>)<mo>&#x02212;</mo>")


def shown(source: str) -> str:
    """The HTML of a fenced block of the language `math`."""
    source = source.strip()
    if source.startswith(BEGIN) and source.endswith(END):
        body = source.removeprefix(BEGIN).removesuffix(END)
        return f'<div class="equations">{"".join(map(_row, body.split(chr(92) * 2)))}</div>'
    return f'<div class="equation">{mathml(source)}</div>'


def mathml(latex: str) -> str:
    """One formula.

    >>> mathml("-x")
    '<math><mrow><mo form="prefix">&#x02212;</mo><mi>x</mi></mrow></math>'
    """
    found = re.sub(r"<math [^>]*>", "<math>", convert(latex))
    # A browser raises whatever stands in <msup>, but a prime stands high as it is.
    found = PRIME.sub(r"\1<mi>&#x02032;</mi>", found)
    return SIGN.sub(r'\1<mo form="prefix">&#x02212;</mo>', found)


def _row(row: str) -> str:
    """Left side, right side and note of an equation, as a row of a grid."""
    left, right, *note = (part.strip() for part in row.replace("&&", "&").split("&"))
    sides = f"{mathml(left)}<span>=</span>{mathml(right.removeprefix('='))}"
    notes = "".join(f'<span class="note">{_note(each)}</span>' for each in note)
    return f'<div class="row">{sides}{notes}</div>'


def _note(latex: str) -> str:
    r"""The words in \text{...}; what is a setting in code is one here."""
    words = re.fullmatch(r"\\text\{(.*)\}", latex)
    if words is None:
        raise ValueError(rf"{latex!r}: must be \text{{...}}, a note about an equation")
    settings = r'(\w+=(?:"\w+"|\w+))'
    return re.sub(settings, r"<code>\1</code>", html.escape(words[1], quote=False))
