"""Documents of several pieces: each piece is asked for, and then what joins their summaries."""

import threading
from typing import Any

import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import (
    KEY,
    Documents,
    asked,
    body,
    deliver,
    message,
    stored,
)
from tests.functions.events import Context
from upstash_redis import Redis

import summary
from budget import Budget
from pieces import split_text
from summary_errors import OutOfTime, PermanentError, TransientError


def chapters(count: int) -> list[str]:
    """Paragraphs of a long document, no two alike."""
    return [
        f"Paragraph {number}. " + f"It tells of the number {number * 7919}. " * 20
        for number in range(count)
    ]


def joined(paragraphs: list[str]) -> str:
    return "\n\n".join(paragraphs)


def test_a_large_document_is_split_and_its_pieces_are_joined(
    model: Bedrock, documents: Documents, redis: Redis
) -> None:
    text = joined(chapters(100))
    documents.put(KEY, text)
    assert deliver(message(body(KEY))) == []
    *mapped, reduced = asked(model)
    assert sorted(mapped) == sorted(split_text(text))
    assert len(mapped) > 5
    assert reduced.count("Answer ") == len(mapped)
    written = documents.summary(KEY)
    assert written is not None
    assert written["summary"] == f"Answer {len(mapped) + 1}."
    assert len(stored(redis)) == len(mapped) + 1


def test_an_edited_paragraph_has_its_piece_asked_anew_and_what_joins_the_pieces(
    model: Bedrock, documents: Documents
) -> None:
    paragraphs = chapters(100)
    documents.put(KEY, joined(paragraphs))
    deliver(message(body(KEY)))
    before = len(model.requests)
    paragraphs[20] += " And then something happened."
    documents.put(KEY, joined(paragraphs))
    assert deliver(message(body(KEY))) == []
    piece, reduced = asked(model)[before:]
    assert "And then something happened." in piece
    assert reduced.startswith("Answer ")


def test_pieces_that_were_answered_before_a_failure_are_not_asked_for_again(
    model: Bedrock, documents: Documents, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = joined(chapters(100))
    documents.put(KEY, text)
    reply, pieces = Bedrock.reply, len(split_text(text))

    def fails_after_some(self: Bedrock) -> dict[str, Any]:
        if len(self.requests) > 6:
            self.status, self.error = 429, "ThrottlingException"
        return reply(self)

    monkeypatch.setattr(Bedrock, "reply", fails_after_some)
    assert deliver(message(body(KEY))) == ["message-1"]
    kept = len(stored(redis))
    assert 0 < kept < pieces
    monkeypatch.setattr(Bedrock, "reply", reply)
    model.status, model.error = 200, ""
    model.requests.clear()
    assert deliver(message(body(KEY))) == []
    assert len(model.requests) == pieces - kept + 1


def test_a_model_that_shortens_nothing_is_asked_no_further(
    model: Bedrock, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wordy(self: Bedrock) -> dict[str, Any]:
        message = {"role": "assistant", "content": [{"text": "word " * 2000}]}
        usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
        metrics = {"latencyMs": 1}
        told = {"output": {"message": message}, "stopReason": "end_turn"}
        return {**told, "usage": usage, "metrics": metrics}

    monkeypatch.setattr(Bedrock, "reply", wordy)
    text = joined(chapters(100))
    documents.put(KEY, text)
    assert deliver(message(body(KEY))) == ["message-1"]
    assert len(model.requests) == len(split_text(text))


LONG = "\n\n".join(f"Paragraph {number}. " + "It was long. " * 100 for number in range(30))


def test_piece_whose_answer_is_truncated_fails_the_message_and_no_more_pieces_are_asked(
    model: Bedrock, documents: Documents, redis: Redis
) -> None:
    documents.put(KEY, LONG)
    model.stops = "max_tokens"
    assert deliver(message(body(KEY))) == ["message-1"]
    assert documents.summary(KEY) is None
    assert stored(redis) == []
    assert len(model.requests) <= 2 * summary.AT_ONCE


def test_summary_of_summaries_that_is_cut_short_fails_the_message_and_is_not_stored(
    model: Bedrock, documents: Documents, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.put(KEY, LONG)
    pieces, reply = len(split_text(LONG)), model.reply

    def cut_at_last() -> dict[str, Any]:
        last = "Answer" in model.requests[-1]["messages"][0]["content"][0]["text"]
        return {**reply(), "stopReason": "max_tokens" if last else "end_turn"}

    monkeypatch.setattr(model, "reply", cut_at_last)
    assert deliver(message(body(KEY))) == ["message-1"]
    assert documents.summary(KEY) is None
    assert (len(model.requests), len(stored(redis))) == (pieces + 1, pieces)


@pytest.mark.parametrize(
    ("errors", "decides"),
    [
        (
            [OutOfTime(), TransientError("busy"), ZeroDivisionError(), PermanentError("truncated")],
            PermanentError,
        ),
        ([OutOfTime(), TransientError("busy"), ZeroDivisionError()], ZeroDivisionError),
        ([OutOfTime(), TransientError("busy")], TransientError),
    ],
)
def test_error_that_costs_the_most_decides_if_several_pieces_fail(
    errors: list[Exception], decides: type[Exception]
) -> None:
    begun = threading.Barrier(len(errors))

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        begun.wait(60)
        raise errors[int(request["text"])]

    with pytest.raises(decides) as raised:
        summary.summarize_all(
            [{"text": str(number)} for number in range(len(errors))], ask, Budget(Context())
        )
    assert type(raised.value) is decides
