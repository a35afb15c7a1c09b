"""What holds for a question unless its caller says otherwise."""

from __future__ import annotations

import os
from functools import cache

from llm_cache import CachePolicy
from llm_cache.settings import seconds_of

VARIABLE = "STALE_IF_ERROR"


@cache
def defaults() -> CachePolicy:
    """Return it; raise ``InvalidSettings`` that names the variable.

    Callers of one question at once share one call of the model. For ``STALE_IF_ERROR`` seconds
    after it has expired, an answer stands in for a model that fails.
    """
    return CachePolicy(coalesce="fleet", stale_if_error=seconds_of(os.environ, VARIABLE, 0))
