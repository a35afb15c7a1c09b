"""Unused files are removed from a package, and its RECORD files list the rest."""

import base64
import csv
import hashlib
from pathlib import Path

from layers.package import pruning
from tests.layer.artifacts import Artifacts


def put(site: Path, *names: str) -> None:
    for name in names:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)


def test_unused_files_are_removed(tmp_path: Path) -> None:
    unused = (
        "bin/httpx",
        "anyio/tests/test_it.py",
        "anyio/_backends/_trio.py",
        "httpx/_main.py",
        "jsonpatch-stubs/__init__.pyi",
        "orjson/__init__.pyi",
        "websockets/speedups.c",
        "pydantic/mypy.py",
        "llm_cache/_cli/clear.py",
        "llm_cache/_inspect/key_difference.py",
        "llm_cache/testing/plugin.py",
        "langsmith/sandbox/_client.py",
        "zstandard/_cffi.cpython-313-aarch64-linux-gnu.so",
        "botocore/data/ec2/service-2.json",
    )
    kept = (
        "anyio/__init__.py",
        "anyio/_backends/_asyncio.py",
        "langsmith/client.py",
        "botocore/data/ssm/service-2.json",
        "llm_cache/_admin/namespace.py",
    )
    put(tmp_path, *unused, *kept)
    pruning.prune(tmp_path, {"ssm"})
    left = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {str(file.relative_to(tmp_path)) for file in left} == set(kept)


def test_record_lists_the_remaining_files_with_their_hashes(tmp_path: Path) -> None:
    put(tmp_path, "it/tests/test_it.py", "it/__init__.py")
    record = tmp_path / "it-1.dist-info/RECORD"
    record.parent.mkdir()
    rows = [
        "it/tests/test_it.py,sha256=x,1",
        "../../bin/it,sha256=y,2",
        "it/__init__.py,sha256=z,3",
        "it-1.dist-info/RECORD,,",
    ]
    record.write_text("\n".join(rows))
    pruning.prune(tmp_path, set())
    assert record.read_text().splitlines() == [
        "it-1.dist-info/RECORD,,",
        f"it/__init__.py,sha256={digest(b'it/__init__.py')},14",
    ]


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def test_every_file_of_the_layer_matches_its_record(artifacts: Artifacts) -> None:
    records = [*artifacts.layer.glob("*.dist-info/RECORD")]
    assert records
    for record in records:
        for name, expected, size in csv.reader(record.read_text().splitlines()):
            content = (artifacts.layer / name).read_bytes()
            if name != f"{record.parent.name}/RECORD":
                assert (expected, int(size)) == (f"sha256={digest(content)}", len(content)), name


def test_no_package_contains_files_that_a_rule_removes(artifacts: Artifacts) -> None:
    patterns = [pattern for rule in pruning.RULES for pattern in rule.patterns]
    for package in artifacts.packages:
        assert not [path for pattern in patterns for path in package.glob(pattern)]


def test_layer_keeps_metadata_and_leaves_websockets_out(host: Artifacts) -> None:
    script = "from importlib.metadata import version; print(version('langsmith'))"
    assert host.run(None, script)
    assert not list(host.layer.glob("websockets*"))


def test_all_modules_of_langchain_the_client_and_the_library_import(host: Artifacts) -> None:
    script = """
import importlib, pkgutil
for package in ("langchain_core", "upstash_redis", "llm_cache"):
    found = importlib.import_module(package)
    names = [module.name for module in pkgutil.walk_packages(found.__path__, f"{package}.")]
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    print(package, len(names))
"""
    counts = dict(line.split() for line in host.run(None, script).splitlines())
    assert int(counts["langchain_core"]) > 100
    assert int(counts["llm_cache"]) > 30
