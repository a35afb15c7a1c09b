"""The built layer in place of the sources, every target, and the budgets of CPU.

`make test` builds this machine's target and one of the other architecture, imports every module
from the layer and invokes the built functions (tests/layer). It checks which modules an import
loads, but no CPU (tests/repository/test_imports.py).
"""

import os
import subprocess
import sys

import pytest
from layers.package import budgets, elf_strip
from layers.package.wheels import GLIBC, MACHINES
from tests.benchmarks import cold_starts, imports
from tests.layer.artifacts import ELF_MACHINES, HOST, ROOT, Target, build

TARGETS = [Target(machine, f"python{version}") for machine in MACHINES for version in GLIBC]


def test_library_tests_pass_with_the_built_layer() -> None:
    layer = build(HOST).layer
    changes = {"PYTHONPATH": str(layer), "PROFILE": "quick", "PYTHONDONTWRITEBYTECODE": "1"}
    environ = {**os.environ, **changes}
    where = [sys.executable, "-c", "import llm_cache; print(llm_cache.__file__)"]
    found = subprocess.run(where, env=environ, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(layer))
    # The layer has no pytest plugin of LangSmith, which its metadata names.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:langsmith_plugin"]
    command += ["tests/unit", "tests/integration"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_layer_of_every_target_is_within_its_budgets(target: Target) -> None:
    layer = build(target).layer
    libraries = list(layer.rglob("*.so"))
    assert {elf_strip.machine(file.read_bytes()) for file in libraries} == {
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


def test_cold_hits_are_within_their_budgets() -> None:
    ratios = cold_starts.ratios()
    assert all(ratios[name] <= budget for name, budget in cold_starts.BUDGETS.items()), ratios
