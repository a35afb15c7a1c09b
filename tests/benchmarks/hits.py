"""What a hit and a miss cost in CPU and time, beside other caches and the bare client."""

import tempfile
from collections.abc import Sequence

from langchain_core.outputs import Generation
from tests.benchmarks.answers import ANSWER, TEXT, chat
from tests.benchmarks.apart import At
from tests.benchmarks.peers import Peers, found, litellm_answer, litellm_call
from tests.benchmarks.tables import Table
from tests.benchmarks.turns import Case, in_turns, table

ROUNDS = 400
BARE = "bare GET (upstash-redis)"
RAW = "raw socket GET (the floor)"
JSON = (
    "langchain-redis stores by JSON.SET; its client maps that to SET here, as Valkey has no JSON."
)


def measure(at: At) -> list[Table]:
    """Measure hits of 500 bytes, misses, and hits of a chat answer."""
    with tempfile.TemporaryDirectory() as folder:
        peers, rounds = Peers(at, folder), at.rounds(ROUNDS)
        hits = in_turns(of_hits(peers, "short", TEXT, ANSWER), rounds, at.meter)
        misses = in_turns(of_misses(peers), rounds, at.meter)
        chats = in_turns(of_hits(peers, "chat", chat()[0].text, chat()), rounds, at.meter)
    return [
        table("A hit, 500 bytes of text", hits, note=JSON),
        table("A miss", misses, plot=""),
        table("A hit, chat answer of 2 KB with a tool call", chats, plot=""),
    ]


def of_hits(peers: Peers, prompt: str, text: str, answer: Sequence[Generation]) -> list[Case]:
    """Return the hits of one answer; the replaced class stores no chat answers."""
    peers.bare.set(prompt, text)
    calls = [{"id": "call-1", "type": "function", "function": {"name": "weather"}}]
    told = litellm_answer(text, **({} if answer is ANSWER else {"tool_calls": calls}))
    peers.litellm.add_cache(told, **litellm_call(prompt))

    def litellm(_: str) -> None:
        assert peers.litellm.get_cache(**litellm_call(prompt))

    cases = [
        Case(RAW, lambda _: peers.raw.get(prompt), BARE),
        Case(BARE, lambda _: peers.bare.get(prompt)),
    ]
    for name, cache in peers.caches.items():
        if answer is ANSWER or name != "replaced class":
            cache.update(prompt, "model", answer)
            cases.append(Case(name, found(cache, prompt), BARE))
    return [*cases, Case("LiteLLM (TCP)", litellm, BARE)]


def of_misses(peers: Peers) -> list[Case]:
    """Return the misses; each asks for a key of its own."""
    cases = [Case(BARE, peers.bare.get)]
    cases += [
        Case(name, lambda key, cache=cache: cache.lookup(key, "model"), BARE)  # type: ignore[misc]
        for name, cache in peers.caches.items()
    ]
    miss = Case("LiteLLM (TCP)", lambda key: peers.litellm.get_cache(**litellm_call(key)), BARE)
    return [*cases, miss]
