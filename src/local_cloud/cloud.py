"""AWS, Upstash and a model on loopback, with the stack deployed.

    with LocalCloud.start(model="echo") as cloud:
        cloud.stack.outputs["AskUrl"]                   what template.yaml puts out
        cloud.stack.request("POST", url, body={…})      a Function URL, signed: an httpx.Response
        cloud.stack.invoke("FlushCacheFunction", {})    by logical id: payload, error, seconds
        cloud.stack.fire_schedule()                     the scheduler runs it: its log lines
        cloud.stack.kill_environments("AskFunction")    the next call starts cold
        cloud.stack.logs(cloud.stack.physical("AskFunction"))
        cloud.model.calls, cloud.model.answers          what Bedrock got, what the model computed
        cloud.model.fail(Fault.THROTTLED, times=2)      and heal()
        cloud.aws.client("ssm"), cloud.aws.environment()
        cloud.upstash.url, cloud.upstash.token          the REST endpoint in front of cloud.redis
        cloud.deploy({"FlushState": "ENABLED"})         deploy again with other parameters
        cloud.build(), cloud.delete()                   sam build of cloud.tree, sam delete
        with cloud.upstash_at(token="wrong"): …         the functions look for it elsewhere
        cloud.check()                                   raises PartFailed if a part has died
        cloud.environment("AskFunction")                the same function under AWS's own runtime

Everything listens on loopback and on free ports only. However the block is left, no process and no
temporary file stays; a SIGKILL of this process may leave files.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from local_cloud.aws import sam
from local_cloud.aws.emulator import Aws
from local_cloud.aws.template import parameters
from local_cloud.lambda_runtime import Deployed, Environment
from local_cloud.model import Model, ModelName
from local_cloud.stack.stack import ALIAS, Stack
from local_cloud.story.progress import step, to_stderr
from upstash_endpoint.children import free_port
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

DEFAULT_CHOICES = {"FlushState": "DISABLED", "MaxTokens": "256"}
"""The nightly schedule stays off, or a run at that minute would be cleared in the middle; and a
small model that does not find an end is not listened to for long."""


@dataclass(frozen=True, slots=True)
class LocalCloud:
    """The running parts and the deployed stack."""

    folder: Path
    redis: RedisServer
    upstash: UpstashEndpoint
    model: Model
    aws: Aws
    stack: Stack
    tree: sam.Tree

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        *,
        model: ModelName = "smollm2",
        choices: Mapping[str, str] = DEFAULT_CHOICES,
        tree: sam.Tree = sam.HERE,
        progress: Callable[[str], None] = to_stderr,
    ) -> Iterator[Self]:
        """Build, start every part, deploy, and stop it all at the end.

        `choices` are template parameters that shall differ from their defaults; `tree` is what is
        deployed. Raises PartFailed, naming the part, when one does not come up.
        """
        with contextlib.ExitStack() as stop, _sigterm_raises():
            folder = Path(stop.enter_context(tempfile.TemporaryDirectory(prefix="local-cloud-")))
            with sam.alone(tree):
                if build := sam.start_build(folder, tree):
                    stop.callback(build.stop)
                with step(
                    f"starting Redis, Upstash's endpoint, AWS and the model {model}", progress
                ):
                    parts = _start_parts(model, folder, stop)
                if build:
                    with step("building the layer and the functions", progress):
                        build.wait()
                    sam.built(tree)
                with step("deploying template.yaml to the emulated AWS", progress):
                    stack = _deploy(parts.aws, choices, folder, tree.built)
            yield cls(folder, *parts, stack, tree)

    def build(self) -> None:
        """Build what the tree holds now, unless that was built already."""
        with sam.alone(self.tree):
            if build := sam.start_build(self.folder, self.tree):
                build.wait()
                sam.built(self.tree)

    def deploy(
        self, choices: Mapping[str, str] = DEFAULT_CHOICES, *, template: Path | None = None
    ) -> Stack:
        """Deploy what was built with other parameters, and return the stack as it is then.

        `template` is another one than was built, in the same folder. Raises PartFailed, with what
        sam said, when the deployment fails.
        """
        with sam.alone(self.tree):
            return _deploy(self.aws, choices, self.folder, template or self.tree.built)

    def delete(self) -> None:
        """Delete the stack."""
        sam.start_delete(self.aws, self.folder).wait()

    @contextlib.contextmanager
    def environment(self, function: str, *, snapstart: bool = False) -> Iterator[Environment]:
        """Run a deployed function (its logical id) in a fresh environment of AWS's own runtime."""
        with self.downloaded(function) as deployed, self.running(deployed, snapstart) as running:
            yield running

    @contextlib.contextmanager
    def downloaded(self, function: str) -> Iterator[Deployed]:
        """Download a deployed function (its logical id) and its layers, for environments of it."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            yield Deployed.download(self.aws, self.stack.physical(function), ALIAS, Path(name))

    @contextlib.contextmanager
    def running(self, deployed: Deployed, snapstart: bool = False) -> Iterator[Environment]:
        """Run what was downloaded in a fresh environment of AWS's own runtime."""
        with (
            tempfile.TemporaryDirectory(dir=self.folder) as name,
            Environment.start(
                deployed, Path(name), variables=self.aws.variables(), snapstart=snapstart
            ) as environment,
        ):
            yield environment

    @contextlib.contextmanager
    def upstash_at(self, *, url: str = "", token: str = "") -> Iterator[None]:
        """Let the functions look for Upstash at another address, or with another token.

        Their environments start cold, before the block and after it.
        """
        self._move(url or self.upstash.url, token or self.upstash.token)
        try:
            yield
        finally:
            self._move(self.upstash.url, self.upstash.token)

    def _move(self, url: str, token: str) -> None:
        _tell_where_upstash_is(self.aws, url, token)
        for function in self.stack.functions:
            self.stack.kill_environments(function)

    def check(self) -> None:
        """Raise PartFailed, naming the part, if one has died."""
        self.model.child.check()
        self.aws.child.check()


class _Parts(NamedTuple):
    redis: RedisServer
    upstash: UpstashEndpoint
    model: Model
    aws: Aws


def _start_parts(name: ModelName, folder: Path, stop: contextlib.ExitStack) -> _Parts:
    port = free_port()
    model = Model.start(name, cloud_port=port, folder=folder / "model")
    stop.callback(model.stop)
    aws = Aws.start(port=port, bedrock_url=model.url, folder=folder / "aws")
    stop.callback(aws.stop)
    redis = stop.enter_context(RedisServer.start())
    upstash = stop.enter_context(UpstashEndpoint.spawn(redis, log=folder / "upstash.log"))
    model.wait()
    aws.wait()
    _tell_where_upstash_is(aws, upstash.url, upstash.token)
    return _Parts(redis, upstash, model, aws)


def _tell_where_upstash_is(aws: Aws, url: str, token: str) -> None:
    """Fill the parameters whose names the template has as defaults."""
    declared, ssm = parameters(sam.HERE.template), aws.client("ssm")
    for parameter, value in {"UpstashUrlParameter": url, "UpstashTokenParameter": token}.items():
        name = declared[parameter]["Default"]
        ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def _deploy(aws: Aws, choices: Mapping[str, str], folder: Path, template: Path) -> Stack:
    sam.start_deploy(aws, choices, folder, template).wait()
    return Stack.read(aws, sam.STACK)


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let a SIGTERM unwind the program as Ctrl-C does, so that everything is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(signum: int, _: FrameType | None) -> None:
    sys.exit(128 + signum)
