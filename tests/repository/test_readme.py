"""The pages for readers: their links lead somewhere, and the tests and names on them exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "SECURITY.md", "CONTRIBUTING.md"]
PAGES += sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))
FEATURES = ["SECURITY.md", "docs/comparison.md"]  # each promise there links to its test
README_LINES = 150
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)(?: "([^"]+)")?\)')
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
VARIABLE = re.compile(r"\b(?:LLM_CACHE|UPSTASH_REDIS)_[A-Z_]+[A-Z]\b")
BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def links(page: str) -> list[tuple[Path, str, str]]:
    """Return the file, the anchor and the title of each link to a file of the repository."""
    found = []
    for target, title in LINK.findall(BLOCK.sub("", text_of(page))):
        if "://" not in target:
            name, _, anchor = target.partition("#")
            file = (ROOT / page).parent / name if name else ROOT / page
            found.append((file.resolve(), anchor, title))
    return found


def anchors(file: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(BLOCK.sub("", file.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_linked_file_and_heading_exist(page: str) -> None:
    for file, anchor, _ in links(page):
        assert file.is_file(), f"{page} links to {file}"
        assert not anchor or anchor in anchors(file), f"{page} links to {file}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_named_test_is_in_the_linked_file(page: str) -> None:
    named = [(file, title) for file, _, title in links(page) if title.startswith("test_")]
    assert len(named) > 10 or page not in FEATURES
    for file, title in named:
        assert f"def {title}(" in file.read_text(encoding="utf-8"), f"{file} has no {title}"


def test_readme_links_to_every_page() -> None:
    linked = {file for file, _, _ in links("README.md")}
    assert {(ROOT / page).resolve() for page in PAGES} - linked == {ROOT / "README.md"}


def test_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= README_LINES


def test_configuration_page_lists_every_variable_of_the_cache() -> None:
    code = "".join(
        text_of(f"src/llm_cache/{name}.py") for name in ("_config/settings", "_observe/metrics")
    )
    assert set(VARIABLE.findall(text_of("docs/configuration.md"))) == set(
        VARIABLE.findall(code)
    ) | {
        "LLM_CACHE_SIGNING_KEY_PARAMETER",  # the code joins these two names
        "LLM_CACHE_ENCRYPTION_KEY_PARAMETER",
    }


def test_alarm_table_has_every_alarm_of_the_template() -> None:
    made = re.findall(
        r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm$", text_of("template.yaml"), re.MULTILINE
    )
    table = text_of("docs/observe.md").partition("## Alarms\n")[2]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(made)
