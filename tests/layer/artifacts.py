"""What `sam build` makes of the tree, for one architecture and runtime, and how to run it."""

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

from local_cloud.aws import sam as local_sam

ROOT = Path(__file__).parents[2]
SAM = ROOT / ".tools/sam/bin/sam"
BUILT_FROM = ("template.yaml", "layers", "functions", "src/llm_cache")
# What the Lambda runtime itself has on its path, boto3 among it.
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
# Of the same Python, so that it has bytecode here too; `make nightly` builds every target.
CROSS = Target("x86_64" if HOST.architecture == "arm64" else "arm64", HOST.runtime)


FUNCTIONS = ("AskFunction", "FlushCacheFunction", "SummarizeFunction")
ELF_MACHINES = {"arm64": 0xB7, "x86_64": 0x3E}


@dataclass(frozen=True)
class Artifacts:
    """The packages of one build, each as Lambda would mount it."""

    target: Target
    folder: Path

    @property
    def layer(self) -> Path:
        return self.folder / "LlmCacheLayer/python"

    @property
    def packages(self) -> list[Path]:
        """The layer and, where they were built, the functions."""
        functions = [self.folder / function for function in FUNCTIONS]
        return [self.layer, *(folder for folder in functions if folder.exists())]

    def run(self, function: str | None, script: str, **environ: str) -> str:
        """Run a script with nothing importable but the runtime, the layer and one function."""
        task = [self.folder / function] if function else []
        path = [str(entry) for entry in (*task, self.layer, RUNTIME)]
        # Neither user nor site packages, nor what a .pth file of this environment would add.
        command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {path}\n{script}"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def build(target: Target) -> Artifacts:
    """Build with the real sam, unless what lies in `.build` was built from the same sources.

    The local cloud's build is for this machine, and is shared with it. For another machine only the
    layer is built: the functions add no native library.
    """
    if target == HOST and sys.platform == "linux":
        return Artifacts(target, local_cloud())
    home = ROOT / ".build" / str(target)
    artifacts = Artifacts(target, home / "build")
    stamp = home / "sources.sha256"
    digest = sources()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests of another process may want it too
        if not (stamp.exists() and stamp.read_text() == digest):
            stamp.unlink(missing_ok=True)
            sam_build(target, artifacts.folder)
            stamp.write_text(digest)
    return artifacts


def local_cloud() -> Path:
    """Return the folder that the local cloud deploys from."""
    with tempfile.TemporaryDirectory() as folder, local_sam.alone():
        if building := local_sam.start_build(Path(folder)):
            building.wait()
            local_sam.built()
    return local_sam.HERE.built.parent


def sam_build(target: Target, folder: Path) -> None:
    what = [] if target == HOST else ["LlmCacheLayer"]
    where = ["--no-cached", "--build-dir", str(folder)]
    done = sam("build", *what, *where, "--parameter-overrides", *target.overrides)
    assert done.returncode == 0, done.stderr


def sam(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run([str(SAM), *arguments], ROOT)


def run(command: list[str], folder: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run what may call make, and let nothing of the make that started the tests reach it."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))
    }
    # What compiles is this Python or none: tests fetch no other.
    ours = {"SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    environ = {**kept, **ours, **extra}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def sources() -> str:
    """Return a digest over all that a build reads, and the Python that compiles it."""
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
