"""What README and SECURITY link to exists, and each test named is in the file it is linked to."""

import re
from pathlib import Path

import pytest

LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)(?: "([^"]+)")?\)')


@pytest.fixture(scope="module", params=["README.md", "SECURITY.md"])
def links(checkout: Path, request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    return LINK.findall((checkout / request.param).read_text(encoding="utf-8"))


def test_every_file_that_is_linked_to_exists(links: list[tuple[str, str]], checkout: Path) -> None:
    files = [target for target, _ in links if "://" not in target and not target.startswith("#")]
    assert len(files) > 10
    assert [name for name in files if not (checkout / name.partition("#")[0]).is_file()] == []


def test_every_test_that_is_named_is_there(links: list[tuple[str, str]], checkout: Path) -> None:
    named = [(target, title) for target, title in links if title.startswith("test_")]
    assert len(named) > 10
    for target, title in named:
        text = (checkout / target).read_text(encoding="utf-8")
        assert f"def {title}(" in text, f"{target} has no {title}"
