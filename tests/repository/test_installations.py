"""What the Makefile installs: the locks agree, and make run installs no test tools."""

import re
import tomllib

from tests.repository.pages import ROOT, text_of

LOCKS = ROOT / "src/local_cloud/requirements"
TESTS = ROOT / "tests/requirements.txt"
PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
MAKEFILE = text_of("Makefile")
SIZE = re.compile(r"^MB_(\S+) +:= (\d+)$", re.MULTILINE)
MEGABYTES = {name: int(size) for name, size in SIZE.findall(MAKEFILE)}


def pinned(lock: str) -> set[tuple[str, str]]:
    return set(PINNED.findall((LOCKS / lock).read_text()))


def variable(name: str) -> list[str]:
    (value,) = re.findall(rf"^{name} +:= (.+)$", MAKEFILE, re.MULTILINE)
    return str(value).split()


def test_run_and_the_tests_use_the_same_versions() -> None:
    assert pinned("run.txt") < set(PINNED.findall(TESTS.read_text()))


def test_lock_of_run_has_no_development_tool_of_the_tests() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    written = [it for it in groups["dev"] if isinstance(it, str)]
    tools = {re.split("[<>=]", it)[0] for it in written}
    assert {"mypy", "pytest", "ruff"} < tools
    assert not tools & {name for name, _ in pinned("run.txt")}


def test_sam_is_locked_without_the_linter_and_otherwise_the_same() -> None:
    small, whole = pinned("sam.txt"), pinned("lint.txt")
    assert small < whole
    assert {"cfn-lint", "sympy"} <= {name for name, _ in whole - small}


def test_every_installation_has_a_size_to_print() -> None:
    installed = {name for name in (*variable("SMALL"), *variable("ALL")) if name[0] == "."}
    assert installed <= MEGABYTES.keys()


def test_readme_states_the_size_of_the_first_run() -> None:
    without_model = sum(MEGABYTES[name] for name in (*variable("SMALL"), ".build"))
    total = without_model + MEGABYTES[".tools/model/.ready"]
    sizes = f"{round(total, -1)} MB, or {round(without_model, -1)} MB with `MODEL=echo`"
    assert sizes in " ".join(text_of("README.md").split())
