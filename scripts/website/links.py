"""What the pages of a built site refer to, and what of it is not there."""

import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"img", "script", "iframe", "source", "link"}  # what a browser fetches by itself
FETCHED = {"icon", "stylesheet", "preload"}  # the relations of <link> of which the same is true


class Page(HTMLParser):
    """The names of a page's places, and what it refers to: a tag and an address."""

    def __init__(self, text: str):
        super().__init__()
        self.places: set[str] = set()
        self.references: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        if "id" in given:
            self.places.add(given["id"])
        if tag == "link" and given.get("rel") not in FETCHED:
            return  # such as the address of the published page
        self.references += [(tag, given[name]) for name in ("href", "src") if name in given]


def broken(site: Path) -> list[str]:
    """A line for every link, anchor or picture that is missing, and for what needs a network."""
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    return [
        f"{path.relative_to(site)}: {problem}"
        for path, page in pages.items()
        for problem in _problems(site, path, page, pages)
    ]


def _problems(site: Path, path: Path, page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    for tag, reference in dict.fromkeys(page.references):
        url = urlsplit(reference)
        if url.scheme or url.netloc:
            if tag in LOADED:
                yield f"<{tag}> fetches {reference}"
            continue
        if path.name == "404.html":
            continue  # it is shown at any address, so that its own are those of the published site
        target = Path(os.path.normpath(path.parent / unquote(url.path))) if url.path else path
        if not target.is_relative_to(site) or not target.exists():
            yield f"<{tag}> leads to {reference}, which does not exist"
        elif url.fragment and url.fragment not in pages[target].places:
            yield f"<{tag}> leads to {reference}, which has no such place"
