"""The public names of the library: which they are, their docstrings, and their use on the pages."""

import os
import re
import subprocess
import sys

import pytest
from tests.repository.pages import PAGES, text_of

import llm_cache

NAMES = [
    "Breaker",
    "CacheConfig",
    "CacheMetrics",
    "CacheMiss",
    "CacheNamespace",
    "CachePolicy",
    "Circuit",
    "CircuitOpen",
    "Coalesce",
    "Encryption",
    "ForgedEntry",
    "InvalidPolicy",
    "InvalidSettings",
    "LlmCacheError",
    "MemoryTier",
    "Mode",
    "Outcome",
    "Reason",
    "Reclaimed",
    "Report",
    "ResponseCache",
    "Signing",
    "Status",
    "StoreError",
    "StoreGarbled",
    "StoreRefused",
    "StoreTimeout",
    "StoreUnavailable",
    "Uncacheable",
    "Uncached",
    "UnreadableEntry",
    "UpstashRedisCache",
    "__version__",
    "cached",
    "or_stale",
    "traced",
    "uncacheable",
]
SECRET = "mark-of-a-secret"
PRINT_EVERYTHING = """
import importlib, inspect, pkgutil, pydoc
import llm_cache

modules = [importlib.import_module(found.name) for found in
           pkgutil.walk_packages(llm_cache.__path__, "llm_cache.")]
public = filter(callable, (getattr(llm_cache, name) for name in llm_cache.__all__))
for documented in (*public, *modules):
    print(pydoc.render_doc(documented))
    for name, member in inspect.getmembers(documented, callable):
        try:
            print(name, inspect.signature(member))
        except (TypeError, ValueError):  # a builtin has no signature
            pass
"""


def test_public_names_are_pinned() -> None:
    assert set(llm_cache.__all__) == set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_public_name_has_a_docstring(name: str) -> None:
    text = getattr(llm_cache, name).__doc__
    assert text
    assert not text.startswith(f"{name}(")  # a dataclass makes one of its fields


@pytest.mark.parametrize("name", NAMES)
def test_public_name_is_used_as_code_on_a_page(name: str) -> None:
    code = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
    used = [
        page
        for page in PAGES
        if any(re.search(rf"\b{name}\b", text) for text in code.findall(text_of(page)))
    ]
    assert used


@pytest.fixture(scope="module")
def printed() -> str:
    """All help and every signature, from a process whose environment holds a secret."""
    environ = {**os.environ, "UPSTASH_REDIS_REST_TOKEN": SECRET}
    command = [sys.executable, "-c", PRINT_EVERYTHING]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return run.stdout


def test_help_of_the_package_shows_nothing_of_the_environment(printed: str) -> None:
    assert "from_env" in printed
    assert SECRET not in printed


def test_help_names_the_default_environment_as_none(printed: str) -> None:
    assert printed.count("environ: 'Mapping[str, str] | None' = None") >= 5
