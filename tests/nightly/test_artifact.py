"""The artifact in the library's place, every target of the template, and what imports take."""

import os
import subprocess
import sys

import pytest
from layers.package import budgets, elf
from layers.package.wheels import GLIBC, MACHINES
from tests.benchmarks import cold, imports
from tests.layer.artifacts import ELF_MACHINES, HOST, ROOT, Target, build

TARGETS = [Target(machine, f"python{version}") for machine in MACHINES for version in GLIBC]


def test_the_suite_passes_with_the_artifact_in_place_of_the_sources() -> None:
    layer = build(HOST).layer
    environ = {**os.environ, "PYTHONPATH": str(layer), "PROFILE": "quick"}
    where = [sys.executable, "-c", "import llm_cache; print(llm_cache.__file__)"]
    found = subprocess.run(where, env=environ, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(layer))
    command = [sys.executable, "-m", "pytest", "-q", "tests/unit", "tests/integration"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_target_is_built_and_within_its_budgets(target: Target) -> None:
    layer = build(target).layer
    libraries = list(layer.rglob("*.so"))
    assert {elf.machine(file.read_bytes()) for file in libraries} == {
        ELF_MACHINES[target.architecture]
    }
    tag = target.runtime.replace("python", "cpython-").replace(".", "")
    assert any(tag in file.name for file in libraries)
    assert all(f".{tag}." in file.name for file in layer.rglob("*.pyc"))
    unzipped, zipped = budgets.weigh(layer)
    assert unzipped <= budgets.UNZIPPED
    assert zipped <= budgets.ZIPPED


def test_imports_are_within_their_budgets() -> None:
    ratios = imports.ratios(imports.samples())
    assert all(ratios[name] <= budget for name, budget in imports.BUDGETS.items()), ratios


def test_a_cold_hit_is_within_its_budget() -> None:
    ratios = cold.ratios()
    assert all(ratios[name] <= budget for name, budget in cold.BUDGETS.items()), ratios
