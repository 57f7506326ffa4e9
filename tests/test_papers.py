"""Whoever is cited has a row in docs/papers.md, and whoever has a row is cited."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAPERS, LOG = ROOT / "docs" / "papers.md", ROOT / "docs" / "log.md"  # a log has dates
NAME = r"[A-ZÀ-Þ][\w-]+"
CITATION = re.compile(
    rf"({NAME})(?:(?:,\s{NAME})*\s&\s{NAME}|\set\sal\.)?,?\s\(?((?:19|20)\d\d)\b", re.UNICODE
)


def cited(text):
    """First authors and years.

    >>> found = cited("Ba, Kiros & Hinton (2016), Gers et al. 2000, van der Berg & Lasenby 2018")
    >>> sorted(found)
    [('Ba', '2016'), ('Berg', '2018'), ('Gers', '2000')]
    """
    return {(name, year) for name, year in CITATION.findall(" ".join(text.split()))}


def sources():
    for folder in ("gru_jax", "configs", "experiments"):
        yield from (ROOT / folder).rglob("*.py")
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        if page not in (PAPERS, LOG):
            yield page


def test_every_citation_has_its_row_and_every_row_is_cited():
    rows = [line.split("|")[1].strip() for line in PAPERS.read_text().splitlines()[6:]]
    listed = {citation for row in rows for citation in cited(row)}
    assert rows == sorted({*rows}, key=str.casefold)
    found = {citation for path in sources() for citation in cited(path.read_text())}
    assert found == listed
