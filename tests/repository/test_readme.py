"""The pages for readers: their links lead somewhere, and the names and figures on them are true."""

import re

import pytest
from tests.benchmarks import results
from tests.repository.configuration_page import PAGE, written
from tests.repository.pages import PAGES, ROOT, anchors, links, text_of

FEATURES = ["SECURITY.md", "docs/comparison.md"]  # each promise there links to its test
README_LINES = 150
ALARM = re.compile(r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_linked_file_and_heading_exist(page: str) -> None:
    for link in links(page):
        assert link.file.is_file(), f"{page} links to {link.file}"
        assert not link.anchor or link.anchor in anchors(link.file), f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES)
def test_named_test_is_in_the_linked_file(page: str) -> None:
    named = [link for link in links(page) if link.title.startswith("test_")]
    assert len(named) > 10 or page not in FEATURES
    for link in named:
        text = link.file.read_text(encoding="utf-8")
        assert f"def {link.title}(" in text, f"{link.file} has no {link.title}"


def test_readme_links_to_every_page() -> None:
    linked = {link.file for link in links("README.md")}
    assert {(ROOT / page).resolve() for page in PAGES} - linked == {ROOT / "README.md"}


def test_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= README_LINES


def test_configuration_page_has_the_variables_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == written()


def test_alarm_table_has_every_alarm_of_the_template() -> None:
    table = text_of("docs/operate.md").partition("## Alarms\n")[2]
    shown = re.findall(r"^\| `(\w+)` \|", table.partition("\n## ")[0], re.MULTILINE)
    assert sorted(shown) == sorted(ALARM.findall(text_of("template.yaml")))


def test_metrics_on_the_page_are_written_by_the_code() -> None:
    section = text_of("docs/observe.md").partition("## Metrics\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:[A-Z][a-z]+){2,})`", section)) - {"LlmCache", "DashboardUrl"}
    files = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "src/llm_cache").rglob("*.py")]
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    assert len(named) > 10
    assert [name for name in named if name not in code] == []


def test_migration_page_has_the_measured_results_of_the_cache_suites() -> None:
    (table,) = results.load()["parts"]["suites"]["tables"]
    ours, theirs = (f"{row['passed']} of {row['tests']}" for row in table["rows"])
    assert f"| {theirs} pass | {ours} pass |" in text_of("docs/migration.md")
