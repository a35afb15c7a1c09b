"""The command line: ``llm-cache clear`` and ``llm-cache reclaim``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from llm_cache._admin.namespace import CacheNamespace
from llm_cache._errors import LlmCacheError
from llm_cache._protocol.clearing import Reclaimed
from llm_cache._version import __version__

DEFAULT_SECONDS = 60.0  # of a reclaim or a dry run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 1 with the error on stderr."""
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
    names = [(kind, getattr(options, kind)) for kind in ("tag", "tenant")]
    target = "".join(f"{kind} {name} of " for kind, name in names if name is not None)
    target += namespace.name
    if options.dry_run:
        seconds = options.reclaim or DEFAULT_SECONDS
        done = namespace.preview(options.tag, tenant=options.tenant, seconds=seconds)
        return _print_reclaimed(f"dry run: a clear of {target} would let reclaim free", done)
    namespace.clear(options.tag, tenant=options.tenant)
    print(f"cleared {target}")
    if options.reclaim:
        return _print_reclaimed("reclaimed", namespace.reclaim(seconds=options.reclaim))
    return 0


def _reclaim(namespace: CacheNamespace, options: argparse.Namespace) -> int:
    done = namespace.reclaim(
        seconds=options.seconds, cursor=options.cursor, dry_run=options.dry_run
    )
    return _print_reclaimed("dry run: would reclaim" if options.dry_run else "reclaimed", done)


def _print_reclaimed(action: str, done: Reclaimed) -> int:
    rest = "" if done.complete else f"; continue with: llm-cache reclaim --cursor {done.cursor}"
    print(f"{action} {done.removed} of {done.scanned} entries{rest}")
    return _failed(done.failure) if done.failure else 0


def _cursor(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a cursor that a reclaim has printed")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("llm-cache", description="Operate a cache of model answers.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, dest="command")
    clear = commands.add_parser("clear", help="make every answer of a namespace a miss")
    target = clear.add_mutually_exclusive_group()
    target.add_argument("--tag", metavar="NAME", help="clear only answers with this tag")
    target.add_argument("--tenant", metavar="NAME", help="clear only answers of this tenant")
    after = "then free the memory of cleared answers, for at most SECONDS"
    clear.add_argument("--reclaim", type=float, default=0, metavar="SECONDS", help=after)
    reclaim = commands.add_parser("reclaim", help="free the memory of cleared answers")
    limit = "time limit; default: %(default)g"
    reclaim.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, help=limit)
    resume = "continue an unfinished reclaim from the cursor that it printed"
    reclaim.add_argument("--cursor", type=_cursor, default="0", help=resume)
    for command, seconds in ((clear, f"--reclaim or {DEFAULT_SECONDS:g}"), (reclaim, "--seconds")):
        name = "use this namespace instead of LLM_CACHE_NAMESPACE"
        command.add_argument("--namespace", metavar="NAME", help=name)
        count = f"change nothing; count, for at most {seconds} seconds, the entries to free"
        command.add_argument("--dry-run", action="store_true", help=count)
    return parser
