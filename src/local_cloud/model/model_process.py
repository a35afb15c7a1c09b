"""Start the model behind the emulated Bedrock: SmolLM2-135M, or an echo without a model."""

import json
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from local_cloud.checkout.tool_environments import CHECKOUT, bare_environment, interpreter
from local_cloud.model.bedrock_faults import BedrockFault
from upstash_endpoint.children import Child, free_port

ModelName = Literal["smollm2", "echo"]
START_SECONDS = 60
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class ModelProcess:
    """A process that serves a model on loopback.

    `url` is both the base address of an OpenAI-style server (without `/v1`) and the value of
    `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`.
    """

    name: ModelName
    url: str
    child: Child

    @classmethod
    def start(cls, name: ModelName, *, cloud_port: int, folder: Path, port: int = 0) -> Self:
        """Start the process, by default on a free port; `wait` returns when the model is loaded.

        Bedrock calls are forwarded to the emulated AWS at `cloud_port`, which may start later.
        """
        port = port or free_port()
        python = interpreter("model") if name == "smollm2" else sys.executable
        env = {**bare_environment(folder), "PYTHONPATH": str(CHECKOUT / "src")}
        argv = [python, "-m", "local_cloud.model.server", name, str(port)]
        argv.append(f"127.0.0.1:{cloud_port}")
        child = Child.start(f"the model {name}", argv, env=env, log=folder / "model.log")
        return cls(name, f"http://127.0.0.1:{port}", child)

    def wait(self) -> None:
        """Return when the model is loaded; raise PartFailed after 60 seconds."""
        self.child.wait_ready(lambda: bool(self._get()), seconds=START_SECONDS)

    @property
    def calls(self) -> int:
        """The number of calls to Bedrock, failed calls and retries included."""
        return self._get()["calls"]

    @property
    def answers(self) -> int:
        """The number of answers that the model has computed."""
        return self._get()["answers"]

    def fail(self, fault: BedrockFault, *, times: int | None = None, seconds: float = 0.0) -> None:
        """Apply `fault` to the next `times` Bedrock calls, or to all until `heal`.

        `seconds` is the delay of a slow call.
        """
        self._put({"fault": fault, "times": times, "seconds": seconds})

    def heal(self) -> None:
        """End a fault."""
        self._put(None)

    def stop(self) -> None:
        """Stop the process."""
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
