"""The model's id and token limit from the environment. Imports no client."""

from __future__ import annotations

from bedrock import env

MODEL_ID, MAX_TOKENS = "MODEL_ID", "MODEL_MAX_TOKENS"


def model_id() -> str:
    """Return the id of the model or inference profile; raise ``InvalidSettings``."""
    return env.text(MODEL_ID)


def max_tokens() -> int:
    """Return the maximum output tokens of one answer; raise ``InvalidSettings``."""
    return env.whole_number(MAX_TOKENS)
