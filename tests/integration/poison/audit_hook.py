"""The audit events of a block of code, from ``sys.addaudithook``."""

import functools
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# These neither leave the process nor compile text.
HARMLESS = {"builtins.id", "sys._getframe", "object.__getattr__", "sys.unraisablehook"}

_blocks: list[tuple[int, list[str]]] = []


@contextmanager
def audited() -> Iterator[list[str]]:
    """Collect the files, sockets, processes, imports and compiled texts of a block's thread.

    Garbage collection is off meanwhile: finalizers of other tests may open files.
    """
    _install()
    events: list[str] = []
    _blocks.append((threading.get_ident(), events))
    collects = gc.isenabled()
    gc.disable()
    try:
        yield events
    finally:
        _blocks.pop()
        if collects:
            gc.enable()


@functools.cache
def _install() -> None:
    """Install the hook once: it cannot be removed."""
    sys.addaudithook(_collect)


def _collect(event: str, arguments: tuple[object, ...]) -> None:
    if not _blocks or event in HARMLESS or _blocks[-1][0] != threading.get_ident():
        return
    if event == "compile" and arguments[1:2] == ("<unknown>",):  # ast.parse compiles nothing
        return
    _blocks[-1][1].append(f"{event} {str(arguments)[:200]}")
