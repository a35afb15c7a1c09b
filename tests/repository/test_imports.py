"""Which module may import what, and what the package offers."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import llm_cache

PACKAGE = Path(llm_cache.__file__).parent
# Every package may use these modules.
VOCABULARY = {"_checks", "_circuit", "_errors", "_reasons", "_report", "_version"}
BELOW = {"_config", "_entries", "_policy", "_protocol", "_upstash"}
ALLOWED = {
    "_entries": set[str](),
    "_policy": {"_entries"},
    "_config": {"_entries", "_policy"},
    "_protocol": {"_entries", "_policy"},
    "_upstash": {"_config", "_entries", "_protocol"},
    "_engine": BELOW,
    "_langchain": BELOW | {"_engine"},
    "_functions": BELOW | {"_engine"},
    "_observe": {"_config"},
    "_admin": BELOW - {"_policy"},
    "_stack": {"_config", "_observe"},
    "_inspect": {"_entries", "_functions", "_langchain", "_policy", "_protocol"},
    "_doctor": BELOW | {"_stack"},
    "_cli": BELOW | {"_admin", "_doctor", "_inspect", "_stack"},
    "testing": BELOW - {"_policy"} | {"_admin", "_doctor", "_engine", "_inspect"},
}
# The modules that the layer leaves out.
OPERATORS = {"_cli", "_doctor", "_inspect", "_stack", "testing", "__main__"}
# Each module of the command line may import these.
COMMAND_LINE = {"httpx", "rich", "typer", "upstash_endpoint"}
THIRD_PARTY = {
    "_upstash.rest_client": {"upstash_redis"},
    "_upstash.upstash_store": {"snapshot_restore_py"},
    "_upstash.tls_trust": {"certifi"},
    "_upstash.credentials": {"aws_lambda_powertools", "botocore"},
    "_entries.protection": {"cryptography"},
    "_langchain.cache": {"langchain_core"},
    "_langchain.hit_chunks": {"langchain_core"},
    "_langchain.codec": {"langchain_core"},
    "_langchain.hit_metadata": {"langchain_core"},
    "_langchain.parsed_output": {"langchain_core", "pydantic"},
    "_langchain.schema_key": {"pydantic"},
    "_langchain.stale_fallback": {"langchain_core"},
    "_langchain.stream_call": {"langchain_core"},
    "_langchain.stream_recorder": {"langchain_core"},
    "_langchain.streaming": {"langchain_core"},
    "_langchain.uncacheable": {"langchain_core"},  # for types alone
    "_observe.metrics": {"aws_lambda_powertools"},
    "_observe.tracing": {"aws_lambda_powertools"},
    "_stack.ask_call": {"botocore", "httpx"},
    "_stack.aws_errors": {"botocore"},
    "_stack.function_url": {"botocore"},
    "_stack.stack_access": {"boto3"},
    "_stack.upstash_check": {"httpx"},
    "_doctor.ssm": {"boto3", "botocore"},
    "_inspect.stored_answer": {"langchain_core"},  # for types alone
    "testing._fake_model": {"langchain_core", "pydantic"},
    "testing._installation": {"pytest"},
    "testing.plugin": {"pytest"},
}


def dotted(module: Path) -> str:
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts)


def imports(module: Path) -> Iterator[str]:
    """Yield the full name of each module that ``module`` imports, types included."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (
                f"{node.module}.{alias.name}" if is_package(node.module) else node.module
                for alias in node.names
            )


def is_package(name: str) -> bool:
    return (PACKAGE.parent / name.replace(".", "/")).is_dir()


MODULES = {dotted(path): sorted(set(imports(path))) for path in sorted(PACKAGE.rglob("*.py"))}


def inside(module: str) -> list[str]:
    names = [name for name in MODULES[module] if name.startswith("llm_cache.")]
    return [name.removeprefix("llm_cache.") for name in names]


def package_of(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("__")])
def test_module_imports_only_packages_that_its_own_may_use(module: str) -> None:
    package = package_of(module)
    allowed = ALLOWED.get(package, set()) | VOCABULARY | {package}
    assert {package_of(name) for name in inside(module)} <= allowed


def test_table_of_arrows_names_every_package() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == set(ALLOWED)


def test_functions_never_load_the_modules_that_the_layer_leaves_out() -> None:
    loads = {name: {package_of(other) for other in inside(name)} for name in MODULES}
    for module in MODULES:
        if package_of(module) not in OPERATORS:
            assert not loads[module] & OPERATORS, module


def test_imports_have_no_cycle() -> None:
    TopologicalSorter({name: inside(name) for name in MODULES if name != "__init__"}).prepare()


def test_init_files_of_private_packages_are_empty() -> None:
    assert not [path for path in PACKAGE.glob("_*/__init__.py") if path.stat().st_size]


@pytest.mark.parametrize("module", MODULES)
def test_third_party_packages_are_imported_at_the_edges_alone(module: str) -> None:
    names = {name.partition(".")[0] for name in MODULES[module]}
    third_party = names - set(sys.stdlib_module_names) - {"llm_cache"}
    third_party -= COMMAND_LINE if package_of(module) == "_cli" else set()
    assert third_party == THIRD_PARTY.get(module, set())


def private(source: str) -> list[str]:
    """Return what ``source`` imports of the library besides public names."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.startswith("llm_cache.")]
        elif isinstance(node, ast.ImportFrom) and node.module == "llm_cache":
            found += [name.name for name in node.names if name.name not in llm_cache.__all__]
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("llm_cache."):
            found.append(str(node.module))
    return found


def test_functions_import_only_public_names(checkout: Path) -> None:
    sources = {path: path.read_text() for path in (checkout / "functions").glob("*/*.py")}
    assert len(sources) > 30
    assert {path: found for path, source in sources.items() if (found := private(source))} == {}


@pytest.mark.parametrize(
    "statement",
    ["from llm_cache import _report", "from llm_cache._report import Report", "import llm_cache.x"],
)
def test_private_import_is_found(statement: str) -> None:
    assert private(f"def function():\n    {statement}") != []
    assert private("import llm_cache\nfrom llm_cache import Report") == []


def loaded_by(statement: str) -> set[str]:
    """Run ``statement`` in a fresh interpreter; return the top-level modules it loaded."""
    script = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_package_loads_no_third_party_package() -> None:
    heavy = {"langchain_core", "upstash_redis", "httpx", "boto3", "pydantic"}
    assert not heavy & loaded_by("import llm_cache")


def test_clearing_never_loads_langchain() -> None:
    loaded = loaded_by("from llm_cache import CacheNamespace; import llm_cache._cli.app")
    assert "upstash_redis" in loaded
    assert not {"langchain_core", "pydantic", "langsmith", "boto3", "botocore"} & loaded


def test_pytest_plugin_loads_neither_langchain_nor_the_client() -> None:
    loaded = loaded_by("import llm_cache.testing.plugin")
    assert "pytest" in loaded
    assert not {"langchain_core", "upstash_redis", "pydantic", "httpx"} & loaded


def test_unconnected_cache_does_not_load_the_client() -> None:
    assert "httpcore" not in loaded_by("from llm_cache import CacheNamespace, UpstashRedisCache")


def test_import_of_the_cache_does_not_load_language_models() -> None:
    loaded = loaded_by("from llm_cache import UpstashRedisCache")
    assert "langchain_core" in loaded
    assert not {"langsmith", "tenacity", "boto3"} & loaded


def test_response_is_cached_without_langchain() -> None:
    loaded = loaded_by("from llm_cache import ResponseCache, CacheMetrics, uncacheable")
    assert "upstash_redis" in loaded
    assert not {"langchain_core", "pydantic", "langsmith", "boto3"} & loaded


def test_every_public_name_exists_in_sorted_order() -> None:
    names = [name for name in llm_cache.__all__ if not name.startswith("__")]
    assert names == sorted(names)
    assert all(getattr(llm_cache, name).__name__ == name for name in names)
    assert dir(llm_cache) == sorted(llm_cache.__all__)


def test_private_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = llm_cache.Nonsense
