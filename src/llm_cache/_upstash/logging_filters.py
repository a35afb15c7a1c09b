"""Silence loggers while a library would log a secret."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silence_loggers(*names: str) -> Iterator[None]:
    """Drop what this thread logs to the named loggers inside the block.

    Their child loggers and other threads still log.
    """
    silenced = threading.get_ident()
    loggers = [logging.getLogger(name) for name in names]

    def is_of_another_thread(_: logging.LogRecord) -> bool:
        return threading.get_ident() != silenced

    for logger in loggers:
        logger.addFilter(is_of_another_thread)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_of_another_thread)
