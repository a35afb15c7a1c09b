"""The command line: ``llm-cache clear``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from llm_cache._version import __version__
from llm_cache.errors import LlmCacheError
from llm_cache.namespace import CacheNamespace


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 with the reason on stderr."""
    options = _parser().parse_args(arguments)
    try:
        return _clear(options.reclaim)
    except LlmCacheError as error:
        print(f"llm-cache: {error}", file=sys.stderr)
        return 1


def _clear(seconds: float) -> int:
    namespace = CacheNamespace.from_env()
    namespace.clear()
    print(f"cleared {namespace.name}")
    if seconds:
        done = namespace.reclaim(seconds=seconds)
        rest = "" if done.complete else ", more are left"
        print(f"reclaimed {done.removed} of {done.scanned} entries{rest}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("llm-cache", description="Operate a cache of model answers.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True)
    clear = commands.add_parser("clear", help="make every answer of LLM_CACHE_NAMESPACE a miss")
    clear.add_argument(
        "--reclaim", type=float, default=0, metavar="SECONDS", help="then free memory for that long"
    )
    return parser
