"""The code blocks of all pages: each has a marker, and each ``run`` block does what it shows."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.globals import set_llm_cache
from tests.functions.bedrock import bedrock, environment
from tests.repository.page_run import PageRun
from tests.repository.pages import PAGES, ROOT, Block, blocks, blocks_in, text_of

from upstash_endpoint.endpoint import UpstashEndpoint

MOST_CHECKED = 5  # each of them needs an AWS account
FENCE = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [page for page in PAGES if any(it.marker == "run" and not it.test for it in blocks(page))]


def unmarked(found: list[Block]) -> list[str]:
    return [str(block) for block in found if not block.marker]


def test_every_block_has_a_marker_and_a_language() -> None:
    assert unmarked(BLOCKS) == []
    assert [str(block) for block in BLOCKS if not block.language] == []


def test_block_without_a_marker_is_found() -> None:
    text = "<!-- run -->\n```sh\ntrue\n```\n\n```sh\nfalse\n```\n"
    assert unmarked(blocks_in(text, "page.md")) == ["page.md:6"]


@pytest.mark.parametrize("page", PAGES)
def test_every_fence_of_a_page_belongs_to_a_block(page: str) -> None:
    assert len(FENCE.findall(text_of(page))) == 2 * len(blocks(page))


def test_only_blocks_that_need_an_account_are_not_run() -> None:
    checked = [block for block in BLOCKS if block.marker == "checked"]
    assert len(checked) <= MOST_CHECKED
    assert [str(block) for block in checked if not block.test] == []


def test_test_named_by_a_marker_reads_the_page() -> None:
    for block in BLOCKS:
        if block.test:
            assert (ROOT / block.test).is_file(), f"{block}: {block.test} does not exist"
            assert block.page in (ROOT / block.test).read_text(), f"{block.test} reads no {block}"


def test_make_targets_on_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    for page in PAGES:
        code = [it.text for it in blocks(page)] + re.findall("`[^`\n]+`", text_of(page))
        named = {target for text in code for target in TARGET.findall(text)}
        assert named <= targets, page


@pytest.fixture
def page_run(upstash: UpstashEndpoint, tmp_path: Path) -> Iterator[PageRun]:
    """A run with an Upstash endpoint and a Bedrock endpoint in its environment."""
    with bedrock() as model:
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
        offline |= {"PIP_TARGET": str(tmp_path)}
        run = PageRun({**environment(model, upstash), "LLM_CACHE_TIMEOUT": "10", **offline})
        yield run
        run.close()
    set_llm_cache(None)


@pytest.mark.parametrize("page", RUN)
def test_run_blocks_of_a_page_do_what_it_shows(page: str, page_run: PageRun) -> None:
    for block in blocks(page):
        if block.marker == "run" and not block.test:
            page_run.run(block)


def run_text(page_run: PageRun, text: str) -> None:
    for block in blocks_in(text):
        page_run.run(block)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint('a')\n```\n```text\nb\n```\n",
        "```sh\necho a\n```\n```text\nb\n```\n",
        "```sh\nfalse\n```\n",
    ],
    ids=["python", "shell", "exit status"],
)
def test_output_that_differs_and_failing_commands_are_found(page_run: PageRun, text: str) -> None:
    with pytest.raises(AssertionError):
        run_text(page_run, text)


def test_dots_in_a_shown_output_stand_for_any_text(page_run: PageRun) -> None:
    run_text(page_run, "```sh\nseq 3\n```\n```text\n1\n...\n3\n```\n")
