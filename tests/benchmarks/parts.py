"""The parts of the benchmarks: what each is called, where it is measured, and its heading."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Where(Enum):
    """The process that measures a part."""

    HERE = "here"
    CLIENT = "client"
    """A client process of this environment, beside an endpoint."""
    PEERS = "peers"
    """A client process of the peers' environment, beside an endpoint."""


@dataclass(frozen=True)
class Part:
    """A part; ``module`` has its ``measure``."""

    heading: str
    module: str
    where: Where = Where.HERE


PARTS: Mapping[str, Part] = {
    "hits": Part("Hits and misses", "hits", Where.PEERS),
    "sizes": Part("Hits by size", "sizes", Where.PEERS),
    "async": Part("Asynchronous hits", "asynchronous", Where.CLIENT),
    "stores": Part("Stores", "stores", Where.CLIENT),
    "stampede": Part("A stampede", "stampede", Where.CLIENT),
    "faults": Part("When Upstash fails", "faults", Where.CLIENT),
    "clear": Part("Clear", "clear"),
    "cold": Part("Cold starts", "cold"),
    "imports": Part("Imports", "imports"),
    "layer": Part("Size of the layer", "layer"),
    "throughput": Part("Throughput", "throughput", Where.CLIENT),
    "at_rest": Part("Signed and encrypted entries", "at_rest", Where.CLIENT),
    "suites": Part("LangChain's cache suites", "suites"),
}


class UnknownPart(ValueError):
    """A name in ONLY that no part has."""


def chosen(only: str) -> list[str]:
    """Return the parts that ``only`` names, by commas or spaces; all of them if it is empty.

    Raises ``UnknownPart``, which lists the parts.
    """
    names = only.replace(",", " ").split()
    if unknown := [name for name in names if name not in PARTS]:
        known = ", ".join(PARTS)
        raise UnknownPart(f"ONLY: no part is called {', '.join(unknown)}. The parts: {known}.")
    return [name for name in PARTS if name in names or not names]
