"""Keep what one call brings out of the debug log of the client that makes it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unlogged(*names: str) -> Iterator[None]:
    """Have these loggers drop what this thread says inside the block; nothing else of theirs.

    A filter holds for the very logger it is put on, and not for those below it.
    """
    mine = threading.get_ident()
    loggers = [logging.getLogger(name) for name in names]

    def of_another(_: logging.LogRecord) -> bool:
        return threading.get_ident() != mine

    for logger in loggers:
        logger.addFilter(of_another)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(of_another)
