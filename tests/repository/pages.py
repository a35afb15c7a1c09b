"""The pages for readers, their links, and their code blocks with the marker of each.

A marker is an HTML comment on the line before a fence: ``<!-- run -->``, ``<!-- local -->`` or
``<!-- checked -->``. ``<!-- run: tests/… -->`` names the test that reads the block itself.
"""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "SECURITY.md", "CONTRIBUTING.md"]
PAGES += sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))
BLOCK = re.compile(
    r"^(?:<!-- (run|local|checked)(?:: (\S+))? -->\n)?```([^\n]*)\n(.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)(?: "([^"]+)")?\)')
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A code block: the line of its fence, and its marker, empty if it has none."""

    page: str
    line: int
    language: str
    text: str
    marker: str
    test: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


class Link(NamedTuple):
    """A link to a file of the repository; the title names a test in it."""

    file: Path
    anchor: str
    title: str


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_in(text: str, page: str = "") -> list[Block]:
    """Return the code blocks of a text in their order."""
    found = []
    for match in BLOCK.finditer(text):
        marker, test, language, code = match.groups(default="")
        line = text.count("\n", 0, match.start(3)) + 1
        found.append(Block(page, line, language, code, marker, test))
    return found


def blocks(page: str) -> list[Block]:
    return blocks_in(text_of(page), page)


def links(page: str) -> list[Link]:
    """Return the links of a page to files of the repository."""
    found = []
    for target, title in LINK.findall(BLOCK.sub("", text_of(page))):
        if "://" not in target:
            name, _, anchor = target.partition("#")
            file = (ROOT / page).parent / name if name else ROOT / page
            found.append(Link(file.resolve(), anchor, title))
    return found


def anchors(file: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(BLOCK.sub("", file.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
