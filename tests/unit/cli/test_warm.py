"""``llm-cache warm``."""

import io
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.command_line import Run
from tests.deployed_stack import deployed
from tests.unit.cli.ask_server import HIT, MISS, AskServer, Reply, answered

from llm_cache._stack import ask_call

BUSY = Reply(503, {"error": {"code": "model_busy", "message": "busy"}}, {"Retry-After": "0"})
BROKEN = Reply(502, {"error": {"code": "model_error", "message": "it failed"}})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text('"one"\n{"question": "two", "cache": {"ttl": 60}}\n\n"three"\n')
    return path


def by_question(**replies: Reply) -> Any:
    return lambda body: replies.get(body["question"], answered(HIT))


def test_each_line_is_sent_once_and_counted(served: AskServer, run: Run, file: Path) -> None:
    truncated = answered({**MISS, "stored": False, "why": "truncated"})
    served.reply = by_question(two=answered(MISS), three=truncated)
    code, out, _ = run("warm", str(file), "--stack", "shop")
    counts = "1 hit, 2 misses, 1 stored, 1 not stored (1 truncated)"
    assert (code, out) == (0, f"3 of 3 questions: {counts}\n")
    assert sorted(served.questions) == ["one", "three", "two"]
    assert {"question": "two", "cache": {"ttl": 60}} in served.bodies


def test_failure_has_the_number_of_its_line_and_exit_code_1(
    served: AskServer, run: Run, file: Path
) -> None:
    served.reply = by_question(three=BROKEN)
    code, out, _ = run("warm", str(file), "--stack", "shop")
    assert code == 1
    assert "2 hits, 1 failed\n  line 4: 502 model_error: it failed\n" in out
    assert served.questions.count("three") == 1


def test_json_has_a_line_a_question_and_a_summary(served: AskServer, run: Run, file: Path) -> None:
    served.reply = by_question(three=BROKEN)
    _, out, _ = run("warm", str(file), "--stack", "shop", "--json", "--concurrency", "1")
    *lines, summary = map(json.loads, out.splitlines())
    assert [(line["line"], line.get("status"), line["failure"]) for line in lines] == [
        (1, "hit", None),
        (2, "hit", None),
        (4, None, "502 model_error: it failed"),
    ]
    assert summary["summary"]["statuses"] == {"hit": 2}
    assert "Paris" not in out
    assert "three" not in out


def test_invalid_lines_are_named_before_anything_is_sent(
    served: AskServer, run: Run, file: Path
) -> None:
    lines = ["not json", '{"q": 1}', '" "', "[" * 100_000, "3", '"ok"']
    file.write_bytes("\n".join([*lines, ""]).encode() + b'"\xff"')
    code, out, err = run("warm", str(file), "--stack", "shop")
    assert (code, out, served.bodies) == (2, "", [])
    assert "line 1: not JSON: Expecting value at character 1; line 2: no question; line 3" in err
    assert all(f"line {number}: " in err for number in (4, 5, 7))
    assert "line 6" not in err
    assert err.endswith("Nothing was sent\n")


def test_line_longer_than_lambda_accepts_is_refused(
    run: Run, served: AskServer, file: Path
) -> None:
    file.write_text('"' + "x" * 7_000_000 + '"\n"ok"\nnot json\n')
    _, _, err = run("warm", str(file), "--stack", "shop")
    assert "line 1: longer than 6,291,456 bytes; line 3: not JSON" in err


def test_missing_file_is_an_error_of_usage(run: Run, served: AskServer, tmp_path: Path) -> None:
    code, _, err = run("warm", str(tmp_path / "none"), "--stack", "shop")
    assert (code, "No such file" in err) == (2, True)


def test_dash_reads_stdin(served: AskServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'"one"\n"two"')))
    assert run("warm", "-", "--stack", "shop")[:2] == (0, "2 of 2 questions: 2 hits\n")


def test_busy_function_is_asked_again_and_then_counted_as_failed(
    served: AskServer, run: Run, file: Path
) -> None:
    replies = [BUSY, BUSY]
    served.reply = lambda _: replies.pop() if replies else answered(HIT)
    assert run("warm", str(file), "--stack", "shop", "--concurrency", "1")[0] == 0
    assert served.questions == ["one", "one", "one", "two", "three"]
    served.reply = lambda _: BUSY
    code, out, _ = run("warm", str(file), "--stack", "shop", "--from-line", "3")
    assert (code, served.questions.count("three")) == (1, 1 + ask_call.TRIES)
    assert "line 4: 503 model_busy: busy" in out


@pytest.mark.parametrize(
    ("retry_after", "pause"), [("2", 2), ("3600", 30), ("", 4), ("Wed, 21 Oct 2015 07:28 GMT", 4)]
)
def test_pause_is_that_of_retry_after_and_bounded(retry_after: str, pause: float) -> None:
    response = httpx.Response(503, headers={"Retry-After": retry_after})
    assert ask_call._pause(response, 3) == pause


def test_answers_that_no_other_caller_gets_are_a_warning(
    served: AskServer, run: Run, file: Path
) -> None:
    assert run("warm", str(file), "--stack", "shop")[2] == ""
    with deployed(served.url, {"ShareAnswers": "nobody"}):
        code, _, err = run("warm", str(file), "--stack", "shop")
    assert (code, "ShareAnswers=nobody" in err) == (0, True)


def test_refused_caller_stops_the_run_and_can_continue(
    served: AskServer, run: Run, file: Path
) -> None:
    served.reply = by_question(two=Reply(403, {"Message": "Forbidden"}))
    code, out, err = run("warm", str(file), "--stack", "shop", "--concurrency", "1")
    assert (code, served.questions) == (3, ["one", "two"])
    assert f"continue with: llm-cache warm {file} --stack shop --from-line 2\n" in out
    assert "403 Forbidden" in err


@pytest.mark.parametrize(
    ("concurrency", "answered_before", "last_sent", "line"),
    [("1", "one", "two", 2), ("2", "two", "three", 1)],
)
def test_ctrl_c_prints_the_counts_and_the_first_line_without_a_reply(
    served: AskServer,
    run: Run,
    file: Path,
    concurrency: str,
    answered_before: str,
    last_sent: str,
    line: int,
) -> None:
    hang = threading.Event()

    def interrupted(body: dict[str, Any]) -> Reply:
        if body["question"] == last_sent:
            os.kill(os.getpid(), signal.SIGINT)
        if body["question"] != answered_before:
            hang.wait(60)
        return answered(HIT)

    served.reply = interrupted
    try:
        code, out, _ = run("warm", str(file), "--stack", "shop", "--concurrency", concurrency)
    finally:
        hang.set()
    assert code == 130
    assert out.startswith("1 of 3 questions: 1 hit\ncontinue with: ")
    assert out.endswith(f"--from-line {line}\n")
