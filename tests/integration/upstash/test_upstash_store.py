"""Failures of a command in this process."""

import asyncio
import threading

import pytest

from llm_cache import Reason, StoreError
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint


@pytest.fixture
def store(upstash: UpstashEndpoint) -> UpstashStore:
    return UpstashStore(lambda: Credentials(upstash.url, upstash.token))


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("SET", "k", b"mark"), r"only text and numbers \(TypeError\)"),
        (("SET", "k", {"mark"}), r"only text and numbers \(TypeError\)"),
        (("SET", "k", "mark \ud800"), r"lone surrogates.*\(UnicodeEncodeError\)"),
        (("SET", "k", float("nan")), r"no fault of Upstash.*\(ValueError\)"),
    ],
    ids=ascii,
)
def test_command_that_cannot_be_sent_is_an_internal_error(
    store: UpstashStore, command: tuple[str, ...], reason: str
) -> None:
    store.execute(("PING",), 5)  # a reply that the next command must not get
    for send in (store.execute, lambda *step: asyncio.run(store.aexecute(*step))):
        with pytest.raises(StoreError, match=reason) as raised:
            send(command, 5)
        assert raised.value.reason is Reason.INTERNAL
        assert "mark" not in str(raised.value)


def test_thread_that_cannot_be_started_is_an_internal_error(
    store: UpstashStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("threading.Thread.start", refuse)
    with pytest.raises(StoreError, match=r"shutting down.*\(RuntimeError\)") as raised:
        store.execute(("PING",), 5)
    assert raised.value.reason is Reason.INTERNAL


def test_bug_in_locating_the_database_is_an_internal_error_that_shows_no_value() -> None:
    def locate() -> Credentials:
        raise KeyError("mark")

    with pytest.raises(StoreError, match=r"report a bug \(KeyError\)") as raised:
        UpstashStore(locate).execute(("PING",), 5)
    assert (raised.value.reason, "mark" in str(raised.value)) == (Reason.INTERNAL, False)
