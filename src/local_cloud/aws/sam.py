"""The real `sam` on template.yaml: build for this host, deploy to the emulated AWS, delete."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from local_cloud.aws.emulator import without_account
from local_cloud.aws.template import defaults, parameters
from local_cloud.tools import CHECKOUT, interpreter
from upstash_endpoint.children import Child, PartFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local_cloud.aws.emulator import Aws

STACK = "llm-cache"
BUCKET = "local-cloud-deployments"
_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}
# What ministack refuses to make: an alarm on an expression of two metrics.
WITHOUT = {"HitRateAlarm": "0"}
# Settings of this process that would reach into sam, or into the make that sam starts.
_FOREIGN = ("SAM_", "PYTHON", "MAKE", "MFLAGS")
# What the template names.
_DEPLOYED = ("template.yaml", "functions", "layers", "src/llm_cache", "LICENSE", "README.md")


@dataclass(frozen=True, slots=True)
class Tree:
    """What is built and deployed: the checkout, or a copy of it that may be changed."""

    root: Path = CHECKOUT

    @property
    def template(self) -> Path:
        """The template."""
        return self.root / "template.yaml"

    @property
    def build(self) -> Path:
        """The folder that all builds for the local cloud go to."""
        return self.root / ".build" / "local"

    @property
    def built(self) -> Path:
        """The template that `sam build` leaves beside what it built."""
        return self.build / "build" / "template.yaml"

    @property
    def stamp(self) -> Path:
        """The file that holds the hash of the sources that were built last."""
        return self.build / "built"

    @property
    def served(self) -> Path:
        """The file that holds the address of the local AWS while `make serve` is up."""
        return self.build / "served"

    def copy(self, root: Path) -> Self:
        """Copy what is deployed, and no build of it, to a new folder."""
        for name in _DEPLOYED:
            source, to = self.root / name, root / name
            to.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                leave = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, to, symlinks=True, ignore=leave)
            else:
                shutil.copy(source, to)
        return type(self)(root)


HERE = Tree()


def target() -> dict[str, str]:
    """Return the parameters that build and deploy for this host's Python and processor.

    Raises PartFailed where Lambda has no such Python.
    """
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    allowed = parameters(HERE.template)["Runtime"]["AllowedValues"]
    if runtime not in allowed:
        raise PartFailed(
            f"the template knows {', '.join(allowed)}, and this is {runtime}: "
            "make PYTHON=/path/to/python chooses another"
        )
    return {"Runtime": runtime, "Architecture": _ARCHITECTURES[platform.machine().lower()]}


@contextlib.contextmanager
def alone(tree: Tree = HERE) -> Iterator[None]:
    """Keep the build folder to this process; another one waits until it is done."""
    tree.build.mkdir(parents=True, exist_ok=True)
    with (tree.build / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start_build(folder: Path, tree: Tree = HERE) -> Child | None:
    """Start `sam build`, or return None when what it would build is there already.

    Call `built` when it has ended well. (sam's own cache builds functions with a Makefile anew.)
    """
    if tree.stamp.exists() and tree.stamp.read_text() == sources(tree):
        return None
    tree.stamp.unlink(missing_ok=True)
    arguments = ["--template", str(tree.template), "--build-dir", str(tree.built.parent)]
    arguments += ["--cached", "--parallel", "--cache-dir", str(tree.build / "cache")]
    arguments += given(target())
    return _start("build", arguments, without_account(os.environ), folder, tree)


def built(tree: Tree = HERE) -> None:
    """Remember that the present sources have been built."""
    tree.stamp.write_text(sources(tree))


def sources(tree: Tree = HERE) -> str:
    """Return a hash of the template, the target, and what is built, links followed."""
    digest = hashlib.sha256(repr(target()).encode() + tree.template.read_bytes())
    for top in ("functions", "layers"):
        for folder, _, names in sorted(os.walk(tree.root / top, followlinks=True)):
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix != ".pyc":
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                    digest.update(f"{path.relative_to(tree.root)} {content}\n".encode())
    return digest.hexdigest()


def start_deploy(aws: Aws, choices: Mapping[str, str], folder: Path, template: Path) -> Child:
    """Start `sam deploy` of a template that was built; a second one updates the stack.

    `choices` are parameters that differ from the default. All are given: sam leaves a parameter
    that it is not given as the deployment before had it.
    """
    aws.client("s3").create_bucket(Bucket=BUCKET)
    arguments = ["--template", str(template), "--stack-name", STACK, "--s3-bucket", BUCKET]
    arguments += ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
    arguments += ["--no-fail-on-empty-changeset", "--no-progressbar"]
    arguments += given(defaults(parameters(template)) | target() | WITHOUT | dict(choices))
    return _start("deploy", arguments, aws.environment(), folder)


def start_delete(aws: Aws, folder: Path) -> Child:
    """Start `sam delete` of the stack, and of what was uploaded for it."""
    arguments = ["--stack-name", STACK, "--no-prompts"]
    return _start("delete", arguments, aws.environment(), folder)


def _start(
    command: str, arguments: list[str], base: Mapping[str, str], folder: Path, tree: Tree = HERE
) -> Child:
    settings = folder / "samconfig.toml"  # not the checkout's: that one is for real accounts
    settings.write_text("version = 0.1\n")
    kept = {key: value for key, value in base.items() if not key.startswith(_FOREIGN)}
    env = kept | {
        "PYTHON": sys.executable,  # builds the layer and the functions
        "PACKAGE_FOR": "lambda" if sys.platform == "linux" else "host",
        "UV_PYTHON_DOWNLOADS": "never",  # this Python compiles for itself
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.5",
        "__SAM_CLI_APP_DIR": str(folder),
        "TMPDIR": str(folder),
    }
    argv = [interpreter("sam"), "-m", "samcli", command, *arguments]
    argv += ["--config-file", str(settings)]
    log = folder / f"sam {command}.log"
    return Child.start(f"sam {command}", argv, env=env, cwd=tree.root, log=log)


def given(choices: Mapping[str, str]) -> list[str]:
    """Return parameters as sam takes those with spaces, which a schedule's expression has."""
    pairs = [f'ParameterKey={key},ParameterValue="{value}"' for key, value in choices.items()]
    return ["--parameter-overrides", *pairs] if pairs else []
