"""``llm-cache ask``."""

import json
from typing import Any

import pytest
from tests.command_line import Run
from tests.deployed_stack import deployed
from tests.unit.cli.ask_server import HIT, KEY, MISS, AskServer, Reply, answered


@pytest.mark.parametrize(
    ("cache", "line"),
    [
        (HIT, f"hit, 12 s old, 48 s left, key {KEY}"),
        (MISS, f"miss (unknown), stored for 60 s, key {KEY}"),
        ({**MISS, "stored": False, "why": "truncated"}, f"miss, not stored (truncated), key {KEY}"),
        (
            {"status": "error", "stored": False, "why": "timeout", "key": None},
            "error, not stored (timeout)",
        ),
    ],
)
def test_answer_is_printed_with_what_the_cache_did(
    served: AskServer, run: Run, cache: dict[str, Any], line: str
) -> None:
    served.reply = lambda _: answered(cache)
    assert run("ask", "Who?", "--stack", "shop") == (0, f"Paris.\n\n{line}\n", "")


def test_answer_is_printed_unchanged(served: AskServer, run: Run) -> None:
    answer = "Use [bold]x[/bold] :key:"
    served.reply = lambda _: Reply(200, {"answer": answer, "cache": HIT})
    assert run("ask", "How?", "--stack", "shop")[1].startswith(f"{answer}\n")


def test_request_is_signed_and_has_the_policy(served: AskServer, run: Run) -> None:
    code, out, _ = run("ask", "Who?", "-s", "shop", "--ttl", "60", "--mode", "refresh", "--json")
    assert (code, json.loads(out)["cache"]) == (0, HIT)
    assert served.bodies == [{"question": "Who?", "cache": {"ttl": 60, "mode": "refresh"}}]
    assert "/eu-west-1/lambda/aws4_request" in served.authorizations[0]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (
            Reply(422, {"error": {"code": "invalid", "message": "blank", "field": "question"}}),
            "422 invalid: question: blank",
        ),
        (Reply(403, {"Message": "Forbidden"}), "403 Forbidden; the caller needs lambda:Invoke"),
        (Reply(502, "?"), "502 without an explanation"),
    ],
)
def test_reply_without_an_answer_is_one_line_and_exit_code_3(
    served: AskServer, run: Run, reply: Reply, error: str
) -> None:
    served.reply = lambda _: reply
    code, out, err = run("ask", "Who?", "--stack", "shop")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert error in err
    assert len(served.bodies) == 1


def test_unreachable_function_is_named(served: AskServer, run: Run) -> None:
    with deployed("http://127.0.0.1:9/"):
        code, _, err = run("ask", "Who?", "--stack", "shop")
    assert code == 3
    assert err.startswith("llm-cache: POST http://127.0.0.1:9/ask: ConnectError ")


def test_unknown_stack_is_reported_with_the_known_ones(served: AskServer, run: Run) -> None:
    code, _, err = run("ask", "Who?", "--stack", "other")
    known = "the stack other does not exist in eu-west-1; the kit's stacks there: shop"
    assert (code, err) == (3, f"llm-cache: {known}\n")


def test_stack_is_required(run: Run) -> None:
    code, _, err = run("ask", "Who?")
    assert code == 2
    assert "--stack" in err
