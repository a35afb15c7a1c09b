"""A block that silences a logger: this thread, these loggers, and only inside it."""

import logging
import threading

import pytest

from llm_cache._upstash.quiet_logs import unlogged


@pytest.fixture(autouse=True)
def _at_debug(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("quiet", "too", "other"):  # and no more: connections of other tests may close now
        caplog.set_level("DEBUG", logger=name)


def say(name: str, text: str) -> None:
    logging.getLogger(name).debug(text)


def test_what_is_said_inside_is_dropped_and_what_follows_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with unlogged("quiet", "too"):
        say("quiet", "secret")
        say("too", "secret")
    say("quiet", "after")
    assert caplog.messages == ["after"]


def test_other_loggers_and_other_threads_go_on(caplog: pytest.LogCaptureFixture) -> None:
    with unlogged("quiet"):
        say("other", "of another logger")
        thread = threading.Thread(target=say, args=("quiet", "of another thread"))
        thread.start()
        thread.join()
    assert caplog.messages == ["of another logger", "of another thread"]


def test_the_logger_is_as_it_was_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), unlogged("quiet"):
        _ = 1 / 0
    say("quiet", "after")
    assert caplog.messages == ["after"]
    assert logging.getLogger("quiet").filters == []


def test_a_block_within_a_block_ends_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    with unlogged("quiet"):
        with unlogged("quiet"):
            say("quiet", "secret")
        say("quiet", "secret")
    assert caplog.messages == []
