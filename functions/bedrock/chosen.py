"""Which model it is, and how much it may say, as the environment has it; imports no client."""

from __future__ import annotations

import os

from llm_cache._config.settings import text_of, whole_of

MODEL_ID, MAX_TOKENS = "MODEL_ID", "MODEL_MAX_TOKENS"


def model_id() -> str:
    """Return the id of the model, or of an inference profile; raise ``InvalidSettings``."""
    return text_of(os.environ, MODEL_ID)


def max_tokens() -> int:
    """Return the most tokens of an answer; raise ``InvalidSettings``."""
    return whole_of(os.environ, MAX_TOKENS)
