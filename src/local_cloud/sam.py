"""The real `sam build` and `sam deploy` of template.yaml, for this host and to the emulated AWS."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local_cloud.aws import without_account
from local_cloud.children import Child, PartFailed
from local_cloud.template import parameters
from local_cloud.tools import CHECKOUT, interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local_cloud.aws import Aws

TEMPLATE = CHECKOUT / "template.yaml"
BUILD = CHECKOUT / ".build" / "local"
_BUILT = BUILD / "built"
STACK = "llm-cache"
_BUCKET = "local-cloud-deployments"
_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}
# What ministack refuses to make: an alarm on an expression of two metrics.
_WITHOUT = {"HitRateAlarm": "0"}
# Settings of this process that would reach into sam, or into the make that sam starts.
_FOREIGN = ("SAM_", "PYTHON", "MAKE", "MFLAGS")


def target() -> dict[str, str]:
    """Return the parameters that build and deploy for this host's Python and processor.

    Raises PartFailed where Lambda has no such Python.
    """
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    allowed = parameters(TEMPLATE)["Runtime"]["AllowedValues"]
    if runtime not in allowed:
        raise PartFailed(
            f"the template knows {', '.join(allowed)}, and this is {runtime}: "
            "make PYTHON=/path/to/python chooses another"
        )
    return {"Runtime": runtime, "Architecture": _ARCHITECTURES[platform.machine().lower()]}


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep the build folder to this process; another one waits until it is done."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start_build(folder: Path) -> Child | None:
    """Start `sam build`, or return None when what it would build is there already.

    Call `built` when it has ended well. (sam's own cache builds functions with a Makefile anew.)
    """
    if _BUILT.exists() and _BUILT.read_text() == sources():
        return None
    _BUILT.unlink(missing_ok=True)
    arguments = ["--template", str(TEMPLATE), "--build-dir", str(BUILD / "build"), "--cached"]
    arguments += ["--parallel", "--cache-dir", str(BUILD / "cache"), *_overrides(target())]
    return _start("sam build", ["build", *arguments], without_account(os.environ), folder)


def built() -> None:
    """Remember that the present sources have been built."""
    _BUILT.write_text(sources())


def sources() -> str:
    """Return a hash of the template, the target, and what is built, links followed."""
    digest = hashlib.sha256(repr(target()).encode() + TEMPLATE.read_bytes())
    for top in ("functions", "layers"):
        for folder, _, names in sorted(os.walk(CHECKOUT / top, followlinks=True)):
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix != ".pyc":
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                    digest.update(f"{path.relative_to(CHECKOUT)} {content}\n".encode())
    return digest.hexdigest()


def start_deploy(aws: Aws, choices: Mapping[str, str], folder: Path) -> Child:
    """Start `sam deploy` of what was built; `choices` are parameters that differ from the default.

    A second deploy updates the stack.
    """
    aws.client("s3").create_bucket(Bucket=_BUCKET)
    built = str(BUILD / "build" / "template.yaml")
    arguments = ["--template", built, "--stack-name", STACK, "--s3-bucket", _BUCKET]
    arguments += ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
    arguments += ["--no-fail-on-empty-changeset", "--no-progressbar"]
    arguments += _overrides(target() | _WITHOUT | dict(choices))
    return _start("sam deploy", ["deploy", *arguments], aws.environment(), folder)


def _start(name: str, arguments: list[str], base: Mapping[str, str], folder: Path) -> Child:
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
    argv = [interpreter("sam"), "-m", "samcli", *arguments, "--config-file", str(settings)]
    return Child.start(name, argv, env=env, cwd=CHECKOUT, log=folder / f"{name}.log")


def _overrides(choices: Mapping[str, str]) -> list[str]:
    pairs = [f"ParameterKey={key},ParameterValue={value}" for key, value in choices.items()]
    return ["--parameter-overrides", *pairs]
