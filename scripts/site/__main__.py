"""Builds the site into site/; `make docs` installs what this needs first.

Its sources are docs/, README, and the docstrings of the library. SITE_URL and REPOSITORY_URL in
the environment say where it is published, and where the code is.

python -m scripts.site
"""

import os
import shutil
import subprocess
import sys

from experiments.system.commandline import Parser
from scripts.paths import ROOT
from scripts.site import pages

SOURCES = ROOT / "build" / "docs"  # see mkdocs.yml


def main() -> int:
    Parser(__doc__).parse_args()
    shutil.rmtree(SOURCES, ignore_errors=True)
    pages.write(SOURCES, os.environ.get("REPOSITORY_URL", ""))
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
