"""Notebooks as Markdown and pictures."""

import base64
import json
import re
from pathlib import Path
from typing import Any

EQUATION = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.MULTILINE | re.DOTALL)


def markdown(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as it is kept, with the outputs of its cells, and its pictures by their names."""
    pictures: dict[str, bytes] = {}
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(EQUATION.sub(r"```math\n\1\n```", text))
            continue
        parts.append(f"```python\n{text}\n```")
        parts += [_output(output, path.stem, pictures) for output in cell["outputs"]]
    return "\n\n".join([*parts, ""]), pictures


def _output(output: dict[str, Any], name: str, pictures: dict[str, bytes]) -> str:
    if "text" in output:
        shown = "".join(output["text"])
    else:
        shown = "".join(output["data"]["text/plain"])
        if "image/png" in output["data"]:
            picture = f"{name}-{len(pictures) + 1}.png"
            pictures[picture] = base64.b64decode(output["data"]["image/png"])
            return f"[![{shown}]({picture})]({picture})"
    return f'<div class="output" markdown>\n\n```text\n{shown.rstrip()}\n```\n\n</div>'
