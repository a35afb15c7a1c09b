"""The emulated AWS, and environment variables that keep clients away from the real AWS."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import botocore.session
import httpx
from botocore.config import Config

from local_cloud.checkout.tool_environments import bare_environment, interpreter
from upstash_endpoint.children import Child

REGION = "us-east-1"
KEY = "test"
START_SECONDS = 60
INVOKE_SECONDS = 900
NO_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": KEY,
    "AWS_SESSION_TOKEN": KEY,  # functions always have one, and it enters LangChain's cache key
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Invalid credentials, with every other source of credentials disabled."""
_LOOPBACK = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
_ONCE = Config(
    proxies={},
    read_timeout=INVOKE_SECONDS,
    max_pool_connections=64,
    retries={"total_max_attempts": 1},
)
_LAUNCHER = Path(__file__).with_name("_ministack.py")


def without_account(base: Mapping[str, str]) -> dict[str, str]:
    """Return `base` without the user's AWS settings, and without a proxy for loopback."""
    kept = {name: value for name, value in base.items() if not name.startswith("AWS_")}
    return kept | _LOOPBACK | NO_ACCOUNT


def _direct() -> httpx.Client:
    limits = httpx.Limits(max_connections=None)
    return httpx.Client(trust_env=False, timeout=INVOKE_SECONDS, limits=limits)


@dataclass(frozen=True, slots=True)
class EmulatedAws:
    """A supervised ministack process, and clients of it.

    The functions run in its child processes. Of the user's environment they inherit nothing.
    """

    port: int
    bedrock_url: str
    folder: Path
    child: Child
    http: httpx.Client = field(default_factory=_direct, repr=False)
    """Sends requests to loopback, without the proxy that the environment may name."""
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def start(cls, *, port: int, bedrock_url: str, folder: Path) -> Self:
        """Start the emulator; `wait` returns when it answers.

        The functions send Bedrock calls to `bedrock_url`, and so does ministack itself. `folder`
        holds all state.
        """
        env = {
            **bare_environment(folder),
            **NO_ACCOUNT,
            "BIND_HOST": "127.0.0.1",  # its default is every interface
            "GATEWAY_PORT": str(port),
            "MINISTACK_REGION": REGION,
            "MINISTACK_BEDROCK_PROXY_URL": bedrock_url,
            "MINISTACK_BEDROCK_PROXY_TIMEOUT_SECONDS": str(INVOKE_SECONDS),
            "S3_DATA_DIR": str(folder / "s3"),
            "STATE_DIR": str(folder / "state"),
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock_url,
        }
        argv = [interpreter("aws"), str(_LAUNCHER), interpreter("runtime")]
        child = Child.start("the emulated AWS", argv, env=env, log=folder / "ministack.log")
        return cls(port, bedrock_url, folder, child)

    @property
    def endpoint_url(self) -> str:
        """The address of every AWS service but Bedrock's runtime."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Return when the emulator answers; raise PartFailed after 60 seconds."""
        self.child.wait_ready(self._answers, seconds=START_SECONDS)

    def variables(self) -> dict[str, str]:
        """Return the AWS_* variables that direct boto3 to the emulator."""
        return {
            **NO_ACCOUNT,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.bedrock_url,
        }

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return `base` with its AWS_* variables replaced by `variables`."""
        return without_account(base) | self.variables()

    def client(self, service: str) -> Any:
        """Return a boto3 client of the emulator, which ignores this process's environment.

        It never retries a request. Threads may share it.
        """
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._create(service)
            return self._clients[service]

    def stop(self) -> None:
        """Stop the emulator and its functions, and close all clients."""
        for client in self._clients.values():
            client.close()
        self.http.close()
        self.child.kill()  # an orderly stop would take seconds and save nothing

    def _create(self, service: str) -> Any:
        session = botocore.session.Session(profile="default")
        session.set_config_variable("config_file", str(self._config_file()))
        session.set_config_variable("credentials_file", os.devnull)
        return session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self.bedrock_url if service == "bedrock-runtime" else self.endpoint_url,
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
            config=_ONCE,
        )

    def _answers(self) -> bool:
        try:
            return self.http.get(f"{self.endpoint_url}/_ministack/health", timeout=5).is_success
        except httpx.TransportError:
            return False

    def _config_file(self) -> Path:
        # An empty profile, because botocore would otherwise look up the one in AWS_PROFILE.
        path = self.folder / "aws-config"
        path.write_text("[default]\n")
        return path
