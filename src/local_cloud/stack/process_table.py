"""Read the operating system's processes, from /proc or with `ps` (a small Linux has no `ps`)."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


def processes() -> Iterator[tuple[int, str]]:
    """Yield the id and the command line of every process."""
    if not PROC.is_dir():
        yield from _ps("-axww", "command=")
        return
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has ended
            yield int(folder.name), (folder / "cmdline").read_text(errors="replace")


def running(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    # A killed process loses its command line before it ends, so `processes` cannot tell.
    if not PROC.is_dir():
        return any(not state.startswith("Z") for _, state in _ps("-p", str(pid), "stat="))
    try:
        return "\nState:\tZ" not in (PROC / str(pid) / "status").read_text()
    except OSError:
        return False


def _ps(*arguments: str) -> list[tuple[int, str]]:
    command = ["ps", *arguments[:-1], "-o", "pid=", "-o", arguments[-1]]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = [line.split(maxsplit=1) for line in listed.splitlines()]
    return [(int(row[0]), row[1]) for row in rows if len(row) == 2]  # noqa: PLR2004
