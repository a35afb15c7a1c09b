"""Build the packages with `sam build` for one architecture and runtime, and run them."""

import fcntl
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local_cloud.aws import stack_deployment
from local_cloud.checkout.source_tree import CHECKOUT_TREE

ROOT = Path(__file__).parents[2]
SAM = ROOT / ".tools/sam/bin/sam"
BUILT_FROM = ("template.yaml", "layers", "functions", "src/llm_cache")
# The packages of the Lambda runtime itself, with boto3.
RUNTIME = next((ROOT / ".tools/runtime/lib").glob("python3*/site-packages"))


@dataclass(frozen=True)
class Target:
    architecture: str
    runtime: str

    @property
    def overrides(self) -> list[str]:
        return [f"Architecture={self.architecture}", f"Runtime={self.runtime}"]

    def __str__(self) -> str:
        return f"{self.architecture}-{self.runtime}"


HOST = Target(
    "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64",
    f"python{sys.version_info.major}.{sys.version_info.minor}",
)
# The same Python, so that it gets bytecode here; `make nightly` builds every target.
CROSS = Target("x86_64" if HOST.architecture == "arm64" else "arm64", HOST.runtime)

FUNCTIONS = ("AskFunction", "FlushCacheFunction", "SummarizeFunction")
ELF_MACHINES = {"arm64": 0xB7, "x86_64": 0x3E}


@dataclass(frozen=True)
class Artifacts:
    """The packages of one build, each as Lambda mounts it."""

    target: Target
    folder: Path

    @property
    def layer(self) -> Path:
        return self.folder / "LlmCacheLayer/python"

    @property
    def packages(self) -> list[Path]:
        """The layer, and the functions if they were built."""
        functions = [self.folder / function for function in FUNCTIONS]
        return [self.layer, *(folder for folder in functions if folder.exists())]

    def run(self, function: str | None, script: str, **environ: str) -> str:
        """Run a script that can import only the runtime, the layer and one function."""
        task = [self.folder / function] if function else []
        path = [str(entry) for entry in (*task, self.layer, RUNTIME)]
        # No user or site packages, and no .pth files.
        command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {path}\n{script}"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def build(target: Target) -> Artifacts:
    """Build with the real sam, unless `.build` already holds a build of the same sources.

    The build for this machine is shared with the local cloud. For another architecture only the
    layer is built, since the functions add no native library.
    """
    if target == HOST and sys.platform == "linux":
        return Artifacts(target, build_for_local_cloud())
    home = ROOT / ".build" / str(target)
    artifacts = Artifacts(target, home / "build")
    stamp = home / "sources.sha256"
    digest = digest_of_sources()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may build it too
        if not (stamp.exists() and stamp.read_text() == digest):
            stamp.unlink(missing_ok=True)
            sam_build(target, artifacts.folder)
            stamp.write_text(digest)
    return artifacts


def build_for_local_cloud() -> Path:
    """Return the folder from which the local cloud deploys."""
    with tempfile.TemporaryDirectory() as folder:
        stack_deployment.build(Path(folder))
    return CHECKOUT_TREE.built.parent


def sam_build(target: Target, folder: Path) -> None:
    what = [] if target == HOST else ["LlmCacheLayer"]
    where = ["--no-cached", "--build-dir", str(folder)]
    done = sam("build", *what, *where, "--parameter-overrides", *target.overrides)
    assert done.returncode == 0, done.stderr


def sam(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run([str(SAM), *arguments], ROOT)


def run(command: list[str], folder: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command that may call make, without the variables of a make that runs the tests."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))
    }
    # Only this Python compiles; tests download no other.
    ours = {"SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    environ = {**kept, **ours, **extra}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def digest_of_sources() -> str:
    """Return a digest of all files that a build reads, and of the Python version."""
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted(_files()):
        digest.update(f"{file.relative_to(ROOT)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    for name in BUILT_FROM:
        path = ROOT / name
        found = path.rglob("*") if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)
