"""Build the stack, deploy it to the emulated AWS and delete it, with the real `sam`."""

import contextlib
import fcntl
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from local_cloud.aws.emulator import EmulatedAws, without_account
from local_cloud.checkout.sam_process import SAM_VARIABLES, parameter_overrides, sam_command
from local_cloud.checkout.source_tree import CHECKOUT_TREE, SourceTree
from local_cloud.checkout.template_parameters import declared_parameters, default_values
from upstash_endpoint.children import Child, PartFailed

STACK_NAME = "llm-cache"
UPLOAD_BUCKET = "local-cloud-deployments"
# The emulator supports no alarm on an expression of two metrics.
UNSUPPORTED = {"HitRateAlarm": "0"}
_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}
# Variables of this process that would change sam, or the make that sam starts.
_REMOVED = ("SAM_", "PYTHON", "MAKE", "MFLAGS")


def host_target() -> dict[str, str]:
    """Return the parameters that select this host's Python and processor.

    Raises PartFailed if Lambda has no such Python.
    """
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    allowed = declared_parameters(CHECKOUT_TREE.template)["Runtime"]["AllowedValues"]
    if runtime not in allowed:
        raise PartFailed(
            f"{runtime} is not a runtime of the template ({', '.join(allowed)}):"
            " choose another with make PYTHON=/path/to/python"
        )
    return {"Runtime": runtime, "Architecture": _ARCHITECTURES[platform.machine().lower()]}


@contextlib.contextmanager
def build_lock(tree: SourceTree = CHECKOUT_TREE) -> Iterator[None]:
    """Lock the build folder against other processes."""
    tree.build.mkdir(parents=True, exist_ok=True)
    with (tree.build / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(folder: Path, tree: SourceTree = CHECKOUT_TREE) -> None:
    """Build the sources of `tree`, unless they are built already."""
    with build_lock(tree):
        if started := start_build(folder, tree):
            started.wait()
            mark_built(tree)


def start_build(folder: Path, tree: SourceTree = CHECKOUT_TREE) -> Child | None:
    """Start `sam build`, or return None if the sources are built already.

    Call `mark_built` after it succeeds. (sam's own cache rebuilds functions with a Makefile.)
    """
    if tree.stamp.exists() and tree.stamp.read_text() == tree.digest(host_target()):
        return None
    tree.stamp.unlink(missing_ok=True)
    arguments = ["--template", str(tree.template), "--build-dir", str(tree.built.parent)]
    arguments += ["--cached", "--parallel", "--cache-dir", str(tree.build / "cache")]
    arguments += parameter_overrides(host_target())
    return _start("build", arguments, without_account(os.environ), folder, tree)


def mark_built(tree: SourceTree = CHECKOUT_TREE) -> None:
    """Record that the present sources are built."""
    tree.stamp.write_text(tree.digest(host_target()))


def start_deploy(
    aws: EmulatedAws, choices: Mapping[str, str], folder: Path, template: Path
) -> Child:
    """Start `sam deploy` of a built template, which creates or updates the stack.

    `choices` are parameters that differ from their defaults. All parameters are passed, because
    an update keeps the previous value of a parameter that is not.
    """
    aws.client("s3").create_bucket(Bucket=UPLOAD_BUCKET)
    arguments = ["--template", str(template), "--stack-name", STACK_NAME]
    arguments += ["--s3-bucket", UPLOAD_BUCKET, "--capabilities", "CAPABILITY_IAM"]
    arguments += ["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"]
    defaults = default_values(declared_parameters(template))
    arguments += parameter_overrides({**defaults, **host_target(), **UNSUPPORTED, **choices})
    return _start("deploy", arguments, aws.environment(), folder)


def start_delete(aws: EmulatedAws, folder: Path) -> Child:
    """Start `sam delete` of the stack and of its uploads."""
    arguments = ["--stack-name", STACK_NAME, "--no-prompts"]
    return _start("delete", arguments, aws.environment(), folder)


def _start(
    command: str,
    arguments: list[str],
    base: Mapping[str, str],
    folder: Path,
    tree: SourceTree = CHECKOUT_TREE,
) -> Child:
    config = folder / "samconfig.toml"  # the checkout's own is for real accounts
    config.write_text("version = 0.1\n")
    kept = {key: value for key, value in base.items() if not key.startswith(_REMOVED)}
    env = {
        **kept,
        **SAM_VARIABLES,
        "PACKAGE_FOR": "lambda" if sys.platform == "linux" else "host",
        "UV_PYTHON_DOWNLOADS": "never",  # this Python compiles the bytecode
        "SAM_CLI_POLL_DELAY": "0.5",
        "__SAM_CLI_APP_DIR": str(folder),
        "TMPDIR": str(folder),
    }
    argv, log = sam_command(command, *arguments, config=config), folder / f"sam {command}.log"
    return Child.start(f"sam {command}", argv, env=env, cwd=tree.root, log=log)
