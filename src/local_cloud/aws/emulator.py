"""AWS on loopback, and an environment in which no client can reach the real one."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import botocore.session
import httpx
from botocore.config import Config

from local_cloud.tools import bare_environment, interpreter
from upstash_endpoint.children import Child, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

REGION = "us-east-1"
KEY = "test"
START_SECONDS = 60
INVOKE_SECONDS = 900
NOBODY = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": KEY,
    "AWS_SESSION_TOKEN": KEY,  # a function always has one, and LangChain's cache key shows it
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Credentials of no account, and no way to find others."""
_LOOPBACK = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
_ONCE = Config(
    proxies={},
    read_timeout=INVOKE_SECONDS,
    max_pool_connections=64,
    retries={"total_max_attempts": 1},
)
_LAUNCHER = Path(__file__).with_name("_ministack.py")


def without_account(base: Mapping[str, str]) -> dict[str, str]:
    """Return `base` without a trace of the user's AWS account; it reaches loopback directly."""
    kept = {name: value for name, value in base.items() if not name.startswith("AWS_")}
    return kept | _LOOPBACK | NOBODY


def _direct() -> httpx.Client:
    limits = httpx.Limits(max_connections=None)
    return httpx.Client(trust_env=False, timeout=INVOKE_SECONDS, limits=limits)


@dataclass(frozen=True, slots=True)
class Aws:
    """The emulated AWS: a supervised ministack.

    The functions run in child processes of it and inherit its environment: nothing of the
    user's, but where Bedrock is. Where everything else is, it tells them itself.
    """

    port: int
    bedrock_url: str
    folder: Path
    child: Child
    http: httpx.Client = field(default_factory=_direct, repr=False)
    """Sends a request to loopback as it is, whatever proxy the environment names."""
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def start(cls, *, port: int, bedrock_url: str, folder: Path) -> Self:
        """Start the emulator; `wait` returns when it answers.

        `bedrock_url` is the model's: Bedrock calls are sent there, and ministack asks it for the
        answers. All state lies in `folder`.
        """
        env = (
            bare_environment(folder)
            | NOBODY
            | {
                "BIND_HOST": "127.0.0.1",  # its default is every interface
                "GATEWAY_PORT": str(port),
                "MINISTACK_REGION": REGION,
                "MINISTACK_BEDROCK_PROXY_URL": bedrock_url,
                "MINISTACK_BEDROCK_PROXY_TIMEOUT_SECONDS": str(INVOKE_SECONDS),
                "S3_DATA_DIR": str(folder / "s3"),
                "STATE_DIR": str(folder / "state"),
                "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock_url,
            }
        )
        argv = [interpreter("aws"), str(_LAUNCHER), interpreter("runtime")]
        child = Child.start("the emulated AWS", argv, env=env, log=folder / "ministack.log")
        return cls(port, bedrock_url, folder, child)

    @property
    def endpoint_url(self) -> str:
        """The address of every AWS service but Bedrock's runtime."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Return when it answers; raises PartFailed when it does not get there."""
        url = f"{self.endpoint_url}/_ministack/health"
        wait_until(
            lambda: self._answers(url),
            seconds=START_SECONDS,
            what=self.child.name,
            child=self.child,
        )

    def variables(self) -> dict[str, str]:
        """Return the AWS_* variables that lead boto3 here, and to no profile or role elsewhere."""
        return {
            **NOBODY,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.bedrock_url,
        }

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return `base` with every AWS_* variable replaced by `variables`, and no proxy used."""
        return without_account(base) | self.variables()

    def client(self, service: str) -> Any:
        """Return the boto3 client of this AWS, whatever this process's own environment says.

        It sends a request once: nothing is invoked twice behind a test's back. Threads share it.
        """
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._create(service)
            return self._clients[service]

    def stop(self) -> None:
        """Stop the emulator and the functions that run in it, and close the connections to it."""
        for client in self._clients.values():
            client.close()
        self.http.close()
        self.child.kill()  # it keeps nothing that would be worth the seconds it takes to end

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

    def _answers(self, url: str) -> bool:
        try:
            return self.http.get(url, timeout=5).is_success
        except httpx.TransportError:
            return False

    def _config_file(self) -> Path:
        # A profile named by AWS_PROFILE must not be looked for: name one that exists and is empty.
        path = self.folder / "aws-config"
        path.write_text("[default]\n")
        return path
