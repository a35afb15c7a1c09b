"""The files that are built and deployed, and the paths of their builds."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from local_cloud.checkout.tool_environments import CHECKOUT

# The template, and the files that it refers to.
_DEPLOYED = ("template.yaml", "functions", "layers", "src/llm_cache", "LICENSE", "README.md")


@dataclass(frozen=True, slots=True)
class SourceTree:
    """The checkout, or a copy of it that tests may change."""

    root: Path = CHECKOUT

    @property
    def template(self) -> Path:
        """The source template."""
        return self.root / "template.yaml"

    @property
    def build(self) -> Path:
        """The folder of all builds for the local cloud."""
        return self.root / ".build" / "local"

    @property
    def built(self) -> Path:
        """The template that `sam build` writes."""
        return self.build / "build" / "template.yaml"

    @property
    def stamp(self) -> Path:
        """The file with the hash of the sources of the last build."""
        return self.build / "built"

    @property
    def served(self) -> Path:
        """The file with the address of the emulated AWS while `make serve` runs."""
        return self.build / "served"

    def digest(self, target: object) -> str:
        """Return a hash of `target` and of all files that a build reads, links followed."""
        digest = hashlib.sha256(repr(target).encode() + self.template.read_bytes())
        for top in ("functions", "layers"):
            for folder, _, names in sorted(os.walk(self.root / top, followlinks=True)):
                for name in sorted(names):
                    path = Path(folder, name)
                    if path.suffix != ".pyc":
                        content = hashlib.sha256(path.read_bytes()).hexdigest()
                        digest.update(f"{path.relative_to(self.root)} {content}\n".encode())
        return digest.hexdigest()

    def copy(self, root: Path) -> Self:
        """Copy the deployed files, without builds, to a new folder."""
        for name in _DEPLOYED:
            source, to = self.root / name, root / name
            to.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, to, symlinks=True, ignore=ignore)
            else:
                shutil.copy(source, to)
        return type(self)(root)


CHECKOUT_TREE = SourceTree()
