"""The command line: ``llm-cache clear``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from llm_cache._version import __version__
from llm_cache.clearing import Reclaimed
from llm_cache.errors import LlmCacheError
from llm_cache.namespace import CacheNamespace

COUNTING = 60.0  # seconds that a dry run may count for, unless told


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 with the reason on stderr."""
    options = _parser().parse_args(arguments)
    try:
        namespace = CacheNamespace.from_env(namespace=options.namespace)
        if options.dry_run:
            return _preview(namespace, options, options.reclaim or COUNTING)
        return _clear(namespace, options)
    except LlmCacheError as error:
        print(f"llm-cache: {error}", file=sys.stderr)
        return 1


def _clear(namespace: CacheNamespace, options: argparse.Namespace) -> int:
    namespace.clear(options.tag, tenant=options.tenant)
    print(f"cleared {_what(namespace, options)}")
    if options.reclaim:
        print(f"reclaimed {_counted(namespace.reclaim(seconds=options.reclaim))}")
    return 0


def _preview(namespace: CacheNamespace, options: argparse.Namespace, seconds: float) -> int:
    done = namespace.preview(options.tag, tenant=options.tenant, seconds=seconds)
    what = _what(namespace, options)
    print(f"dry run: a clear of {what} would leave to reclaim {_counted(done)}")
    return 0


def _what(namespace: CacheNamespace, options: argparse.Namespace) -> str:
    named = [(kind, getattr(options, kind)) for kind in ("tag", "tenant")]
    told = [f"{kind} {name} of " for kind, name in named if name is not None]
    return "".join(told) + namespace.name


def _counted(done: Reclaimed) -> str:
    rest = "" if done.complete else ", more are left"
    return f"{done.removed} of {done.scanned} entries{rest}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("llm-cache", description="Operate a cache of model answers.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True)
    clear = commands.add_parser("clear", help="make every answer of a namespace a miss")
    clear.add_argument(
        "--namespace", metavar="NAME", help="in place of the one that LLM_CACHE_NAMESPACE names"
    )
    one = clear.add_mutually_exclusive_group()
    one.add_argument("--tag", metavar="NAME", help="only those under this tag")
    one.add_argument("--tenant", metavar="NAME", help="only those of this tenant")
    clear.add_argument(
        "--reclaim", type=float, default=0, metavar="SECONDS", help="then free memory for that long"
    )
    clear.add_argument(
        "--dry-run",
        action="store_true",
        help=f"change nothing; count, for --reclaim or {COUNTING:.0f} seconds, what would be freed",
    )
    return parser
