"""The messages that `summarize` sends: back to its queue, and to the dead letters."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import KEY, Documents, body
from tests.functions.sqs import Sqs, binary, string

import queues
from local_cloud.stack import lambda_events


def truncate(model: Bedrock) -> None:
    model.stops = "max_tokens"


PERMANENT: list[tuple[Any, Callable[[Bedrock], None], str]] = [
    ("no JSON", lambda _: None, "the message is not JSON"),
    (body(KEY), truncate, "the model's answer is no summary: truncated"),
    (
        body(KEY),
        lambda model: model.fail(400, "ValidationException"),
        "the model refused the request (ValidationException)",
    ),
]


@pytest.mark.parametrize(("content", "before", "reason"), PERMANENT)
def test_permanent_failure_makes_a_dead_letter_with_its_reason(
    model: Bedrock, sqs: Sqs, content: Any, before: Callable[[Bedrock], None], reason: str
) -> None:
    before(model)
    sent = sqs.messages.send(content, {"from": string("a user"), "raw": binary(b"\x00\xff")})
    assert sqs.deliver() == []
    dead = sqs.dead.only
    assert dead.body == sent.body
    assert dead.attributes == {**sent.attributes, "reason": string(reason)}
    assert len(model.requests) <= 1


def test_redriven_dead_letter_has_five_attempts_again(model: Bedrock, sqs: Sqs) -> None:
    truncate(model)
    sqs.messages.send(body(KEY), {"retry": string(json.dumps({"since": 1, "attempts": 4}))})
    sqs.deliver()
    dead = sqs.dead.only
    model.throttle()
    sqs.messages.send(dead.body, dead.attributes)
    assert sqs.deliver() == []
    copy = sqs.messages.only
    assert copy.attributes.keys() == {"retry"}
    assert copy.retry["attempts"] == 0


@pytest.mark.parametrize("forged", ["", "no JSON", "[]", '{"since": -1}', '{"since": "x"}', "{}"])
def test_invalid_history_is_ignored(model: Bedrock, sqs: Sqs, forged: str) -> None:
    model.throttle()
    sqs.messages.send(body(KEY), {"retry": string(forged)})
    assert sqs.deliver() == []
    assert sqs.messages.only.retry["since"] == int(1000 * sqs.clock.now)


def test_copy_of_a_message_with_ten_attributes_keeps_cache_ttl(model: Bedrock, sqs: Sqs) -> None:
    model.throttle()
    own = {f"a{number}": string("x") for number in range(9)} | {"cache-ttl": string("60", "Number")}
    sqs.messages.send(body(KEY), own)
    assert sqs.deliver() == []
    kept = sqs.messages.only.attributes
    assert kept.keys() == own.keys() - {"a8"} | {"retry"}
    assert kept["cache-ttl"] == string("60", "Number")


@pytest.mark.parametrize("variable", [queues.MESSAGES, queues.FAILURES])
@pytest.mark.parametrize("refuses", [False, True])
def test_message_fails_if_its_queue_is_not_configured_or_refuses_it(
    model: Bedrock, sqs: Sqs, variable: str, refuses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs.refuses = refuses
    if not refuses:
        monkeypatch.delenv(variable)
    model.throttle()
    sent = sqs.messages.send(body(KEY) if variable == queues.MESSAGES else "no document")
    assert sqs.deliver() == [str(sent.number)]
    assert sqs.dead.messages == []


def test_each_document_of_a_message_has_its_own_outcome(documents: Documents, sqs: Sqs) -> None:
    other = "documents/other.txt"
    documents.put(other, "Another report.")
    records = [
        *lambda_events.uploaded(documents.name, KEY)["Records"],
        {"eventName": "ObjectCreated:Put"},
        *lambda_events.uploaded(documents.name, other)["Records"],
        *lambda_events.uploaded(documents.name, "documents/gone.txt")["Records"],
    ]
    sqs.messages.send({"Records": records})
    assert sqs.deliver() == []
    assert documents.summary(KEY)
    assert documents.summary(other)
    assert json.loads(sqs.dead.only.body) == {"Records": [records[1]]}
    assert sqs.messages.messages == []


def test_age_of_messages_and_dead_letters_are_metrics(
    model: Bedrock, sqs: Sqs, capsys: pytest.CaptureFixture[str]
) -> None:
    model.throttle()
    sqs.messages.send(body(KEY))
    sqs.clock.now += 90
    sqs.deliver()
    sqs.messages.delete(sqs.messages.only)
    sqs.messages.send("no document")
    sqs.deliver()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [line.get("DocumentAge") for line in lines] == [[90], None]
    assert [line.get("DocumentsFailed") for line in lines] == [None, [1]]
