"""The commands of ``llm-cache`` on the deployed stack, by name alone."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

import pytest

from llm_cache._cli.main import main
from llm_cache._cli.output import Output
from llm_cache._cli.stack_stats import show_stack_stats
from llm_cache._stack.stack_access import StackAccess
from local_cloud.cloud import LocalCloud

STACK = "llm-cache"
Run: TypeAlias = Callable[..., str]


@pytest.fixture
def run(cloud: LocalCloud, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command that succeeds; return what it printed."""

    def run(command: str, *arguments: str) -> str:
        capsys.readouterr()
        code = main([command, "--stack", STACK, *arguments])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    with patch.dict(os.environ, cloud.aws.environment(), clear=True):
        yield run


def counts(capsys: pytest.CaptureFixture[str]) -> tuple[int, int, int]:
    """Return the hits, the misses and the tokens saved that CloudWatch has."""
    capsys.readouterr()
    show_stack_stats(StackAccess.open(STACK), Output(as_json=True), hours=24)
    ask = json.loads(capsys.readouterr().out)["functions"]["ask"]
    return ask["hits"], ask["misses"], ask["tokens_saved"]


def test_warmed_questions_are_hits_in_the_log_and_in_the_metrics(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('"Warm one?"\n{"question": "Warm two?", "cache": {"ttl": 600}}\n')
    before = counts(capsys)
    assert run("warm", str(file)) == "2 of 2 questions: 2 misses, 2 stored\n"
    assert run("warm", str(file)) == "2 of 2 questions: 2 hits\n"
    run("ask", "Warm one?", "--mode", "refresh")
    after = counts(capsys)
    assert [new - old for new, old in zip(after, before, strict=True)][:2] == [2, 3]
    assert after[2] > before[2]
    lines = [json.loads(line) for line in run("tail", "--no-follow", "--json").splitlines()]
    last = [it for it in lines if it["function"] == "ask"][-5:]
    assert [it["miss_reasons"] or "hit" for it in last] == [
        {"unknown": 1},
        {"unknown": 1},
        "hit",
        "hit",
        {"not_read": 1},
    ]
    assert all(it["correlation_id"] for it in last)


def test_clear_of_the_stack_makes_answers_a_miss(run: Run) -> None:
    run("ask", "To be cleared?")
    assert "\nhit, " in run("ask", "To be cleared?")
    assert run("clear", "--yes") == f"cleared {STACK}\n"
    assert "\nmiss (cleared), stored" in run("ask", "To be cleared?")
    run("clear", "--yes")
    assert " of " in run("reclaim", "--seconds", "5")
