"""Check the environment variables one by one; a ``CacheConfig`` stops at the first invalid one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from llm_cache._config.cache_config import NAMESPACE, CacheConfig
from llm_cache._doctor.finding import Finding, failed, passed
from llm_cache._errors import InvalidValue

PREFIX = "LLM_CACHE_"
# The command line and the metrics read these; CacheConfig reads the others.
OTHERS = ("LLM_CACHE_STACK", "LLM_CACHE_INPUT_PRICE", "LLM_CACHE_OUTPUT_PRICE")
VARIABLES = {each.name: each.metadata["variable"].name for each in fields(CacheConfig)}
KNOWN = (*VARIABLES.values(), *OTHERS)
SIMILAR = 0.85  # of difflib: LLM_CACHE_NAMESPCE has 0.97, UPSTASH_REDIS_TOKEN 0.88


def check_variables(
    environ: Mapping[str, str], namespace: str | None
) -> tuple[CacheConfig, list[Finding]]:
    """Return the configuration of the valid variables, and the findings on all of them.

    ``namespace`` overrides the variable. The URL, the token and the keys have checks of their own.
    """
    values, found = _read(environ)
    if namespace is not None:
        values["namespace"] = namespace
    try:
        config = CacheConfig(**values)
    except InvalidValue as error:  # two values that contradict each other, or the namespace
        found.append(_invalid(error))
        kept = values.keys() - {"ttl_floor", "ttl_ceiling", error.name}
        config = CacheConfig(**{name: values[name] for name in kept})
    found += [*_misspelled(environ), *_namespace(environ, config, found)]
    return config, found or [passed("variables", _describe(environ, config))]


def _read(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Finding]]:
    """Return the valid values by field, and a finding for each invalid one."""
    values, found = dict[str, Any](), list[Finding]()
    for each in fields(CacheConfig):
        variable = each.metadata["variable"]
        if not (text := environ.get(variable.name, "").strip()):
            continue
        try:
            values[each.name] = variable.read(text)
        except InvalidValue as error:
            found.append(_invalid(error))
    return values, found


def _invalid(error: InvalidValue) -> Finding:
    name = VARIABLES.get(error.name, error.name)
    text = str(error).removeprefix(error.name).removesuffix(f": {error.accepted}")
    return failed("variables", name + text, f"set {name} to: {error.accepted}")


def _misspelled(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the variables whose name is nearly the name of a variable that is not set."""
    for name in sorted(environ.keys() - set(KNOWN)):
        (near, *_) = [*difflib.get_close_matches(name, KNOWN, n=1, cutoff=SIMILAR), ""]
        if near and not environ.get(near, "").strip():
            yield failed("variables", f"{name} is not a variable of the cache", f"rename it {near}")


def _namespace(
    environ: Mapping[str, str], config: CacheConfig, found: list[Finding]
) -> Iterator[Finding]:
    if config.namespace is None and not any(NAMESPACE in each.text for each in found):
        state = "empty" if NAMESPACE in environ else "missing"
        remedy = (
            f"set {NAMESPACE} to the prefix of the cache's keys, which is the stack's name for a "
            f"deployed cache: export {NAMESPACE}=NAME"
        )
        yield failed("variables", f"{NAMESPACE} is {state}", remedy)


def _describe(environ: Mapping[str, str], config: CacheConfig) -> str:
    unknown = [name for name in environ if name.startswith(PREFIX) and name not in KNOWN]
    rest = f"; not of the cache: {', '.join(sorted(unknown))}" if unknown else ""
    return f"namespace {config.namespace}{rest}"
