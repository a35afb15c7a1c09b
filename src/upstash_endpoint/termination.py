"""Let a signal that ends the program run its cleanup."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)  # Python raises KeyboardInterrupt for SIGINT


@contextlib.contextmanager
def signals_exit() -> Iterator[None]:
    """Raise SystemExit, with status 128 + n, on SIGTERM and SIGHUP during the block.

    Does nothing outside the main thread, which alone may handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, _exit) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _exit(signum: int, _: FrameType | None) -> None:
    sys.exit(128 + signum)
