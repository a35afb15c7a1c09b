"""What stands behind Bedrock: SmolLM2-135M, or an echo that starts at once."""

from __future__ import annotations

import json
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from local_cloud.model.faults import Fault
from local_cloud.tools import CHECKOUT, bare_environment, interpreter
from upstash_endpoint.children import Child, free_port, wait_until

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Fault", "Model", "ModelName"]

ModelName = Literal["smollm2", "echo"]
START_SECONDS = 60
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Model:
    """A model that the emulated AWS and the functions call over loopback.

    `url` is both the base address of an OpenAI-style server (without `/v1`) and the endpoint to
    name in `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`.
    """

    name: ModelName
    url: str
    child: Child

    @classmethod
    def start(cls, name: ModelName, *, cloud_port: int, folder: Path) -> Self:
        """Start the model; `wait` returns when it can be asked.

        `cloud_port` is where the emulated AWS listens, or will: Bedrock calls go on to it.
        """
        port = free_port()
        python = interpreter("model") if name == "smollm2" else sys.executable
        env = {**bare_environment(folder), "PYTHONPATH": str(CHECKOUT / "src")}
        argv = [python, "-m", "local_cloud.model.server", name, str(port)]
        argv.append(f"127.0.0.1:{cloud_port}")
        child = Child.start(f"the model {name}", argv, env=env, log=folder / "model.log")
        return cls(name, f"http://127.0.0.1:{port}", child)

    def wait(self) -> None:
        """Return when the model is loaded; raises PartFailed when it does not get there."""
        wait_until(
            lambda: bool(self._get()),
            seconds=START_SECONDS,
            what=self.child.name,
            child=self.child,
        )

    @property
    def calls(self) -> int:
        """How many calls Bedrock has received, failed ones and retries included."""
        return self._get()["calls"]

    @property
    def answers(self) -> int:
        """How many answers the model has computed."""
        return self._get()["answers"]

    def fail(self, fault: Fault, *, times: int | None = None, seconds: float = 0.0) -> None:
        """Let the next `times` Bedrock calls suffer `fault`, or all until `heal`.

        `seconds` is how long a slow call waits before it goes on.
        """
        self._put({"fault": fault, "times": times, "seconds": seconds})

    def heal(self) -> None:
        """End a fault."""
        self._put(None)

    def stop(self) -> None:
        """Stop the model."""
        self.child.kill()

    def _get(self) -> dict[str, int]:
        with _OPENER.open(self.url, timeout=5) as response:
            counts: dict[str, int] = json.load(response)
            return counts

    def _put(self, plan: dict[str, Any] | None) -> None:
        request = urllib.request.Request(  # noqa: S310 - always our own http address
            self.url, json.dumps(plan).encode(), method="PUT"
        )
        _OPENER.open(request, timeout=5).close()
