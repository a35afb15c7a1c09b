"""The version of a document that is summarized, and when its summary is replaced."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import BUCKET, KEY, TEXT, Documents, body, deliver, message, uploaded

import summary
from upstash_endpoint.children import wait_until

NEW_TEXT = "The harvest was bad."


def test_repeated_message_changes_nothing(model: Bedrock, documents: Documents) -> None:
    version = documents.put(KEY, TEXT)
    deliver(message(uploaded(KEY, version)))
    first = documents.file(KEY)
    documents.calls.clear()
    assert deliver(message(uploaded(KEY, version))) == []
    assert documents.file(KEY) == first
    assert documents.calls == ["GetObject", "GetObject"]
    assert len(model.requests) == 1


def deleted(documents: Documents) -> str | None:
    version = documents.put(KEY, TEXT)
    documents.s3.delete_object(Bucket=BUCKET, Key=KEY)
    return version


def deleted_version(documents: Documents) -> str | None:
    version = documents.put(KEY, TEXT)
    documents.s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=version)
    return version


def delete_marker(documents: Documents) -> str | None:
    documents.put(KEY, TEXT)
    marker: str = documents.s3.delete_object(Bucket=BUCKET, Key=KEY)["VersionId"]
    return marker


def replaced(documents: Documents) -> str | None:
    version = documents.put(KEY, TEXT)
    documents.put(KEY, NEW_TEXT)
    return version


@pytest.mark.parametrize("gone", [deleted, deleted_version, delete_marker, replaced])
def test_deleted_document_is_done_without_a_model_call(
    model: Bedrock, documents: Documents, gone: Callable[[Documents], str | None]
) -> None:
    version = gone(documents)
    assert deliver(message(uploaded(KEY, version))) == []
    assert documents.calls == ["GetObject"]
    assert documents.summary(KEY) is None
    assert model.requests == []


@pytest.mark.parametrize("first", ["old", "new"])
def test_summary_of_the_newer_version_remains(
    model: Bedrock, documents: Documents, first: str
) -> None:
    old = documents.put(KEY, TEXT)
    if first == "old":
        deliver(message(uploaded(KEY, old)))
    new = documents.put(KEY, NEW_TEXT)
    assert deliver(message(uploaded(KEY, new)), message(uploaded(KEY, old), 2)) == []
    assert documents.file(KEY)["source"]["version_id"] == new
    assert model.texts == ([TEXT, NEW_TEXT] if first == "old" else [NEW_TEXT])


def test_older_version_loses_to_a_newer_one_written_during_its_model_call(
    model: Bedrock, documents: Documents
) -> None:
    old = documents.put(KEY, TEXT)
    model.hold = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(deliver, message(uploaded(KEY, old)))
        wait_until(lambda: bool(model.requests), seconds=60, what="the model call")
        new = documents.put(KEY, NEW_TEXT)
        theirs = {"summary": "Theirs.", "made_by": [], "source": {"version_id": new}}
        documents.put(f"summaries/{KEY}.json", json.dumps(theirs))
        model.hold.set()
        assert slow.result() == []
    assert documents.file(KEY) == theirs


@pytest.mark.parametrize("junk", [b"", b"[]", b"\xff", b'{"source": 1}', b"[" * 100_000])
def test_invalid_summary_file_is_replaced(documents: Documents, junk: bytes) -> None:
    documents.put(KEY, TEXT)
    documents.put(f"summaries/{KEY}.json", junk)
    assert deliver(message(body(KEY))) == []
    assert documents.summary(KEY) == "Answer 1."


def test_another_model_replaces_the_summary(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.put(KEY, TEXT)
    deliver(message(body(KEY)))
    monkeypatch.setenv("MODEL_ID", "amazon.nova-2-pro-v1:0")
    summary.response_cache.cache_clear()
    assert deliver(message(body(KEY))) == []
    assert documents.summary(KEY) == "Answer 2."
