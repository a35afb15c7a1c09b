"""The cost of a hit by the size of the answer."""

import tempfile

from langchain_core.outputs import Generation
from tests.benchmarks.answers import prose
from tests.benchmarks.client_process import Setup
from tests.benchmarks.hits import JSON_NOTE
from tests.benchmarks.interleaved import Case, interleave, table
from tests.benchmarks.peers import Peers, hit
from tests.benchmarks.tables import Table

ROUNDS = 200
SIZES = (200, 2_000, 20_000, 200_000)
PEERS = ("this library", "replaced class", "langchain-redis (TCP)", "SQLiteCache")


def measure(setup: Setup) -> list[Table]:
    with tempfile.TemporaryDirectory() as folder:
        peers = Peers(setup, folder)
        cases = [case for size in SIZES for case in _cases(peers, size)]
        interleave(cases, setup.rounds(ROUNDS), setup.meter)
    return [table("A hit, by size of the answer", cases, note=JSON_NOTE)]


def _cases(peers: Peers, size: int) -> list[Case]:
    text, prompt, bare = prose(size), f"of {size}", f"bare GET, {size:,} bytes"
    peers.bare.set(prompt, text)
    cases = [Case(bare, lambda _: peers.bare.get(prompt))]
    for name in PEERS:
        peers.caches[name].update(prompt, "model", [Generation(text=text)])
        cases.append(Case(f"{name}, {size:,} bytes", hit(peers.caches[name], prompt), bare))
    return cases
