"""Parse the ``repr`` text of lists, mappings and strings."""

from __future__ import annotations

import ast
import re
from typing import Any

STRING = r"""(?<!\w)b?(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")(?!\w)"""
_TOKEN = re.compile(rf"""{STRING}|[\[({{]|[\])}}]|['"]""", re.DOTALL)
_WRAPPED = re.compile(r"\w+\(([\[{].*[\]}])(?:, encoding='[\w-]+')?\)", re.DOTALL)


def list_items(text: str) -> list[str]:
    """Return the text of each bracketed item of a list; raise ``ValueError`` for other text."""
    found, depth, start = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "'\"":
            raise ValueError("a quote outside a string")
        if token[0] in "([{":
            start, depth = (token.start() if depth == 1 else start), depth + 1
        elif token[0] in ")]}":
            depth -= 1
            if depth == 1:
                found.append(text[start : token.end()])
    if text != f"[{', '.join(found)}]":
        raise ValueError("not a list of bracketed items")
    return found


def has_closed_strings(text: str) -> bool:
    """Return whether each quote belongs to a string; else searches would take quadratic time."""
    return all(token[0] not in "'\"" for token in _TOKEN.finditer(text))


def parse_literal(text: str) -> Any:
    """Return the value of a ``repr``, also inside a wrapper such as ``httpx.Headers``.

    Raise ``ValueError`` if it holds other objects than plain values.
    """
    wrapped = _WRAPPED.fullmatch(text)
    try:
        return ast.literal_eval(wrapped[1] if wrapped else text)
    except (MemoryError, RecursionError, SyntaxError, TypeError) as error:
        raise ValueError("not the repr of plain values") from error
