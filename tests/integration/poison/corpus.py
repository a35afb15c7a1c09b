"""Well-formed inputs for the mutations: entries, requests, events and headers."""

import json
from typing import Any

from langchain_core.language_models import FakeListChatModel
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation
from tests.integration.poison.canned_store import CannedStore
from tests.unit.langchain.generations import ANSWERS

from llm_cache import CachePolicy, UpstashRedisCache
from llm_cache._entries.protection import Protection

NOW = 1_000_000.0
PROMPT, SETTINGS = "p", "model"
PROSE: list[Generation] = [Generation(text="The capital of France is Paris. " * 100)]
PARSED: list[Generation] = [
    ChatGeneration(message=AIMessage("{}", additional_kwargs={"parsed": {"name": "Ada"}}))
]
LEFT_OUT = {"several choices"}  # the longest; each of its choices is in another answer


def entries(protection: Protection | None) -> list[str]:
    """Return entries of every kind of answer to one request, with and without tags."""
    store = CannedStore()
    cache = UpstashRedisCache(
        store, namespace="n", protection=protection, do_not_store=[], clock=lambda: NOW, ttl=1000
    )
    answers = [answer for name, answer in ANSWERS.items() if name not in LEFT_OUT]
    for answer in (*answers, PROSE, PARSED):
        for policy in (CachePolicy(), CachePolicy(tags=["red", "blue"])):
            with cache.policy(policy):
                cache.lookup(PROMPT, SETTINGS)
                cache.update(PROMPT, SETTINGS, answer)
    assert len(store.stored) == 2 * len(answers) + 4
    return store.stored


CALL: Any = {"name": "f", "args": {"city": "Zürich", "n": [1, 1.5]}, "id": "call_1"}
OWN = "lc_00000000-0000-0000-0000-000000000000"
PROMPTS = (
    "Human: hi",
    "",
    "[{not json",
    dumps([HumanMessage("hi")]),
    dumps([
        SystemMessage("Be brief."),
        HumanMessage([{"type": "text", "text": "hi", "id": OWN}, {"type": "image", "url": "u"}]),
        HumanMessage("hi", name="bob"),
        AIMessage("", tool_calls=[CALL], response_metadata={"model_name": "m"}),
        ToolMessage("7", tool_call_id="call_1", artifact={"a": 1}),
        AIMessage([{"type": "tool_use", "id": "call_1", "name": "f", "input": {}}], id="run-1"),
    ]),
)  # fmt: skip


def _settings() -> tuple[str, ...]:
    model = FakeListChatModel(responses=["a"])
    plain = model._get_llm_string(stop=["'", '"'], timeout=5, tools=[{"name": "f"}])
    made: Any = {"lc": 1, "type": "constructor", "id": ["m", "Chat"], "name": "Chat"}
    secret = {"lc": 1, "type": "secret", "id": ["KEY"]}
    hook = {"lc": 1, "type": "not_implemented", "id": ["m"], "repr": "<function f at 0x7f>"}
    sent = {"x-tier": "free", "traceparent": "00-1", "Authorization": "Bearer a"}
    kwargs = {"model": "m", "timeout": 5, "api_key": secret, "hook": hook, "default_headers": sent}
    text = json.dumps({**made, "kwargs": kwargs}, sort_keys=True)
    classes = f"[('f', <function a.b at 0x1>), ('s', {HumanMessage!r})]"
    headers = f"[('extra_headers', {sent})]"
    return plain, f"{text}---[('stop', None)]", classes, headers, "[]", ""


LLM_STRINGS = _settings()

EVENT = json.dumps({
    "ttl": 60, "max_age": 5, "min_fresh": 1, "max_stale": 7, "stale_if_error": 3600, "salt": "s",
    "mode": "refresh", "coalesce": "process", "tags": ["a", "b"],
})  # fmt: skip
HEADERS = (
    "max-age=60, no-cache",
    'max-stale, min-fresh="5", only-if-cached',
    'stale-if-error=3600,no-store,, x="a\\"b" , MAX-AGE=1',
    "",
)
