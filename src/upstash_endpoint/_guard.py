"""Run a program, and end it when the parent process ends.

    python -I -S _guard.py GRACE_SECONDS PROGRAM [ARGUMENT ...]    (stdin: a socket to the parent)

The kernel closes the parent's end of the socket however the parent ends, even after a SIGKILL; then
this process stops the program. (Linux's PR_SET_PDEATHSIG watches the thread that forked, not the
process, and macOS has none.) Each byte from the parent is the number of a signal: it is sent to the
program and echoed to the parent.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType


def main(grace: float, argv: list[str]) -> int:
    """Run the program to its end; return its exit status, 128 + n when signal n ended it."""
    try:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as error:
        sys.stderr.write(f"cannot run {argv[0]}: {error.strerror}\n")
        return 127

    def stop(*_: int | FrameType | None) -> None:
        threading.Thread(target=_stop, args=(child.pid, grace), daemon=True).start()

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, stop)
    threading.Thread(target=_relay_signals, args=(child.pid, grace), daemon=True).start()
    status = child.wait()
    _signal(child.pid, signal.SIGKILL)  # processes that the child started and did not end
    return status if status >= 0 else 128 - status


def _relay_signals(group: int, grace: float) -> None:
    while signum := os.read(0, 1):
        _signal(group, signum[0])
        os.write(0, signum)
    _stop(group, grace)


def _stop(group: int, grace: float) -> None:
    _signal(group, signal.SIGTERM)
    _signal(group, signal.SIGCONT)  # a stopped process would not see SIGTERM
    time.sleep(grace)
    _signal(group, signal.SIGKILL)


def _signal(group: int, signum: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, signum)


if __name__ == "__main__":
    code = main(float(sys.argv[1]), sys.argv[2:])
    sys.stderr.flush()
    os._exit(code)  # the threads may still be waiting
