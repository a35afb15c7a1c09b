"""The measured answers: texts of several sizes, and a chat answer with a tool call."""

import random

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

TEXT = ("The capital of France is Paris. " * 16)[:500]
ANSWER = [Generation(text=TEXT)]


def prose(length: int, seed: int = 0) -> str:
    """Return text that compresses about as well as model answers."""
    chosen = random.Random(seed)
    words = [chosen.randbytes(chosen.randrange(1, 4)).hex() for _ in range(400)]
    return " ".join(chosen.choice(words) for _ in range(length // 2 + 1))[:length]


def chat() -> list[ChatGeneration]:
    """Return an answer of 2 KB with a tool call and token counts."""
    message = AIMessage(
        prose(2000),
        id="run-1",
        tool_calls=[{"name": "weather", "args": {"city": "Paris", "days": 3}, "id": "call-1"}],
        usage_metadata={"input_tokens": 250, "output_tokens": 450, "total_tokens": 700},
        response_metadata={"stop_reason": "tool_use", "model_name": "model"},
    )
    return [ChatGeneration(message=message)]
