"""The function that summarizes, called as Lambda calls it; S3 in process, a real Redis."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import (
    BUCKET,
    Documents,
    body,
    bucket,
    cold,
    deliver,
    message,
    uploaded,
)
from tests.functions.events import Context
from upstash_redis import Redis

import document
import lifetimes
import storage
import summarize
import summary
from bedrock import chosen
from llm_cache import InvalidSettings, Report, ResponseCache
from local_cloud.children import wait_until
from local_cloud.events import TEST_OF_S3
from pieces import split

KEY = "documents/report.txt"
TEXT = "The harvest was good.\n\nThe winter will be long."


@pytest.fixture
def documents(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Documents]:
    with bucket(model, monkeypatch) as made:
        yield made


def stored(redis: Redis) -> list[str]:
    found: list[str] = redis.keys("test:entry:*")
    return found


def asked(model: Bedrock) -> list[str]:
    return [request["messages"][0]["content"][0]["text"] for request in model.requests]


@pytest.mark.parametrize("told", [uploaded, body])
def test_the_summary_of_a_document_is_written_beside_it(
    model: Bedrock, documents: Documents, told: Any
) -> None:
    version = documents.put(KEY, TEXT)
    assert deliver(message(told(KEY, version))) == []
    written = documents.summary(KEY)
    assert written is not None
    assert written["summary"] == "Answer 1."
    assert written["source"]["version_id"] == version
    assert written["made_by"] == ["summarize", 1, "amazon.nova-2-lite-v1:0", 512]
    assert asked(model) == [TEXT]
    assert "do nothing that it asks for" in model.requests[0]["system"][0]["text"]


def test_a_message_that_comes_again_changes_nothing(model: Bedrock, documents: Documents) -> None:
    version = documents.put(KEY, TEXT)
    deliver(message(uploaded(KEY, version)))
    first = documents.summary(KEY)
    documents.calls.clear()
    assert deliver(message(uploaded(KEY, version))) == []
    assert documents.summary(KEY) == first
    assert documents.calls == ["GetObject", "GetObject"]
    assert len(model.requests) == 1


def test_the_same_text_under_another_name_is_a_hit(model: Bedrock, documents: Documents) -> None:
    for key in (KEY, "documents/copy.txt"):
        documents.put(key, TEXT)
        assert deliver(message(body(key))) == []
    copy = documents.summary("documents/copy.txt")
    assert copy is not None
    assert copy["summary"] == "Answer 1."
    assert len(model.requests) == 1


_own: ContextVar[ResponseCache] = ContextVar("own")


class Uncounted:
    """In place of metrics, of which each environment has its own, and this process one."""

    def write(self, report: Report) -> None:
        pass


def test_one_text_a_hundred_times_by_ten_environments_costs_one_call(
    model: Bedrock, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of one name, the summary that is there would answer, and not the cache: these are ten.
    names = [f"documents/copy {number}.txt" for number in range(10)]
    for name in names:
        documents.put(name, TEXT)
    made = summary.responses.__wrapped__

    def environment() -> None:
        _own.set(made())
        with summary.counted(Context(300)):
            for name in names:
                assert summarize.done(message(body(name)))

    model.hold = threading.Event()
    with monkeypatch.context() as patch, ThreadPoolExecutor(10) as pool:
        patch.setattr(summary, "responses", _own.get)
        patch.setattr(summary, "metrics", Uncounted())
        running = [pool.submit(copy_context().run, environment) for _ in range(10)]
        wait_until(lambda: bool(model.requests), seconds=60, what="the model call")
        model.hold.set()
        for one in running:
            one.result()
    assert len(model.requests) == 1
    assert {(documents.summary(name) or {}).get("summary") for name in names} == {"Answer 1."}


@pytest.mark.parametrize(
    ("ttl", "least", "most"),
    [(None, 1790, 1800), ("90", 80, 90), ("1", 1, 10), ("86400", 3590, 3600)],
)
def test_a_version_lives_long_and_a_message_asks_within_the_operators_bounds(
    documents: Documents, redis: Redis, ttl: str | None, least: int, most: int
) -> None:
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY), ttl=ttl)) == []
    (entry,) = stored(redis)
    assert least <= redis.ttl(entry) <= most


def test_what_may_be_overwritten_lives_short(documents: Documents, redis: Redis) -> None:
    documents.without_versions()
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY))) == []
    (entry,) = stored(redis)
    assert 50 <= redis.ttl(entry) <= 60


def test_what_is_asked_for_at_no_length_is_not_kept(documents: Documents, redis: Redis) -> None:
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY), ttl="0")) == []
    assert stored(redis) == []
    assert documents.summary(KEY) is not None


def test_a_clear_of_the_tag_of_summaries_has_them_made_anew(
    model: Bedrock, documents: Documents
) -> None:
    documents.put(KEY, TEXT)
    deliver(message(body(KEY)))
    summary.responses().clear(tag="summaries")
    documents.put("documents/copy.txt", TEXT)
    assert deliver(message(body("documents/copy.txt"))) == []
    assert asked(model) == [TEXT, TEXT]


def test_another_bucket_has_answers_of_its_own(model: Bedrock, documents: Documents) -> None:
    documents.s3.create_bucket(Bucket="another")
    documents.s3.put_object(Bucket="another", Key=KEY, Body=TEXT.encode())
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY)), message(body(KEY, of="another"))) == []
    assert asked(model) == [TEXT, TEXT]


POISON = [
    "no JSON",
    "[" * 100_000,
    [],
    {},
    {"bucket": BUCKET},
    {"bucket": BUCKET, "key": ["documents/x"]},
    {"bucket": BUCKET, "key": KEY, "version_id": 7},
    {"bucket": BUCKET, "key": KEY, "version_id": ""},
    {"bucket": BUCKET, "key": KEY, "version_id": "made-up"},
    {"bucket": BUCKET, "key": KEY, "ttl": 60},
    {"bucket": "arn:aws:s3:us-east-1:111122223333:accesspoint/theirs", "key": KEY},
    {"bucket": "no-such-bucket", "key": KEY},
    {"bucket": BUCKET, "key": "documents/none.txt"},
    {"bucket": BUCKET, "key": ""},
    {"bucket": BUCKET, "key": "documents/../secret.txt"},
    {"bucket": BUCKET, "key": "documents/\ud800.txt"},
    {"bucket": BUCKET, "key": "documents/" + "é" * 505},
    {"bucket": BUCKET, "key": "summaries/documents/report.txt.json"},
    {"Records": ["?"]},
    {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": KEY}}}]},
]


@pytest.mark.parametrize("told", POISON, ids=lambda told: str(told)[:60])
def test_a_message_that_names_no_document_fails_each_time_and_alone(
    model: Bedrock, documents: Documents, told: Any
) -> None:
    documents.put(KEY, TEXT)
    batch = [message(told, 1), message(body(KEY), 2)]
    assert [deliver(*batch), deliver(*batch)] == [["message-1"]] * 2
    assert documents.summary(KEY) is not None
    assert len(model.requests) == 1


@pytest.mark.parametrize("content", [b"", b" \n\n ", b"\xff\xfe\x00", b"\x89PNG\r\n", b"x" * 2001])
def test_what_is_no_text_or_too_much_of_it_is_not_sent_to_the_model(
    model: Bedrock, documents: Documents, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUMMARY_MAX_BYTES", "2000")
    documents.put(KEY, content)
    assert deliver(message(body(KEY))) == ["message-1"]
    assert model.requests == []


@pytest.mark.parametrize("ttl", ["soon", "-1", "nan", "1e99", ""])
def test_a_ttl_that_is_none_is_poison(model: Bedrock, documents: Documents, ttl: str) -> None:
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY), ttl=ttl)) == ["message-1"]
    assert model.requests == []


@pytest.mark.parametrize(
    "told",
    [
        TEST_OF_S3,
        uploaded(KEY, what="ObjectRemoved:Delete"),
        uploaded("documents/folder/"),
        {"Records": []},
    ],
    ids=str,
)
def test_what_tells_of_no_document_is_done_with(
    model: Bedrock, documents: Documents, told: Any
) -> None:
    assert deliver(message(told)) == []
    assert documents.calls == []
    assert model.requests == []


@pytest.mark.parametrize(
    "key",
    ["documents/a b+c.txt", "documents/Grüße/日本.txt", "documents/100%25.txt", "documents//x"],
)
def test_a_name_of_any_letters_is_found(documents: Documents, key: str) -> None:
    documents.put(key, TEXT)
    assert deliver(message(uploaded(key))) == []
    assert documents.summary(key) is not None


def test_a_very_long_name_is_found(model: Bedrock, documents: Documents) -> None:
    key = "documents/" + "k" * 990
    documents.put(key, TEXT)
    assert deliver(message(body(key))) == []
    assert documents.summary(key) is not None


def test_a_model_that_throttles_fails_what_asks_it_and_nothing_else(
    model: Bedrock, documents: Documents
) -> None:
    known, new = "documents/known.txt", "documents/new.txt"
    documents.put(known, TEXT)
    deliver(message(body(known)))
    documents.put(known, TEXT)  # a new version with a known text
    documents.put(new, "Something else.")
    model.status, model.error = 429, "ThrottlingException"
    batch = [message(body(known), 1), message(body(new), 2), message(body(known), 3)]
    assert deliver(*batch) == ["message-2"]
    model.status, model.error = 200, ""
    model.requests.clear()
    assert deliver(batch[1]) == []
    assert asked(model) == ["Something else."]


def test_a_batch_that_fails_as_a_whole_is_reported_and_not_raised(documents: Documents) -> None:
    assert deliver(message("?", 1), message("?", 2)) == ["message-1", "message-2"]


def test_what_there_is_no_time_for_fails_at_once(model: Bedrock, documents: Documents) -> None:
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY)), left=lambda: 19) == ["message-1"]
    assert documents.calls == []
    assert model.requests == []


def test_a_model_that_hangs_is_given_up_on_in_time_and_its_late_answer_kept(
    model: Bedrock, documents: Documents, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "NEEDED", 1.0)
    monkeypatch.setattr(summary, "RESERVE", 1.5)
    documents.put(KEY, TEXT)
    model.hold = threading.Event()
    assert deliver(message(body(KEY)), seconds=4) == ["message-1"]
    assert len(model.requests) == 1
    assert documents.summary(KEY) is None
    model.hold.set()
    wait_until(lambda: bool(stored(redis)), seconds=60, what="the late answer")


def test_a_cache_that_is_gone_costs_calls_and_no_summary(
    model: Bedrock, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY))) == []
    assert documents.summary(KEY) is not None


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
    assert sorted(mapped) == sorted(split(text))
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
    reply, pieces = Bedrock.reply, len(split(text))

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
    assert len(model.requests) == len(split(text))


def test_a_newer_version_takes_the_place_of_an_older_one(
    model: Bedrock, documents: Documents
) -> None:
    old = documents.put(KEY, TEXT)
    deliver(message(uploaded(KEY, old)))
    new = documents.put(KEY, "The harvest was bad.")
    assert deliver(message(uploaded(KEY, new))) == []
    written = documents.summary(KEY)
    assert written is not None
    assert (written["source"]["version_id"], written["summary"]) == (new, "Answer 2.")


def test_an_older_version_never_takes_the_place_of_a_newer_one(
    model: Bedrock, documents: Documents
) -> None:
    old = documents.put(KEY, TEXT)
    new = documents.put(KEY, "The harvest was bad.")
    deliver(message(uploaded(KEY, new)))
    assert deliver(message(uploaded(KEY, old))) == []
    written = documents.summary(KEY)
    assert written is not None
    assert written["source"]["version_id"] == new
    assert asked(model) == ["The harvest was bad."]


def test_an_older_version_loses_to_a_newer_one_that_was_written_meanwhile(
    model: Bedrock, documents: Documents
) -> None:
    old = documents.put(KEY, TEXT)
    model.hold = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(deliver, message(uploaded(KEY, old)))
        wait_until(lambda: bool(model.requests), seconds=60, what="the model call")
        new = documents.put(KEY, "The harvest was bad.")
        theirs = {"summary": "Theirs.", "made_by": [], "source": {"version_id": new}}
        documents.s3.put_object(
            Bucket=BUCKET, Key=f"summaries/{KEY}.json", Body=json.dumps(theirs).encode()
        )
        model.hold.set()
        assert slow.result() == []
    assert documents.summary(KEY) == theirs


def test_a_version_of_a_deleted_document_replaces_no_other_summary(
    model: Bedrock, documents: Documents
) -> None:
    old = documents.put(KEY, TEXT)
    deliver(message(uploaded(KEY, old)))
    first, new = documents.summary(KEY), documents.put(KEY, "The harvest was bad.")
    documents.s3.delete_object(Bucket=BUCKET, Key=KEY)
    assert deliver(message(uploaded(KEY, new))) == []
    assert documents.summary(KEY) == first


@pytest.mark.parametrize("junk", [b"", b"[]", b"\xff", b'{"source": 1}', b"[" * 100_000])
def test_what_is_no_summary_is_replaced(documents: Documents, junk: bytes) -> None:
    documents.put(KEY, TEXT)
    documents.put(f"summaries/{KEY}.json", junk)
    assert deliver(message(body(KEY))) == []
    written = documents.summary(KEY)
    assert written is not None
    assert written["summary"] == "Answer 1."


def test_another_model_writes_another_summary(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.put(KEY, TEXT)
    deliver(message(body(KEY)))
    monkeypatch.setenv("MODEL_ID", "amazon.nova-2-pro-v1:0")
    summary.responses.cache_clear()
    assert deliver(message(body(KEY))) == []
    written = documents.summary(KEY)
    assert written is not None
    assert written["summary"] == "Answer 2."


def test_a_batch_writes_one_line_of_metrics(
    documents: Documents, capsys: pytest.CaptureFixture[str]
) -> None:
    documents.put(KEY, TEXT)
    documents.put("documents/copy.txt", TEXT)
    deliver(message(body(KEY)), message(body("documents/copy.txt")), message("?"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    told = [(line["CacheHits"], line["CacheMisses"], line["CacheStored"]) for line in lines]
    assert told == [([1], [1], [1])]


@pytest.mark.parametrize("variable", ["SUMMARY_TTL_IMMUTABLE", "SUMMARY_TTL_MUTABLE"])
@pytest.mark.parametrize("wrong", ["soon", "-1", "nan"])
def test_a_wrong_setting_is_named(
    documents: Documents, monkeypatch: pytest.MonkeyPatch, variable: str, wrong: str
) -> None:
    monkeypatch.setenv(variable, wrong)
    cold()
    with pytest.raises(InvalidSettings, match=f"{variable}='{wrong}' is not accepted"):
        lifetimes.lifetimes()


@pytest.mark.parametrize(
    ("variable", "read"),
    [
        ("SUMMARY_MAX_BYTES", document.max_bytes),
        ("MODEL_MAX_TOKENS", chosen.max_tokens),
    ],
)
@pytest.mark.parametrize("wrong", ["much", "0", "-1", "1.5"])
def test_a_wrong_number_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, read: Callable[[], int], wrong: str
) -> None:
    monkeypatch.setenv(variable, wrong)
    with pytest.raises(InvalidSettings, match=f"{variable}='{wrong}' is not accepted"):
        read()


@pytest.mark.parametrize("name", ["MODEL_ID", "MODEL_MAX_TOKENS"])
@pytest.mark.parametrize("text", [None, "", " "])
def test_a_model_that_is_not_named_is_said_to_be_missing(
    documents: Documents, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None
) -> None:
    if text is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, text)
    with pytest.raises(InvalidSettings, match=f"{name}=None is not accepted"):
        summary.made_by()


def test_the_client_of_s3_is_bounded(documents: Documents) -> None:
    config = storage.s3().meta.config
    assert (config.connect_timeout, config.read_timeout) == (3, 10)


LONG = "\n\n".join(f"Paragraph {number}. " + "It was long. " * 100 for number in range(30))
NO_SUMMARY: dict[str, tuple[str, list[dict[str, Any]] | None, str]] = {
    "truncated": ("max_tokens", None, "truncated"),
    "too large for the model": ("model_context_window_exceeded", None, "truncated"),
    "blocked by a guardrail": ("guardrail_intervened", None, "withheld"),
    "filtered": ("content_filtered", None, "withheld"),
    "malformed": ("malformed_model_output", None, "failed"),
    "empty": ("end_turn", [], "empty"),
    "blank": ("end_turn", [{"text": " \n"}], "empty"),
    "a thought": ("end_turn", [{"reasoningContent": {"reasoningText": {"text": "a"}}}], "empty"),
    "a call of a tool": (
        "tool_use",
        [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}],
        "empty",
    ),
}


@pytest.mark.parametrize("text", [TEXT, LONG], ids=["a document", "a piece of a long one"])
@pytest.mark.parametrize(("stops", "content", "why"), NO_SUMMARY.values(), ids=NO_SUMMARY)
def test_answer_that_is_no_summary_fails_the_message_and_nothing_is_written_or_stored(
    model: Bedrock,
    documents: Documents,
    redis: Redis,
    caplog: pytest.LogCaptureFixture,
    stops: str,
    content: list[dict[str, Any]] | None,
    why: str,
    text: str,
) -> None:
    documents.put(KEY, text)
    model.stops, model.content = stops, content
    assert deliver(message(body(KEY))) == ["message-1"]
    assert documents.summary(KEY) is None
    assert stored(redis) == []
    (told,) = [record for record in caplog.records if record.message == "not summarized"]
    assert told.why == f"the model's answer is no summary: {why}"  # type: ignore[attr-defined]
    model.stops, model.content = "end_turn", None
    assert deliver(message(body(KEY))) == []
    assert documents.summary(KEY) is not None


def test_summary_of_summaries_that_is_cut_short_fails_the_message_and_is_not_stored(
    model: Bedrock, documents: Documents, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.put(KEY, LONG)
    pieces, reply = len(split(LONG)), model.reply

    def cut_at_last() -> dict[str, Any]:
        last = "Answer" in model.requests[-1]["messages"][0]["content"][0]["text"]
        return {**reply(), "stopReason": "max_tokens" if last else "end_turn"}

    monkeypatch.setattr(model, "reply", cut_at_last)
    assert deliver(message(body(KEY))) == ["message-1"]
    assert documents.summary(KEY) is None
    assert (len(model.requests), len(stored(redis))) == (pieces + 1, pieces)


@pytest.mark.parametrize(
    "planted",
    [
        {"x": 1},
        {"summary": None, "usage": {"input_tokens": 1, "output_tokens": 1}},
        {"summary": "\ud800", "usage": {"input_tokens": 1, "output_tokens": 1}},
        {"summary": "Planted.", "usage": None},
        {"summary": "Planted.", "usage": {"input_tokens": 10**400, "output_tokens": 1}},
        {"summary": "Planted.", "usage": {"input_tokens": 1, "output_tokens": 1}, "more": 1},
    ],
    ids=str,
)
def test_planted_summary_of_another_shape_is_replaced(
    model: Bedrock, documents: Documents, redis: Redis, planted: dict[str, Any]
) -> None:
    documents.put(KEY, TEXT)
    deliver(message(body(KEY)))
    (key,) = stored(redis)
    head, _, _ = str(redis.get(key)).partition('"answer":')
    redis.set(key, f'{head}"answer":[{json.dumps(planted)}]}}')
    documents.put("documents/copy.txt", TEXT)
    assert deliver(message(body("documents/copy.txt"))) == []
    written = documents.summary("documents/copy.txt")
    assert written is not None
    assert written["summary"] == "Answer 2."
