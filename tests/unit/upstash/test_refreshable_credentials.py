"""When credentials are fetched, and fetched again."""

import asyncio
import logging
import threading

import pytest
from tests.clock import Clock

from llm_cache import StoreTimeout, StoreUnavailable
from llm_cache._upstash.credentials import (
    FIRST_RETRY,
    FIRST_TIMEOUT,
    MIN_REFRESH,
    Credentials,
    RefreshableCredentials,
)


class Source:
    """Returns a new token at each fetch, counts the fetches, and fails or hangs on demand."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.fetches = clock, 0
        self.failure: Exception | None = None
        self.released = threading.Event()
        self.released.set()

    def __call__(self) -> Credentials:
        self.fetches += 1
        assert self.released.wait(60)
        if self.failure:
            raise self.failure
        return Credentials("https://x.upstash.io", f"token-{self.fetches}")


@pytest.fixture
def source(clock: Clock) -> Source:
    return Source(clock)


@pytest.fixture
def unknown(source: Source) -> RefreshableCredentials:
    """Credentials that have not been fetched."""
    return RefreshableCredentials(source, 3600, source.clock)


@pytest.fixture
def known(unknown: RefreshableCredentials) -> RefreshableCredentials:
    """Credentials that have been fetched once."""
    unknown.get()
    return unknown


def refreshed(credentials: RefreshableCredentials) -> str:
    credentials.refresh().result(60)
    return credentials.get().token


def test_credentials_are_fetched_on_first_use_and_then_known(
    source: Source, unknown: RefreshableCredentials
) -> None:
    assert source.fetches == 0
    assert {unknown.get().token for _ in range(3)} == {"token-1"}
    source.clock.now += 3599
    assert unknown.get().token == "token-1"
    assert source.fetches == 1


def failure(credentials: RefreshableCredentials) -> str:
    with pytest.raises(StoreUnavailable) as raised:
        credentials.get()
    return str(raised.value)


def test_failed_first_fetch_is_retried_after_a_doubled_backoff(
    source: Source, unknown: RefreshableCredentials
) -> None:
    source.failure = StoreUnavailable("down")
    backoffs = [FIRST_RETRY, 2.0, 4.0, 8.0, 16.0, MIN_REFRESH, MIN_REFRESH]
    for fetches, backoff in enumerate(backoffs, 1):
        assert [failure(unknown) for _ in range(3)] == ["down"] * 3
        assert source.fetches == fetches
        source.clock.now += backoff - 0.1
        assert (failure(unknown), source.fetches) == ("down", fetches)
        source.clock.now += 0.1
    source.failure = None
    assert unknown.get().token == "token-8"


def test_shared_error_keeps_no_traceback_of_another_caller(
    source: Source, unknown: RefreshableCredentials
) -> None:
    source.failure = StoreUnavailable("down")
    depths = set()
    for _ in range(9):
        with pytest.raises(StoreUnavailable) as raised:
            unknown.get()
        depths.add(len(raised.traceback))
    assert len(depths) == 1


def test_callers_wait_for_one_first_fetch_within_their_time_limit(
    source: Source, unknown: RefreshableCredentials
) -> None:
    source.released.clear()
    limits = list[float]()

    def limit(seconds: float) -> float:
        limits.append(seconds)
        return 0.01

    for _ in range(3):
        with pytest.raises(StoreTimeout, match="secrets were not read"):
            unknown.get(limit)
    source.released.set()
    assert unknown.get().token == "token-1"
    assert (source.fetches, limits) == (1, [FIRST_TIMEOUT] * 3)


def test_caller_without_time_begins_no_fetch(
    source: Source, unknown: RefreshableCredentials
) -> None:
    with pytest.raises(StoreTimeout):
        unknown.get(lambda _: 0.0)
    assert source.fetches == 0
    unknown.get()
    assert unknown.get(lambda _: 0.0).token == "token-1"


async def test_first_fetch_does_not_block_the_event_loop(
    source: Source, unknown: RefreshableCredentials
) -> None:
    source.released.clear()
    reading = [asyncio.ensure_future(unknown.aget()) for _ in range(6)]
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(source.released.set)
    assert {found.token for found in await asyncio.gather(*reading)} == {"token-1"}
    assert source.fetches == 1


def test_refresh_happens_once_in_its_interval(known: RefreshableCredentials, clock: Clock) -> None:
    assert [refreshed(known) for _ in range(3)] == ["token-2"] * 3
    clock.now += MIN_REFRESH - 1
    assert refreshed(known) == "token-2"
    clock.now += 1
    assert refreshed(known) == "token-3"


def test_old_credentials_serve_until_new_ones_are_fetched(
    known: RefreshableCredentials, source: Source
) -> None:
    source.clock.now += 3600
    assert known.get().token in {"token-1", "token-2"}
    assert refreshed(known) == "token-2"
    source.clock.now += 3599
    assert refreshed(known) == "token-3"
    source.clock.now += 3599
    known.get()
    assert source.fetches == 3


@pytest.mark.parametrize(
    ("failure", "shown"),
    [(ValueError("secret"), "ValueError"), (StoreUnavailable("SSM did not"), "SSM did not")],
)
def test_failed_refresh_changes_nothing_and_logs_only_errors_of_the_library(
    known: RefreshableCredentials,
    source: Source,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    shown: str,
) -> None:
    source.failure = failure
    with caplog.at_level(logging.DEBUG):
        assert refreshed(known) == "token-1"
    assert caplog.messages == [f"the secrets were not refreshed, the known ones stay: {shown}"]
    source.failure, clock.now = None, clock.now + MIN_REFRESH
    assert refreshed(known) == "token-3"


def test_credentials_without_max_age_are_fetched_once(source: Source, clock: Clock) -> None:
    credentials = RefreshableCredentials(source, None, clock)
    credentials.get()
    clock.now += 1e9
    assert credentials.get().token == refreshed(credentials) == "token-1"
    assert source.fetches == 1
