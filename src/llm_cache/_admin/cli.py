"""The command line: ``llm-cache clear`` and ``llm-cache reclaim``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from llm_cache._admin.namespace import CacheNamespace
from llm_cache._errors import LlmCacheError
from llm_cache._protocol.clearing import Reclaimed
from llm_cache._version import __version__

COUNTING = 60.0  # seconds that a reclaim or a dry run may take, unless told


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 with the reason on stderr."""
    options = _parser().parse_args(arguments)
    try:
        namespace = CacheNamespace.from_env(namespace=options.namespace)
        run = {"clear": _clear, "reclaim": _reclaim}[options.command]
        return run(namespace, options)
    except LlmCacheError as error:
        return _failed(error)


def _failed(error: LlmCacheError) -> int:
    print(f"llm-cache: {error}", file=sys.stderr)
    return 1


def _clear(namespace: CacheNamespace, options: argparse.Namespace) -> int:
    what = _what(namespace, options)
    if options.dry_run:
        seconds = options.reclaim or COUNTING
        done = namespace.preview(options.tag, tenant=options.tenant, seconds=seconds)
        return _told(f"dry run: a clear of {what} would leave to reclaim", done)
    namespace.clear(options.tag, tenant=options.tenant)
    print(f"cleared {what}")
    if options.reclaim:
        return _told("reclaimed", namespace.reclaim(seconds=options.reclaim))
    return 0


def _reclaim(namespace: CacheNamespace, options: argparse.Namespace) -> int:
    done = namespace.reclaim(
        seconds=options.seconds, cursor=options.cursor, dry_run=options.dry_run
    )
    return _told("dry run: would reclaim" if options.dry_run else "reclaimed", done)


def _told(what: str, done: Reclaimed) -> int:
    rest = "" if done.complete else f"; continue with: llm-cache reclaim --cursor {done.cursor}"
    print(f"{what} {done.removed} of {done.scanned} entries{rest}")
    return _failed(done.failure) if done.failure else 0


def _what(namespace: CacheNamespace, options: argparse.Namespace) -> str:
    named = [(kind, getattr(options, kind)) for kind in ("tag", "tenant")]
    told = [f"{kind} {name} of " for kind, name in named if name is not None]
    return "".join(told) + namespace.name


def _cursor(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number that a reclaim has printed")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("llm-cache", description="Operate a cache of model answers.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, dest="command")
    clear = commands.add_parser("clear", help="make every answer of a namespace a miss")
    one = clear.add_mutually_exclusive_group()
    one.add_argument("--tag", metavar="NAME", help="only those under this tag")
    one.add_argument("--tenant", metavar="NAME", help="only those of this tenant")
    clear.add_argument(
        "--reclaim", type=float, default=0, metavar="SECONDS", help="then free memory for that long"
    )
    reclaim = commands.add_parser("reclaim", help="free the memory of cleared answers")
    reclaim.add_argument(
        "--seconds", type=float, default=COUNTING, help="for that long; default: %(default)g"
    )
    reclaim.add_argument(
        "--cursor", type=_cursor, default="0", help="continue where a reclaim stopped"
    )
    for command, most in ((clear, f"--reclaim or {COUNTING:g}"), (reclaim, "--seconds")):
        command.add_argument(
            "--namespace", metavar="NAME", help="in place of the one in LLM_CACHE_NAMESPACE"
        )
        counting = f"change nothing; count, for {most} seconds, what would be freed"
        command.add_argument("--dry-run", action="store_true", help=counting)
    return parser
