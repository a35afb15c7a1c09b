"""Imports between the packages of the endpoint, the local cloud and the deployment."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"
ROOTS = ("upstash_endpoint", "local_cloud", "deployment")
# Packages and top modules of local_cloud are named without it.
ALLOWED = {
    "upstash_endpoint": "",
    "http_handler": "",
    "progress": "",
    "checkout": "upstash_endpoint",
    "aws": "checkout upstash_endpoint",
    "model": "checkout http_handler upstash_endpoint",
    "stack": "aws llm_cache upstash_endpoint",
    "lambda_runtime": "aws checkout http_handler stack upstash_endpoint",
    "cloud": "aws checkout lambda_runtime model progress stack upstash_endpoint",
    "scenario": "cloud stack",
    "__main__": "aws checkout cloud model scenario stack upstash_endpoint",
    "deployment": "aws checkout progress llm_cache",
}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts)


def imports(path: Path) -> Iterator[str]:
    """Yield the modules under src that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        if (SRC / node.module.replace(".", "/")).is_dir():
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif (SRC / node.module.split(".")[0]).is_dir():
            yield node.module


def package(module: str) -> str:
    root, name, *_ = module.split(".")
    return name if root == "local_cloud" else root


MODULES = {
    dotted(path): set(imports(path))
    for root in ROOTS
    for path in (SRC / root).rglob("*.py")
    if path.stat().st_size
}


def test_packages_import_only_what_the_table_allows() -> None:
    found: dict[str, set[str]] = {}
    for module, names in MODULES.items():
        found.setdefault(package(module), set()).update(map(package, names))
    found.pop("__init__")
    assert {name: to - {name} for name, to in found.items()} == {
        name: set(allowed.split()) for name, allowed in ALLOWED.items()
    }


def test_development_packages_have_no_import_cycle() -> None:
    inside = {name: names & MODULES.keys() for name, names in MODULES.items()}
    order = list(TopologicalSorter(inside).static_order())
    assert order.index("upstash_endpoint.children") < order.index("local_cloud.cloud")
