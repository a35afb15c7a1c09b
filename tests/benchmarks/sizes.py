"""What a hit costs by the size of the answer."""

import tempfile

from langchain_core.outputs import Generation
from tests.benchmarks.answers import prose
from tests.benchmarks.apart import At
from tests.benchmarks.hits import JSON
from tests.benchmarks.peers import Peers, found
from tests.benchmarks.tables import Table
from tests.benchmarks.turns import Case, in_turns, table

ROUNDS = 200
SIZES = (200, 2_000, 20_000, 200_000)
PEERS = ("this library", "replaced class", "langchain-redis (TCP)", "SQLiteCache")


def measure(at: At) -> list[Table]:
    """Measure hits of each size, all in turns."""
    with tempfile.TemporaryDirectory() as folder:
        peers = Peers(at, folder)
        cases = [case for size in SIZES for case in of_size(peers, size)]
        in_turns(cases, at.rounds(ROUNDS), at.meter)
    return [table("A hit, by the bytes of the answer", cases, note=JSON)]


def of_size(peers: Peers, size: int) -> list[Case]:
    """Return the hits of an answer of ``size`` bytes."""
    text, prompt, bare = prose(size), f"of {size}", f"bare GET, {size:,} bytes"
    peers.bare.set(prompt, text)
    cases = [Case(bare, lambda _: peers.bare.get(prompt))]
    for name in PEERS:
        peers.caches[name].update(prompt, "model", [Generation(text=text)])
        cases.append(Case(f"{name}, {size:,} bytes", found(peers.caches[name], prompt), bare))
    return cases
