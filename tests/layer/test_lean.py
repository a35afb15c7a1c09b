"""What is left out of a package, and that what stays is listed as it is."""

import base64
import csv
import hashlib
from pathlib import Path

import pytest
from layers.package import lean
from tests.layer.artifacts import Artifacts


def put(site: Path, *names: str) -> None:
    for name in names:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)


def names(site: Path) -> set[str]:
    return {str(file.relative_to(site)) for file in site.rglob("*") if file.is_file()}


def test_what_nothing_reads_is_left_out(tmp_path: Path) -> None:
    left_out = (
        "bin/httpx",
        "anyio/tests/test_it.py",
        "jsonpatch-stubs/__init__.pyi",
        "orjson/__init__.pyi",
        "websockets/speedups.c",
        "pydantic/mypy.py",
        "langsmith/sandbox/_client.py",
        "zstandard/_cffi.cpython-313-aarch64-linux-gnu.so",
        "botocore/data/ec2/service-2.json",
    )
    kept = ("anyio/__init__.py", "langsmith/client.py", "botocore/data/ssm/service-2.json")
    put(tmp_path, *left_out, *kept)
    lean.slim(tmp_path, {"ssm"})
    assert names(tmp_path) == set(kept)


def test_a_record_lists_what_is_left_with_its_hash(tmp_path: Path) -> None:
    put(tmp_path, "it/tests/test_it.py", "it/__init__.py")
    record = tmp_path / "it-1.dist-info/RECORD"
    record.parent.mkdir()
    rows = [
        "it/tests/test_it.py,sha256=x,1",
        "../../bin/it,sha256=y,2",
        "it/__init__.py,sha256=z,3",
    ]
    record.write_text("\n".join([*rows, "it-1.dist-info/RECORD,,"]))
    lean.slim(tmp_path, set())
    assert record.read_text().splitlines() == [
        "it-1.dist-info/RECORD,,",
        f"it/__init__.py,sha256={digest(b'it/__init__.py')},14",
    ]


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def test_every_file_of_a_package_is_what_its_record_says(artifacts: Artifacts) -> None:
    records = [*artifacts.layer.glob("*.dist-info/RECORD")]
    assert records
    for record in records:
        for name, said, size in csv.reader(record.read_text().splitlines()):
            content = (artifacts.layer / name).read_bytes()
            if name != f"{record.parent.name}/RECORD":
                assert (said, int(size)) == (f"sha256={digest(content)}", len(content)), name


@pytest.mark.parametrize("rule", lean.RULES, ids=lambda rule: rule.what)
def test_nothing_that_a_rule_names_is_packaged(artifacts: Artifacts, rule: lean.Rule) -> None:
    for package in artifacts.packages:
        assert not [path for pattern in rule.patterns for path in package.glob(pattern)]


def test_metadata_of_every_package_is_kept(host: Artifacts) -> None:
    script = "from importlib.metadata import version; print(version('langsmith'))"
    assert host.run(None, script)
    assert not list(host.layer.glob("websockets*"))


def test_all_of_langchain_and_of_the_client_imports(host: Artifacts) -> None:
    # What was left out is imported by no module of what the layer is for.
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
