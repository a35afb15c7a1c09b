"""Variables that functions read."""

from __future__ import annotations

from collections.abc import Mapping

from llm_cache._checks import Range
from llm_cache._config.variables import Variable, as_number
from llm_cache._errors import InvalidSettings
from llm_cache._policy.ttl import seconds

WHOLE = Range("a whole number, 1 or more", least=1, whole=True)


def seconds_of(environ: Mapping[str, str], name: str, default: float) -> float:
    """Return the seconds of a variable; raise ``InvalidSettings`` that names it."""
    text = environ.get(name, "").strip()
    return float(Variable(name, as_number, seconds).read(text)) if text else default


def text_of(environ: Mapping[str, str], name: str) -> str:
    """Return the text of a variable; raise ``InvalidSettings`` if it is missing or empty."""
    text = environ.get(name, "").strip()
    if not text:
        raise InvalidSettings(name, None, "it must be set")
    return text


def whole_of(environ: Mapping[str, str], name: str, default: int | None = None) -> int:
    """Return the number, 1 or more, of a variable; raise ``InvalidSettings``."""
    text = environ.get(name, "").strip() or str(default or "")
    if not text:
        raise InvalidSettings(name, None, WHOLE.accepted)
    return int(Variable(name, as_number, WHOLE.check).read(text))
