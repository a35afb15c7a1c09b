"""What is sent on of a message: to its own queue, and to the dead letters."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from tests.functions.bedrock import Bedrock, throttle
from tests.functions.documents import KEY, Documents, body
from tests.functions.events import Context
from tests.functions.sqs import Sqs, binary, string

import queues
import summarize
from local_cloud.stack import events


def refuse(model: Bedrock) -> None:
    model.status, model.error = 400, "ValidationException"


def truncate(model: Bedrock) -> None:
    model.stops = "max_tokens"


PERMANENT: dict[str, tuple[Any, Callable[[Bedrock], None], str]] = {
    "no JSON": ("no JSON", lambda _: None, "the message is not JSON"),
    "truncated": (
        body(KEY),
        truncate,
        "the model's answer is no summary: truncated",
    ),
    "refused": (body(KEY), refuse, "the model refused the request (ValidationException)"),
}


@pytest.mark.parametrize(("told", "before", "reason"), PERMANENT.values(), ids=PERMANENT)
def test_fault_that_no_retry_changes_makes_a_dead_letter_at_once(
    model: Bedrock, sqs: Sqs, told: Any, before: Callable[[Bedrock], None], reason: str
) -> None:
    before(model)
    sent = sqs.messages.send(told, {"from": string("a user"), "raw": binary(b"\x00\xff")})
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
    model.stops = "end_turn"
    throttle(model)
    sqs.messages.send(dead.body, dead.attributes)
    assert sqs.deliver() == []
    copy = sqs.messages.only
    assert copy.attributes.keys() == {"retry"}
    assert copy.retry["attempts"] == 0


@pytest.mark.parametrize("forged", ["", "no JSON", "[]", '{"since": -1}', '{"since": "x"}', "{}"])
def test_invalid_history_counts_as_none(model: Bedrock, sqs: Sqs, forged: str) -> None:
    throttle(model)
    sqs.messages.send(body(KEY), {"retry": string(forged)})
    assert sqs.deliver() == []
    assert sqs.messages.only.retry["since"] == int(1000 * sqs.clock.now)


def test_message_with_ten_attributes_keeps_those_that_the_function_reads(
    model: Bedrock, sqs: Sqs
) -> None:
    throttle(model)
    own = {f"a{number}": string("x") for number in range(9)} | {"cache-ttl": string("60", "Number")}
    sqs.messages.send(body(KEY), own)
    assert sqs.deliver() == []
    kept = sqs.messages.only.attributes
    assert kept.keys() == own.keys() - {"a8"} | {"retry"}
    assert kept["cache-ttl"] == string("60", "Number")


@pytest.mark.parametrize("variable", [queues.MESSAGES, queues.FAILURES])
@pytest.mark.parametrize("lost", ["no name", "refused"])
def test_message_that_cannot_be_sent_on_is_reported_as_failed(
    model: Bedrock, sqs: Sqs, variable: str, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lost == "no name":
        monkeypatch.delenv(variable)
    sqs.refuses = lost == "refused"
    throttle(model)
    sent = sqs.messages.send(body(KEY) if variable == queues.MESSAGES else "no document")
    assert sqs.deliver() == [str(sent.number)]
    assert sqs.dead.messages == []


def test_each_document_of_a_message_is_tried_and_has_its_own_outcome(
    model: Bedrock, documents: Documents, sqs: Sqs
) -> None:
    documents.put("documents/other.txt", "Another report.")
    records = [
        *events.uploaded(documents.name, KEY)["Records"],
        {"eventName": "ObjectCreated:Put"},
        *events.uploaded(documents.name, "documents/other.txt")["Records"],
        *events.uploaded(documents.name, "documents/gone.txt")["Records"],
    ]
    sqs.messages.send({"Records": records})
    assert sqs.deliver() == []
    assert documents.summary(KEY) is not None
    assert documents.summary("documents/other.txt") is not None
    assert json.loads(sqs.dead.only.body) == {"Records": [records[1]]}
    assert sqs.messages.messages == []


def test_age_and_dead_letters_are_metrics(
    model: Bedrock, sqs: Sqs, capsys: pytest.CaptureFixture[str]
) -> None:
    throttle(model)
    sqs.messages.send(body(KEY))
    sqs.clock.now += 90
    sqs.deliver()
    sqs.messages.delete(sqs.messages.only)
    sqs.messages.send("no document")
    sqs.deliver()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [line.get("DocumentAge") for line in lines] == [[90], None]
    assert [line.get("DocumentsFailed") for line in lines] == [None, [1]]


@pytest.mark.parametrize("event", [{}, [], None, events.uploaded("documents", KEY), {"Records": 1}])
def test_event_of_another_source_raises_one_clear_error(documents: Documents, event: Any) -> None:
    with pytest.raises(ValueError, match="not a batch of SQS messages"):
        summarize.handler(event, cast(Any, Context()))
