"""The parts of the benchmarks: heading, module, and the process that measures."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Where(Enum):
    """The process that measures a part."""

    HERE = "here"
    CLIENT = "client"
    """A client process in this environment; an endpoint is started for it."""
    PEERS = "peers"
    """A client process in the peers' environment; an endpoint is started for it."""


@dataclass(frozen=True)
class Part:
    """A part; ``module`` defines its ``measure``."""

    heading: str
    module: str
    where: Where = Where.HERE


PARTS: Mapping[str, Part] = {
    "hits": Part("Hits and misses", "hits", Where.PEERS),
    "sizes": Part("Hits by size", "hit_sizes", Where.PEERS),
    "async": Part("Asynchronous hits", "async_hits", Where.CLIENT),
    "stores": Part("Stores", "stores", Where.CLIENT),
    "stampede": Part("A stampede", "stampede", Where.CLIENT),
    "faults": Part("When Upstash fails", "faults", Where.CLIENT),
    "clear": Part("Clear", "clear"),
    "cold": Part("Cold starts", "cold_starts"),
    "imports": Part("Imports", "imports"),
    "layer": Part("Size of the layer", "package_sizes"),
    "throughput": Part("Throughput", "throughput", Where.CLIENT),
    "at_rest": Part("Signed and encrypted entries", "entry_protection", Where.CLIENT),
    "suites": Part("LangChain's cache suites", "cache_suites"),
}


class UnknownPart(ValueError):
    """ONLY names a part that does not exist."""


def chosen(only: str) -> list[str]:
    """Return the parts in ``only``, separated by commas or spaces; all parts if it is empty.

    Raise ``UnknownPart``, which lists the parts.
    """
    names = only.replace(",", " ").split()
    if unknown := [name for name in names if name not in PARTS]:
        known = ", ".join(PARTS)
        raise UnknownPart(f"ONLY: no part is called {', '.join(unknown)}. The parts: {known}.")
    return [name for name in PARTS if name in names or not names]
