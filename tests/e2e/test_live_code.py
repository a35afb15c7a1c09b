"""`make dev`: saved changes of a copy of the checkout, in the deployed stack."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployment import live_code, stack_functions
from deployment.dev_loop import DevLoop
from deployment.source_part import LAYER, source_parts
from llm_cache._stack.deployed_stack import DeployedStack
from local_cloud.aws.stack_deployment import host_target
from local_cloud.checkout.source_tree import CHECKOUT_TREE, SourceTree
from local_cloud.cloud import LocalCloud
from local_cloud.stack.emulated_stack import ALIAS

Update = Callable[[], list[str]]
RAISES = "\ndef handler(event, context):\n    raise LookupError({text})\n"


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    """A copy of the checkout that a test may change."""
    return CHECKOUT_TREE.copy(tmp_path / "tree")


@pytest.fixture
def update(
    cloud: LocalCloud, tree: SourceTree, capsys: pytest.CaptureFixture[str]
) -> Iterator[Update]:
    """Deploy what has changed since the last call; return the printed lines."""
    client = cloud.aws.client("lambda")
    stack = DeployedStack(cloud.stack.name, {}, cloud.stack.outputs)
    functions = stack_functions.deployed(cloud.aws.client("cloudformation"), stack)
    parts = [part for part in source_parts(tree) if part.name in {LAYER, "flush_cache"}]
    watching = DevLoop(client, parts, functions, host_target())

    def update() -> list[str]:
        capsys.readouterr()
        for part in watching.changed():
            watching.update(part)
        return capsys.readouterr().err.splitlines()

    with contextlib.ExitStack() as restored:
        for function in functions.values():
            restored.enter_context(restoring(client, function))
        yield update


@contextlib.contextmanager
def restoring(client: Any, function: str) -> Iterator[None]:
    """Give a function its code, its layers and its version back after the block."""
    before = client.get_function(FunctionName=function, Qualifier=ALIAS)
    config = before["Configuration"]
    code = live_code.download(before["Code"]["Location"])
    yield
    layers = [it["Arn"] for it in config["Layers"]]
    client.update_function_code(FunctionName=function, ZipFile=code)
    client.update_function_configuration(FunctionName=function, Layers=layers)
    client.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=config["Version"])


def error(cloud: LocalCloud) -> str:
    """Return the error of the flush function."""
    done = cloud.stack.invoke("FlushCacheFunction", {"dry_run": True})
    return str(done.payload["errorMessage"]) if done.error else ""


def test_changed_function_alone_is_deployed_and_runs(
    cloud: LocalCloud, tree: SourceTree, update: Update
) -> None:
    assert all(": up to date (" in line for line in update())
    assert update() == []
    module = tree.root / "functions/flush_cache/flush_cache.py"
    module.write_text(module.read_text() + RAISES.format(text="'changed'"))
    (line,) = update()
    assert line.startswith("==> flush_cache: version ")
    assert error(cloud) == "changed"


def test_new_module_of_the_library_reaches_the_functions(
    cloud: LocalCloud, tree: SourceTree, update: Update
) -> None:
    update()
    (tree.root / "src/llm_cache/_new.py").write_text("TEXT = 'from the layer'\n")
    module = tree.root / "functions/flush_cache/flush_cache.py"
    imported = "\nfrom llm_cache._new import TEXT\n"
    module.write_text(module.read_text() + imported + RAISES.format(text="TEXT"))
    lines = update()
    assert [line.partition(" version ")[0] for line in lines] == ["==> layer:", "==> flush_cache:"]
    assert error(cloud) == "from the layer"


def test_module_with_a_syntax_error_is_reported_and_not_deployed(
    cloud: LocalCloud, tree: SourceTree, update: Update
) -> None:
    update()
    module = tree.root / "functions/flush_cache/flush_cache.py"
    module.write_text(module.read_text() + "def (\n")
    lines = update()
    assert lines[0] == "==> flush_cache does not build:"
    assert any("SyntaxError" in line for line in lines)
    assert lines[-1] == "==> the stack keeps the version before"
    assert error(cloud) == ""
