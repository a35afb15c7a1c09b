"""Ask questions at the terminal."""

import getpass
import sys


def interactive() -> bool:
    """Return whether stdin is a terminal."""
    return sys.stdin.isatty()


def ask(question: str) -> str:
    """Ask and return the typed answer."""
    return input(f"{question}: ").strip()


def ask_secret(question: str) -> str:
    """Ask and return the answer, which the terminal does not show."""
    return getpass.getpass(f"{question}: ").strip()


def confirm(question: str) -> bool:
    """Ask on stderr, apart from results, and return whether the answer is yes."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        raise EOFError
    return answer.strip().lower() in {"y", "yes"}
