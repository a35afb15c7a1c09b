"""Reading what Python's ``repr`` wrote of lists, mappings and strings."""

from __future__ import annotations

import ast
import re
from typing import Any

STRING = r"""(?<!\w)b?(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")(?!\w)"""
_TOKEN = re.compile(rf"""{STRING}|[\[({{]|[\])}}]|['"]""", re.DOTALL)
_WRAPPED = re.compile(r"\w+\(([\[{].*[\]}])(?:, encoding='[\w-]+')?\)", re.DOTALL)


def items(text: str) -> list[str]:
    """Split the repr of a list where it is a list, and not within strings or other brackets."""
    found, depth, start = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "'\"":
            raise ValueError("a quote that no string explains")
        if token[0] in "([{":
            start, depth = (token.start() if depth == 1 else start), depth + 1
        elif token[0] in ")]}":
            depth -= 1
            if depth == 1:
                found.append(text[start : token.end()])
    if text != f"[{', '.join(found)}]":
        raise ValueError("more than a list")
    return found


def is_clear(text: str) -> bool:
    """Whether strings explain all quotes; else a search from each would take quadratic time."""
    return all(token[0] not in "'\"" for token in _TOKEN.finditer(text))


def literal(text: str) -> Any:
    """Read the repr of a mapping, in a wrapper as ``httpx.Headers`` has it or in none.

    Raise ``ValueError`` if it holds other objects.
    """
    wrapped = _WRAPPED.fullmatch(text)
    try:
        return ast.literal_eval(wrapped[1] if wrapped else text)
    except (MemoryError, RecursionError, SyntaxError, TypeError) as error:
        raise ValueError("not the repr of plain values") from error
