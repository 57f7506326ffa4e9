"""Builds the site into site/; `make docs` installs what this needs first.

Its sources are docs/, README, and the docstrings of the library. SITE_URL and REPOSITORY_URL in
the environment say where it is published, and where the code is. Exits with 1 if a link, an
anchor or a picture leads nowhere, or a page would need a network.

python -m scripts.website
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from experiments.system.commandline import Parser, guarded
from experiments.system.files import RunError
from scripts.paths import ROOT
from scripts.website import links

SOURCES, SITE = ROOT / "build" / "docs", ROOT / "site"
NEEDED = ("latex2mathml", "material", "mkdocs", "mkdocstrings_handlers")


def main() -> int:
    Parser(__doc__).parse_args()
    return guarded(lambda: build(SOURCES, SITE))


def build(sources: Path, site: Path) -> int:
    """Writes the pages into one folder and the site into the other; 0 if nothing is wrong.

    Raises:
      RunError: what makes the site is not installed.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise RunError(f"no module {', '.join(missing)}: `make docs` installs what makes the site")
    from scripts.website import pages  # which needs them

    shutil.rmtree(sources, ignore_errors=True)
    pages.write(sources, os.environ.get("REPOSITORY_URL", ""))
    told = {
        "SITE_SOURCES": str(sources),
        "NO_MKDOCS_2_WARNING": "1",  # an advertisement
    }
    command = [sys.executable, "-m", "mkdocs", "build", "--clean", "--strict"]
    command.append(f"--site-dir={site}")
    if status := subprocess.run(command, cwd=ROOT, env={**os.environ, **told}).returncode:
        return status
    problems = links.broken(site)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        print(f"the site: {site / 'index.html'}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
