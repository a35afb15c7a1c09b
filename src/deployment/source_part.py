"""The sources of one function or of the layer, and their build without the other packages."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployment.stack_functions import name_of
from llm_cache._stack.command_failure import CommandFailure
from local_cloud.checkout.source_tree import CHECKOUT_TREE, SourceTree
from local_cloud.checkout.template_parameters import code_folders

State = Mapping[Path, tuple[int, int]]
"""Time and size of files."""

LAYER = "layer"
_BUILD = "package"  # the link to layers/package
_ELSEWHERE = ("Makefile", "requirements.txt", "layer.txt")


@dataclass(frozen=True, slots=True)
class SourcePart:
    """A function or the layer: its folder, its place in the zip, and where Lambda mounts it."""

    name: str
    folder: Path
    prefix: str = ""
    mounted: str = "/var/task"

    @property
    def sources(self) -> list[Path]:
        """The modules and packages that the part's Makefile copies."""
        packages = (it.parent for it in self.folder.glob("*/__init__.py"))
        return [*self.folder.glob("*.py"), *(it for it in packages if it.name != _BUILD)]

    def state(self) -> State:
        """Return the state of every module."""
        modules = (it for source in self.sources for it in _modules(source))
        return _state(modules)

    def build_state(self) -> State:
        """Return the state of the files that only a whole build reads."""
        return _state(self.folder / name for name in _ELSEWHERE)

    def build(self, into: Path, target: Mapping[str, str]) -> None:
        """Copy, prune and compile the sources as `sam build` does, without installing packages.

        Takes about a second. Raises CommandFailure, with the compiler's message, for a module that
        does not compile.
        """
        argv = [sys.executable, "-m", _BUILD, *(it.name for it in self.sources)]
        argv += ["--into", str(into), "--mounted", self.mounted]
        argv += ["--architecture", target["Architecture"]]
        argv += ["--python", target["Runtime"].removeprefix("python")]
        env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
        done = subprocess.run(
            argv, cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CommandFailure(f"{self.name} does not build:\n{done.stdout}{done.stderr}".strip())


def source_parts(tree: SourceTree = CHECKOUT_TREE) -> list[SourcePart]:
    """Return the layer and the functions of the template."""
    layer = SourcePart(LAYER, tree.root / "layers/llm_cache", "python/", "/opt/python")
    folders = code_folders(tree.template)
    return [layer, *(SourcePart(name_of(it), tree.root / at) for it, at in folders.items())]


def _modules(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for folder, _, names in os.walk(source, followlinks=True):
        yield from (Path(folder, name) for name in names if name.endswith(".py"))


def _state(paths: Iterator[Path]) -> State:
    found = {}
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:  # an editor replaces it, or the part has no such file
            continue
        found[path] = status.st_mtime_ns, status.st_size
    return found
