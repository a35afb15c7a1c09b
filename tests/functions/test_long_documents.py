"""A long document is summarized piece by piece, then by the summaries of its pieces."""

import threading
from typing import Any

import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import KEY, Documents, body, deliver, message, paragraphs, stored
from tests.functions.events import Context
from upstash_redis import Redis

import summary
from budget import Budget
from pieces import split_text
from summary_errors import OutOfTime, PermanentError, TransientError

LONG = "\n\n".join(paragraphs(100))


@pytest.fixture
def pieces(documents: Documents) -> list[str]:
    """The pieces of a long document in the bucket."""
    documents.put(KEY, LONG)
    return split_text(LONG)


def test_long_document_is_summarized_from_the_summaries_of_its_pieces(
    model: Bedrock, documents: Documents, redis: Redis, pieces: list[str]
) -> None:
    assert deliver(message(body(KEY))) == []
    *summarized, joined = model.texts
    assert sorted(summarized) == sorted(pieces)
    assert len(pieces) > 5
    assert joined.count("Answer ") == len(pieces)
    assert documents.summary(KEY) == f"Answer {len(pieces) + 1}."
    assert len(stored(redis)) == len(pieces) + 1


def test_edit_of_a_paragraph_costs_two_model_calls(
    model: Bedrock, documents: Documents, pieces: list[str]
) -> None:
    deliver(message(body(KEY)))
    before = len(model.requests)
    edited = paragraphs(100)
    edited[20] += " And then something happened."
    documents.put(KEY, "\n\n".join(edited))
    assert deliver(message(body(KEY))) == []
    piece, joined = model.texts[before:]
    assert "And then something happened." in piece
    assert joined.startswith("Answer ")


def test_retry_calls_the_model_only_for_pieces_without_an_answer(
    model: Bedrock, redis: Redis, pieces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = Bedrock.reply

    def throttled_after_six(self: Bedrock) -> dict[str, Any]:
        if len(self.requests) > 6:
            self.throttle()
        return reply(self)

    monkeypatch.setattr(Bedrock, "reply", throttled_after_six)
    assert deliver(message(body(KEY))) == ["message-1"]
    kept = len(stored(redis))
    assert 0 < kept < len(pieces)
    monkeypatch.setattr(Bedrock, "reply", reply)
    model.recover()
    model.requests.clear()
    assert deliver(message(body(KEY))) == []
    assert len(model.requests) == len(pieces) - kept + 1


def test_summaries_that_shorten_nothing_fail_the_message_without_more_calls(
    model: Bedrock, pieces: list[str]
) -> None:
    model.content = [{"text": "word " * 2000}]
    assert deliver(message(body(KEY))) == ["message-1"]
    assert len(model.requests) == len(pieces)


def test_truncated_summary_of_a_piece_fails_the_message_and_starts_no_more_calls(
    model: Bedrock, documents: Documents, redis: Redis
) -> None:
    documents.put(KEY, "\n\n".join(paragraphs(200)))
    model.stops = "max_tokens"
    assert deliver(message(body(KEY))) == ["message-1"]
    assert documents.summary(KEY) is None
    assert stored(redis) == []
    assert len(model.requests) <= 2 * summary.AT_ONCE


def test_truncated_summary_of_summaries_fails_the_message_and_is_not_stored(
    model: Bedrock,
    documents: Documents,
    redis: Redis,
    pieces: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reply = model.reply

    def truncated_at_last() -> dict[str, Any]:
        last = "Answer" in model.texts[-1]
        return {**reply(), "stopReason": "max_tokens" if last else "end_turn"}

    monkeypatch.setattr(model, "reply", truncated_at_last)
    assert deliver(message(body(KEY))) == ["message-1"]
    assert documents.summary(KEY) is None
    assert (len(model.requests), len(stored(redis))) == (len(pieces) + 1, len(pieces))


ERRORS = [OutOfTime(), TransientError("busy"), ZeroDivisionError(), PermanentError("truncated")]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_worst_error_decides_if_several_pieces_fail(count: int) -> None:
    began = threading.Barrier(count)

    def fail(request: dict[str, Any]) -> dict[str, Any]:
        began.wait(60)
        raise ERRORS[int(request["text"])]

    requests = [{"text": str(number)} for number in range(count)]
    with pytest.raises(type(ERRORS[count - 1])) as raised:
        summary.summarize_all(requests, fail, Budget(Context()))
    assert raised.value is ERRORS[count - 1]
