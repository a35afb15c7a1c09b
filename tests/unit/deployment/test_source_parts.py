"""The sources of functions and of the layer, and what replaces them in a package."""

import io
import sys
import zipfile
from pathlib import Path

import pytest

from deployment.dev_loop import DevLoop
from deployment.live_code import replaced
from deployment.source_part import SourcePart, source_parts
from deployment.stack_functions import chosen, logical_id, name_of
from llm_cache._stack.command_failure import CommandFailure
from local_cloud.checkout.source_tree import CHECKOUT_TREE, SourceTree

NAMES = {
    "ask": "AskFunction",
    "flush_cache": "FlushCacheFunction",
    "summarize": "SummarizeFunction",
}


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    return CHECKOUT_TREE.copy(tmp_path / "tree")


@pytest.fixture
def watching(tree: SourceTree) -> DevLoop:
    """A loop that has seen every part once."""
    loop = DevLoop(None, source_parts(tree), {}, {})
    assert [part.name for part in loop.changed()] == ["layer", *NAMES]
    return loop


@pytest.mark.parametrize(("name", "logical"), NAMES.items())
def test_name_is_the_logical_id_in_lower_case(name: str, logical: str) -> None:
    assert (logical_id(name), name_of(logical)) == (logical, name)


def test_unknown_name_is_refused_with_the_accepted_ones() -> None:
    with pytest.raises(CommandFailure, match="FUNCTION=a is not in the stack: use FUNCTION=b"):
        chosen("a", ["b"])


@pytest.mark.parametrize(
    ("file", "parts"),
    [
        ("functions/ask/answer.py", ["ask"]),
        ("functions/bedrock/model.py", ["ask", "summarize"]),
        ("src/llm_cache/_engine/core.py", ["layer"]),
        ("functions/flush_cache/new.py", ["flush_cache"]),
        ("template.yaml", []),
    ],
)
def test_change_of_a_file_concerns_the_parts_that_contain_it(
    watching: DevLoop, tree: SourceTree, file: str, parts: list[str]
) -> None:
    with (tree.root / file).open("a") as changed:
        changed.write("# changed\n")
    assert [part.name for part in watching.changed()] == parts
    assert not list(watching.changed())


def test_changed_lock_file_needs_a_whole_build(
    watching: DevLoop, tree: SourceTree, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tree.root / "functions/ask/requirements.txt").open("a") as lock:
        lock.write("# changed\n")
    assert not list(watching.changed())
    expected = "a lock file or a Makefile has changed: restart make serve"
    assert capsys.readouterr().err == f"==> ask: {expected}\n==> summarize: {expected}\n"


def test_sources_are_those_that_the_makefile_copies() -> None:
    parts = {part.name: {it.name for it in part.sources} for part in source_parts()}
    assert parts["layer"] == {"llm_cache"}
    assert parts["flush_cache"] == {"flush.py", "flush_cache.py"}
    assert {"ask.py", "bedrock"} <= parts["ask"]
    assert "package" not in parts["ask"]


def test_build_needs_modules_that_compile(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    part = SourcePart("part", tmp_path / "part")
    (part.folder / "package").symlink_to(CHECKOUT_TREE.root / "layers/package")
    (part.folder / "module.py").write_text("def (\n")
    target = {"Architecture": "arm64", "Runtime": f"python3.{sys.version_info.minor}"}
    with pytest.raises(CommandFailure, match=r"part does not build:(.|\n)*SyntaxError"):
        part.build(tmp_path / "failed", target)
    (part.folder / "module.py").write_text("TEXT = 1\n")
    part.build(tmp_path / "built", target)
    assert {it.suffix for it in (tmp_path / "built").rglob("*") if it.is_file()} == {".py", ".pyc"}


def zipped(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_new_package_has_the_new_modules_and_every_other_file(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    for name in ("own/__init__.py", "own/new.py", "task.py"):
        (tmp_path / name).write_text("new")
    old = {
        "python/own/__init__.py": "old",
        "python/own/deleted.py": "old",
        "python/own/__pycache__/deleted.cpython-313.pyc": "old",
        "python/own/data.pem": "old",
        "python/other.py": "old",
        "python/task.py": "old",
    }
    package = replaced(zipped(old), tmp_path, "python/")
    assert package
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        found = {name: archive.read(name).decode() for name in archive.namelist()}
    assert found == {
        "python/own/__init__.py": "new",
        "python/own/new.py": "new",
        "python/own/data.pem": "old",
        "python/other.py": "old",
        "python/task.py": "new",
    }


def test_equal_modules_make_no_new_package(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text("same")
    assert replaced(zipped({"task.py": "same", "other.py": "old"}), tmp_path, "") is None
