"""Which content of a document is summarized, and when its summary is replaced."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import (
    BUCKET,
    KEY,
    TEXT,
    Documents,
    asked,
    body,
    deliver,
    message,
    uploaded,
)

import summary
from upstash_endpoint.children import wait_until


def test_a_message_that_comes_again_changes_nothing(model: Bedrock, documents: Documents) -> None:
    version = documents.put(KEY, TEXT)
    deliver(message(uploaded(KEY, version)))
    first = documents.summary(KEY)
    documents.calls.clear()
    assert deliver(message(uploaded(KEY, version))) == []
    assert documents.summary(KEY) == first
    assert documents.calls == ["GetObject", "GetObject"]
    assert len(model.requests) == 1


def deleted(documents: Documents) -> str | None:
    version = documents.put(KEY, TEXT)
    documents.s3.delete_object(Bucket=BUCKET, Key=KEY)
    return version


def without_the_version(documents: Documents) -> str | None:
    version = documents.put(KEY, TEXT)
    documents.s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=version)
    return version


def delete_marker(documents: Documents) -> str | None:
    documents.put(KEY, TEXT)
    marker: str = documents.s3.delete_object(Bucket=BUCKET, Key=KEY)["VersionId"]
    return marker


def replaced(documents: Documents) -> str | None:
    version = documents.put(KEY, TEXT)
    documents.put(KEY, "The harvest was bad.")
    return version


@pytest.mark.parametrize("gone", [deleted, without_the_version, delete_marker, replaced])
def test_document_that_is_gone_before_its_turn_is_done_and_costs_no_call(
    model: Bedrock, documents: Documents, gone: Callable[[Documents], str | None]
) -> None:
    version = gone(documents)
    assert deliver(message(uploaded(KEY, version))) == []
    assert documents.calls == ["GetObject"]
    assert documents.summary(KEY) is None
    assert model.requests == []


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
    summary.response_cache.cache_clear()
    assert deliver(message(body(KEY))) == []
    written = documents.summary(KEY)
    assert written is not None
    assert written["summary"] == "Answer 2."
