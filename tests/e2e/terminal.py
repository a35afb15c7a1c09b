"""Run a command as a person does at a terminal, or as a workflow does without one."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CTRL_C = "\x03"
# The first program of a session takes the terminal, so that Ctrl-C reaches all that it starts.
TAKES_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and all that it printed."""

    status: int
    said: str


def without_terminal(argv: Sequence[str], env: Mapping[str, str], folder: str) -> Done:
    """Run a command with nobody to ask."""
    done = subprocess.run(
        argv,
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout)


def at_terminal(
    argv: Sequence[str],
    env: Mapping[str, str],
    folder: str,
    *,
    types: Sequence[tuple[str, str]],
) -> Done:
    """Run a command at a terminal; ``types`` says after which words what is typed, in order."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TAKES_TERMINAL, *argv],
        env=env,
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    with contextlib.closing(_Screen(ours, list(types))) as screen:
        screen.attend()
    return Done(process.wait(), screen.said)


@dataclass(slots=True)
class _Screen:
    terminal: int
    types: list[tuple[str, str]]
    said: str = ""
    _read: int = field(default=0)

    def attend(self) -> None:
        """Read until the program has closed the terminal, and type when it is time."""
        with contextlib.suppress(OSError):  # Linux says so when nobody has it open any more
            while data := os.read(self.terminal, 65536):
                self.said += data.decode(errors="replace")
                self._type()

    def _type(self) -> None:
        while self.types and (at := self.said.find(self.types[0][0], self._read)) >= 0:
            self._read = at + len(self.types[0][0])
            _, typed = self.types.pop(0)
            os.write(self.terminal, typed.encode())

    def close(self) -> None:
        os.close(self.terminal)
