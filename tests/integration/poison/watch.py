"""What the interpreter itself says that a block of code did: ``sys.addaudithook``."""

import functools
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Neither touches anything outside the process, nor makes code of text.
HARMLESS = {"builtins.id", "sys._getframe", "object.__getattr__", "sys.unraisablehook"}

_watching: list[tuple[int, list[str]]] = []


@contextmanager
def watched() -> Iterator[list[str]]:
    """Note files, sockets, processes, imports and compiled text of a block, in this thread.

    No garbage is collected meanwhile: what other tests left may touch files as it goes.
    """
    _install()
    events: list[str] = []
    _watching.append((threading.get_ident(), events))
    collects = gc.isenabled()
    gc.disable()
    try:
        yield events
    finally:
        _watching.pop()
        if collects:
            gc.enable()


@functools.cache
def _install() -> None:
    """Hook in once: Python has no way to take a hook out again."""
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    literal = event == "compile" and arguments[1:2] == ("<unknown>",)  # ast.parse: no code is made
    if (
        _watching
        and event not in HARMLESS
        and not literal
        and _watching[-1][0] == threading.get_ident()
    ):
        _watching[-1][1].append(f"{event} {str(arguments)[:200]}")
