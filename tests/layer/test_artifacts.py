"""The packages as Lambda gets them: for the right machine, complete, and without ballast."""

import importlib.util
import marshal
from pathlib import Path

import pytest
from layers.package import elf
from tests.layer.artifacts import ELF_MACHINES, Artifacts

UNCHECKED_HASH = 0b01
# The runtime has these, or a function brings them.
NOT_IN_THE_LAYER = {
    "boto3",
    "botocore",
    "langchain_aws",
    "mangum",
    "numpy",
    "s3transfer",
    "snapshot_restore_py",
    "starlette",
}

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


def modules(package: Path) -> set[str]:
    return {entry.name for entry in package.iterdir()} - {"__pycache__"}


def test_native_libraries_are_of_the_architecture_asked_for(artifacts: Artifacts) -> None:
    libraries = [library for package in artifacts.packages for library in package.rglob("*.so*")]
    machines = {elf.machine(library.read_bytes()) for library in libraries}
    assert machines == {ELF_MACHINES[artifacts.target.architecture]}


def test_functions_add_no_native_library_to_the_layer_s(host: Artifacts) -> None:
    assert [file for package in host.packages[1:] for file in package.rglob("*.so*")] == []


def test_native_libraries_are_of_the_python_asked_for(artifacts: Artifacts) -> None:
    tag = artifacts.target.runtime.replace("python", "cpython-").replace(".", "")
    tagged = {library.name for library in artifacts.layer.rglob("*.cpython-*.so")}
    assert tagged
    assert all(tag in name for name in tagged)


def test_layer_holds_neither_the_runtime_s_packages_nor_a_function_s(artifacts: Artifacts) -> None:
    assert modules(artifacts.layer).isdisjoint(NOT_IN_THE_LAYER)


def test_no_package_repeats_what_the_layer_has(artifacts: Artifacts) -> None:
    for package in artifacts.packages[1:]:
        assert modules(package).isdisjoint(modules(artifacts.layer))


def test_no_package_holds_scripts_or_tests_or_build_files(artifacts: Artifacts) -> None:
    for package in artifacts.packages:
        assert modules(package).isdisjoint({"bin", "Makefile", "package", "requirements.txt"})
        assert not list(package.glob("*/tests"))


def test_bytecode_never_goes_stale(host: Artifacts) -> None:
    for package in host.packages:
        for source in package.rglob("*.py"):
            header = Path(importlib.util.cache_from_source(source)).read_bytes()[:8]
            assert header[:4] == importlib.util.MAGIC_NUMBER
            assert int.from_bytes(header[4:], "little") == UNCHECKED_HASH


def test_every_module_has_bytecode_of_the_runtime_and_of_no_other(artifacts: Artifacts) -> None:
    tag = artifacts.target.runtime.replace("python", "cpython-").replace(".", "")
    for package in artifacts.packages:
        sources = {str(file.relative_to(package)) for file in package.rglob("*.py")}
        compiled = {str(file.relative_to(package)) for file in package.rglob("*.pyc")}
        assert compiled == {cached(source, tag) for source in sources}


def cached(source: str, tag: str) -> str:
    file = Path(source)
    return str(file.parent / "__pycache__" / f"{file.stem}.{tag}.pyc")


def test_bytecode_names_the_place_it_is_mounted_at(host: Artifacts) -> None:
    # Were it the folder of the build, no two builds would give the same bytes.
    source = host.layer / "langchain_core/caches.py"
    compiled = Path(importlib.util.cache_from_source(source)).read_bytes()
    code = marshal.loads(compiled[16:])
    assert code.co_filename == "/opt/python/langchain_core/caches.py"


def test_every_public_name_imports_from_the_layer_alone(host: Artifacts) -> None:
    script = (
        "import llm_cache\nfor name in llm_cache.__all__: getattr(llm_cache, name)\nprint('ok')"
    )
    assert host.run(None, script) == "ok"


@pytest.mark.parametrize(
    "module",
    ["aws_lambda_powertools", "langchain_core.caches", "upstash_redis", "upstash_redis.asyncio"],
)
def test_layer_brings_what_the_library_imports(host: Artifacts, module: str) -> None:
    found = host.run(None, f"import {module} as it; print(it.__file__)")
    assert found.startswith(str(host.layer))


def test_model_client_is_made_without_numpy(host: Artifacts) -> None:
    script = """
from langchain_aws import ChatBedrockConverse
model = ChatBedrockConverse(model="amazon.nova-2-lite-v1:0", region_name="eu-west-1")
import boto3
print("numpy" in sys.modules, boto3.__file__)
"""
    numpy, boto3 = host.run("AskFunction", script, **CREDENTIALS).split(maxsplit=1)
    assert numpy == "False"
    # The runtime's own may be too old for the model client.
    assert boto3.startswith(str(host.folder / "AskFunction"))


USED = {"bedrock", "bedrock-runtime", "secretsmanager", "ssm", "sts"}
SERVICES = {"AskFunction": USED, "SummarizeFunction": USED | {"s3", "sqs"}}


@pytest.mark.parametrize(
    ("function", "services"),
    [("FlushCacheFunction", {"secretsmanager", "ssm", "sts"}), *SERVICES.items()],
)
def test_functions_can_call_the_services_they_use(
    host: Artifacts, function: str, services: set[str]
) -> None:
    script = f"""
import boto3
for name in {sorted(services)}:
    print(boto3.client(name).meta.service_model.service_name)
"""
    assert host.run(function, script, **CREDENTIALS).split() == sorted(services)


@pytest.mark.parametrize("function", SERVICES)
def test_only_the_models_of_those_services_are_packaged(host: Artifacts, function: str) -> None:
    data = host.folder / function / "botocore/data"
    assert {model.name for model in data.iterdir() if model.is_dir()} == SERVICES[function]


@pytest.mark.parametrize("package", ["mangum", "numpy", "starlette"])
def test_the_function_of_a_queue_brings_nothing_for_http(host: Artifacts, package: str) -> None:
    assert package not in modules(host.folder / "SummarizeFunction")
