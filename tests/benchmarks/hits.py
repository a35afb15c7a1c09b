"""The cost of a hit and of a miss, with other caches and the bare client as comparison."""

import tempfile
from collections.abc import Sequence

from langchain_core.outputs import Generation
from tests.benchmarks.answers import ANSWER, TEXT, chat
from tests.benchmarks.client_process import Setup
from tests.benchmarks.interleaved import Case, interleave, table
from tests.benchmarks.peers import Peers, hit, litellm_answer, litellm_call
from tests.benchmarks.tables import Table

ROUNDS = 400
BARE = "bare GET (upstash-redis)"
RAW = "raw socket GET (the floor)"
JSON_NOTE = "langchain-redis stores with JSON.SET. Valkey has no JSON, so its client uses SET here."


def measure(setup: Setup) -> list[Table]:
    with tempfile.TemporaryDirectory() as folder:
        peers, rounds = Peers(setup, folder), setup.rounds(ROUNDS)
        hits = interleave(_hits(peers, "short", TEXT, ANSWER), rounds, setup.meter)
        misses = interleave(_misses(peers), rounds, setup.meter)
        chats = interleave(_hits(peers, "chat", chat()[0].text, chat()), rounds, setup.meter)
    return [
        table("A hit, 500 bytes of text", hits, note=JSON_NOTE),
        table("A miss", misses, plot=""),
        table("A hit, chat answer of 2 KB with a tool call", chats, plot=""),
    ]


def _hits(peers: Peers, prompt: str, text: str, answer: Sequence[Generation]) -> list[Case]:
    """Return the hits of one answer; the replaced class stores no chat answers."""
    peers.bare.set(prompt, text)
    calls = [{"id": "call-1", "type": "function", "function": {"name": "weather"}}]
    completion = litellm_answer(text, **({} if answer is ANSWER else {"tool_calls": calls}))
    peers.litellm.add_cache(completion, **litellm_call(prompt))

    def litellm(_: str) -> None:
        assert peers.litellm.get_cache(**litellm_call(prompt))

    cases = [
        Case(RAW, lambda _: peers.raw.get(prompt), BARE),
        Case(BARE, lambda _: peers.bare.get(prompt)),
    ]
    for name, cache in peers.caches.items():
        if answer is ANSWER or name != "replaced class":
            cache.update(prompt, "model", answer)
            cases.append(Case(name, hit(cache, prompt), BARE))
    return [*cases, Case("LiteLLM (TCP)", litellm, BARE)]


def _misses(peers: Peers) -> list[Case]:
    cases = [Case(BARE, peers.bare.get)]
    cases += [
        Case(name, lambda key, cache=cache: cache.lookup(key, "model"), BARE)  # type: ignore[misc]
        for name, cache in peers.caches.items()
    ]
    miss = Case("LiteLLM (TCP)", lambda key: peers.litellm.get_cache(**litellm_call(key)), BARE)
    return [*cases, miss]
