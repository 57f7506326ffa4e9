"""Where the project lies, and the figures of its pages."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "figures"
