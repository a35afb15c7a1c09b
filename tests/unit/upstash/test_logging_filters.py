"""A block that silences loggers: of this thread, only the named ones, only inside it."""

import logging
import threading

import pytest

from llm_cache._upstash.logging_filters import silence_loggers


def log(name: str, text: str) -> None:
    logging.getLogger(name).debug(text)


@pytest.fixture(autouse=True)
def _debug(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("silent", "other"):
        caplog.set_level("DEBUG", logger=name)


def test_only_records_of_this_thread_inside_the_block_are_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with silence_loggers("silent"):
        with silence_loggers("silent"):
            log("silent", "secret")
        log("silent", "secret")
        log("other", "of another logger")
        thread = threading.Thread(target=log, args=("silent", "of another thread"))
        thread.start()
        thread.join()
    log("silent", "after")
    assert caplog.messages == ["of another logger", "of another thread", "after"]


def test_failed_block_leaves_no_filter() -> None:
    with pytest.raises(ZeroDivisionError), silence_loggers("silent", "other"):
        _ = 1 / 0
    assert logging.getLogger("silent").filters == logging.getLogger("other").filters == []
