"""Which module may import what, and what the package offers."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import llm_cache

PACKAGE = Path(llm_cache.__file__).parent
EDGES = {
    "client": {"upstash_redis"},
    "store": {"snapshot_restore_py"},
    "trust": {"certifi"},
    "credentials": {"aws_lambda_powertools", "botocore"},
    "cache": {"langchain_core"},
    "calls": {"langchain_core"},
    "chunks": {"langchain_core"},
    "fallback": {"langchain_core"},
    "generations": {"langchain_core"},
    "hits": {"langchain_core"},
    "schemas": {"pydantic"},
    "seal": {"cryptography"},
    "parsed": {"langchain_core", "pydantic"},
    "streaming": {"langchain_core"},
    "telemetry": {"aws_lambda_powertools"},
    "tracing": {"aws_lambda_powertools"},
    "verdict": {"langchain_core"},  # for types alone
}


def imported(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"llm_cache"}


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_only_the_edges_import_third_party_packages(module: Path) -> None:
    assert imported(module) == EDGES.get(module.stem, set())


def loaded_by(statement: str) -> set[str]:
    """Run ``statement`` in a fresh interpreter; return the top-level modules it loaded."""
    script = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_package_loads_no_third_party_package() -> None:
    heavy = {"langchain_core", "upstash_redis", "httpx", "boto3", "pydantic"}
    assert not heavy & loaded_by("import llm_cache")


def test_clearing_never_loads_langchain() -> None:
    loaded = loaded_by("from llm_cache import CacheNamespace; import llm_cache.cli")
    assert "upstash_redis" in loaded
    assert not {"langchain_core", "pydantic", "langsmith"} & loaded


def test_who_has_not_connected_has_not_loaded_what_connects() -> None:
    assert "httpcore" not in loaded_by("from llm_cache import CacheNamespace, UpstashRedisCache")


def test_the_cache_itself_does_not_load_what_language_models_need() -> None:
    loaded = loaded_by("from llm_cache import UpstashRedisCache")
    assert "langchain_core" in loaded
    assert not {"langsmith", "tenacity", "boto3"} & loaded


def test_a_response_is_cached_without_langchain() -> None:
    loaded = loaded_by("from llm_cache import ResponseCache, CacheMetrics, uncacheable")
    assert "upstash_redis" in loaded
    assert not {"langchain_core", "pydantic", "langsmith", "boto3"} & loaded


def test_every_public_name_is_there_and_sorted() -> None:
    names = [name for name in llm_cache.__all__ if not name.startswith("__")]
    assert names == sorted(names)
    assert all(getattr(llm_cache, name).__name__ == name for name in names)
    assert dir(llm_cache) == sorted(llm_cache.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = llm_cache.Nonsense
