"""Questions to the person at the terminal, where there is one."""

from __future__ import annotations

import getpass
import sys


def present() -> bool:
    """Return whether somebody can be asked."""
    return sys.stdin.isatty()


def typed(question: str) -> str:
    """Return what is typed, shown as it is typed."""
    return input(f"{question}: ").strip()


def typed_unseen(question: str) -> str:
    """Return what is typed, a secret that the terminal does not show."""
    return getpass.getpass(f"{question}: ").strip()


def confirmed(question: str) -> bool:
    """Return whether the answer is yes; anything else is no."""
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
