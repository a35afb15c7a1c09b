"""What ``help()`` prints of the package."""

import os
import subprocess
import sys

import pytest

SECRET = "mark-of-a-secret"
PRINT_EVERYTHING = """
import importlib, inspect, pkgutil, pydoc
import llm_cache

modules = [importlib.import_module(f"llm_cache.{each.name}") for each in
           pkgutil.iter_modules(llm_cache.__path__)]
public = filter(callable, (getattr(llm_cache, name) for name in llm_cache.__all__))
for documented in (*public, *modules):
    print(pydoc.render_doc(documented))
    for name, member in inspect.getmembers(documented, callable):
        try:
            print(name, inspect.signature(member))
        except (TypeError, ValueError):  # a builtin has no signature
            pass
"""


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
