"""When secrets are read again."""

import asyncio
import logging
import threading
from collections.abc import Callable

import pytest
from tests.clock import Clock

from llm_cache import StoreTimeout, StoreUnavailable
from llm_cache._upstash.credentials import AGAIN, FIRST_AGAIN, Credentials, RefreshableCredentials


class Kept:
    """Secrets kept elsewhere, and how often they were read."""

    def __init__(self) -> None:
        self.read = 0
        self.fails: Exception | None = None
        self.held = threading.Event()
        self.held.set()

    def __call__(self) -> Credentials:
        self.read += 1
        assert self.held.wait(60)
        if self.fails:
            raise self.fails
        return Credentials("https://x.upstash.io", f"token-{self.read}")


@pytest.fixture
def kept() -> Kept:
    return Kept()


def made(kept: Kept, clock: Clock, max_age: float | None = 3600) -> RefreshableCredentials:
    return RefreshableCredentials(kept, max_age, clock)


def refreshed(credentials: RefreshableCredentials) -> str:
    credentials.refresh().result(60)
    return credentials.get().token


def test_they_are_read_when_first_needed_and_then_known(kept: Kept, clock: Clock) -> None:
    credentials = made(kept, clock)
    assert kept.read == 0
    assert {credentials.get().token for _ in range(3)} == {"token-1"}
    clock.now += 3599
    assert credentials.get().token == "token-1"
    assert kept.read == 1


def failure(credentials: RefreshableCredentials) -> str:
    with pytest.raises(StoreUnavailable) as raised:
        credentials.get()
    return str(raised.value)


def test_failed_first_read_is_tried_again_after_ever_longer_waits(kept: Kept, clock: Clock) -> None:
    credentials, kept.fails = made(kept, clock), StoreUnavailable("down")
    for read, wait in enumerate([FIRST_AGAIN, 2.0, 4.0, 8.0, 16.0, AGAIN, AGAIN], 1):
        assert [failure(credentials) for _ in range(3)] == ["down"] * 3
        assert kept.read == read
        clock.now += wait - 0.1
        assert (failure(credentials), kept.read) == ("down", read)
        clock.now += 0.1
    kept.fails = None
    assert credentials.get().token == "token-8"


def test_error_that_callers_share_keeps_no_traceback_of_another(kept: Kept, clock: Clock) -> None:
    credentials, kept.fails = made(kept, clock), StoreUnavailable("down")
    depths = set()
    for _ in range(9):
        with pytest.raises(StoreUnavailable) as raised:
            credentials.get()
        depths.add(len(raised.traceback))
    assert len(depths) == 1


def test_callers_wait_for_one_first_read_no_longer_than_they_may(kept: Kept, clock: Clock) -> None:
    kept.held.clear()
    credentials = made(kept, clock)
    for _ in range(3):
        with pytest.raises(StoreTimeout, match="secrets were not read"):
            credentials.get(lambda _: 0.01)
    kept.held.set()
    assert credentials.get().token == "token-1"
    assert kept.read == 1


def test_caller_without_time_begins_no_read(kept: Kept, clock: Clock) -> None:
    credentials = made(kept, clock)
    with pytest.raises(StoreTimeout):
        credentials.get(lambda _: 0.0)
    assert kept.read == 0
    credentials.get()
    assert credentials.get(lambda _: 0.0).token == "token-1"


async def test_first_read_does_not_block_the_event_loop(kept: Kept, clock: Clock) -> None:
    kept.held.clear()
    credentials = made(kept, clock)
    reading = [asyncio.ensure_future(credentials.aget()) for _ in range(6)]
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(kept.held.set)
    assert {found.token for found in await asyncio.gather(*reading)} == {"token-1"}
    assert kept.read == 1


def test_a_refresh_is_one_in_its_interval(kept: Kept, clock: Clock) -> None:
    credentials = made(kept, clock)
    credentials.get()
    assert [refreshed(credentials) for _ in range(3)] == ["token-2"] * 3
    clock.now += AGAIN - 1
    assert refreshed(credentials) == "token-2"
    clock.now += 1
    assert refreshed(credentials) == "token-3"


def test_old_ones_serve_until_the_new_ones_are_there(kept: Kept, clock: Clock) -> None:
    credentials = made(kept, clock)
    credentials.get()
    clock.now += 3600
    assert credentials.get().token in {"token-1", "token-2"}  # read beside
    assert refreshed(credentials) == "token-2"
    clock.now += 3599
    assert refreshed(credentials) == "token-3"  # by a refusal
    clock.now += 3599
    credentials.get()
    assert kept.read == 3


def test_a_refresh_that_fails_changes_nothing_and_tells_no_value(
    kept: Kept, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    credentials = made(kept, clock)
    credentials.get()
    kept.fails = ValueError("secret-token")
    with caplog.at_level(logging.DEBUG):
        assert refreshed(credentials) == "token-1"
    assert caplog.messages == ["the secrets were not read anew: ValueError"]
    kept.fails, clock.now = None, clock.now + AGAIN
    assert refreshed(credentials) == "token-3"


@pytest.mark.parametrize("ask", [refreshed, lambda credentials: credentials.get().token])
def test_what_never_changes_is_never_read_again(
    kept: Kept, clock: Clock, ask: Callable[[RefreshableCredentials], str]
) -> None:
    credentials = made(kept, clock, None)
    credentials.get()
    clock.now += 1e9
    assert ask(credentials) == "token-1"
    assert kept.read == 1
