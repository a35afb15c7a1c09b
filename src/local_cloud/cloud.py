"""AWS, Upstash and a model on loopback, with the stack deployed.

    with LocalCloud.start(model="echo") as cloud:
        cloud.stack.outputs["AskUrl"]                   an output of template.yaml
        cloud.stack.request("POST", url, body={…})      a signed request to a Function URL
        cloud.stack.invoke("FlushCacheFunction", {})    by logical id: payload, error, seconds
        cloud.stack.fire_schedule()                     run the schedule once: its log lines
        cloud.stack.kill_environments("AskFunction")    make the next call a cold start
        cloud.stack.logs(cloud.stack.physical("AskFunction"))
        cloud.model.calls, cloud.model.answers          calls to Bedrock, answers of the model
        cloud.model.fail(BedrockFault.THROTTLED, times=2), cloud.model.heal()
        cloud.aws.client("ssm"), cloud.aws.environment()
        cloud.upstash.url, cloud.upstash.token          the REST endpoint in front of cloud.redis
        cloud.deploy({"FlushState": "ENABLED"})         deploy again with other parameters
        cloud.build(), cloud.delete()                   sam build of cloud.tree, sam delete
        with cloud.upstash_at(token="wrong"): …         the functions use another URL or token
        cloud.check()                                   raise PartFailed if a process has died
        cloud.environment("AskFunction")                run it under AWS's own runtime client

Everything listens on loopback, by default on free ports. All processes and temporary files are
removed at the end of the block, however it ends; only a SIGKILL of this process leaves files.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from local_cloud.aws import stack_deployment
from local_cloud.aws.build_log import report_artifacts
from local_cloud.aws.emulator import EmulatedAws
from local_cloud.checkout.source_tree import CHECKOUT_TREE, SourceTree
from local_cloud.checkout.template_parameters import declared_parameters
from local_cloud.lambda_runtime.deployed_function import DeployedFunction
from local_cloud.lambda_runtime.execution_environment import ExecutionEnvironment
from local_cloud.model.model_process import ModelName, ModelProcess
from local_cloud.progress import step, to_stderr
from local_cloud.stack.emulated_stack import ALIAS, EmulatedStack
from upstash_endpoint.children import free_port
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer
from upstash_endpoint.termination import signals_exit

DEFAULT_CHOICES = {"FlushState": "DISABLED", "MaxTokens": "256"}
"""No nightly flush, which could clear the cache during a run; and short answers, because the small
model may not end one."""


@dataclass(frozen=True, slots=True)
class Places:
    """The ports of the processes, each replaced by a free one if it is taken or 0, and the token.

    Without a token, Upstash has a random one.
    """

    aws: int = 0
    upstash: int = 0
    model: int = 0
    token: str | None = None


ANYWHERE = Places()


@dataclass(frozen=True, slots=True)
class LocalCloud:
    """The running processes and the deployed stack."""

    folder: Path
    redis: RedisServer
    upstash: UpstashEndpoint
    model: ModelProcess
    aws: EmulatedAws
    stack: EmulatedStack
    tree: SourceTree

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        *,
        model: ModelName = "smollm2",
        choices: Mapping[str, str] = DEFAULT_CHOICES,
        tree: SourceTree = CHECKOUT_TREE,
        places: Places = ANYWHERE,
        progress: Callable[[str], None] = to_stderr,
    ) -> Iterator[Self]:
        """Build and deploy `tree`, and stop everything at the end of the block.

        `choices` are template parameters that differ from their defaults. Raises PartFailed, with
        the name of the process, if one does not start.
        """
        with contextlib.ExitStack() as stop, signals_exit():
            folder = Path(stop.enter_context(tempfile.TemporaryDirectory(prefix="local-cloud-")))
            with stack_deployment.build_lock(tree):
                if build := stack_deployment.start_build(folder, tree):
                    stop.callback(build.stop)
                with step(f"starting Redis, Upstash, AWS and the model {model}", progress):
                    parts = _start_parts(model, folder, places, stop)
                if build:
                    with step("building the layer and the functions", progress):
                        report_artifacts(build, progress)
                        build.wait()
                    stack_deployment.mark_built(tree)
                with step("deploying template.yaml to the emulated AWS", progress):
                    stack = _deploy(parts.aws, choices, folder, tree.built)
            yield cls(folder, *parts, stack, tree)

    def build(self) -> None:
        """Build the sources of the tree, unless they are built already."""
        stack_deployment.build(self.folder, self.tree)

    def deploy(
        self, choices: Mapping[str, str] = DEFAULT_CHOICES, *, template: Path | None = None
    ) -> EmulatedStack:
        """Deploy the build with other parameters, and return the updated stack.

        `template` replaces the built template and lies in its folder. Raises PartFailed, with
        sam's output, if the deployment fails.
        """
        with stack_deployment.build_lock(self.tree):
            return _deploy(self.aws, choices, self.folder, template or self.tree.built)

    def delete(self) -> None:
        """Delete the stack."""
        stack_deployment.start_delete(self.aws, self.folder).wait()

    @contextlib.contextmanager
    def environment(
        self, function: str, *, snapstart: bool = False
    ) -> Iterator[ExecutionEnvironment]:
        """Run a deployed function (logical id) in a fresh environment of AWS's own runtime."""
        with self.downloaded(function) as deployed, self.running(deployed, snapstart) as running:
            yield running

    @contextlib.contextmanager
    def downloaded(self, function: str) -> Iterator[DeployedFunction]:
        """Download a deployed function (logical id) with its layers, to run it."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            physical = self.stack.physical(function)
            yield DeployedFunction.download(self.aws, physical, ALIAS, Path(name))

    @contextlib.contextmanager
    def running(
        self, deployed: DeployedFunction, snapstart: bool = False
    ) -> Iterator[ExecutionEnvironment]:
        """Run a downloaded function in a fresh environment of AWS's own runtime."""
        with (
            tempfile.TemporaryDirectory(dir=self.folder) as name,
            ExecutionEnvironment.start(
                deployed, Path(name), variables=self.aws.variables(), snapstart=snapstart
            ) as environment,
        ):
            yield environment

    @contextlib.contextmanager
    def upstash_at(self, *, url: str = "", token: str = "") -> Iterator[None]:
        """Give the functions another URL or token of Upstash during the block.

        Their next calls are cold starts, inside the block and after it.
        """
        self._set_upstash(url or self.upstash.url, token or self.upstash.token)
        try:
            yield
        finally:
            self._set_upstash(self.upstash.url, self.upstash.token)

    def _set_upstash(self, url: str, token: str) -> None:
        _store_upstash(self.aws, url, token)
        for function in self.stack.functions:
            self.stack.kill_environments(function)

    def check(self) -> None:
        """Raise PartFailed if the model or the emulated AWS has died."""
        self.model.child.check()
        self.aws.child.check()


class _Parts(NamedTuple):
    redis: RedisServer
    upstash: UpstashEndpoint
    model: ModelProcess
    aws: EmulatedAws


def _start_parts(
    name: ModelName, folder: Path, places: Places, stop: contextlib.ExitStack
) -> _Parts:
    port, at = free_port(places.aws), free_port(places.model)
    model = ModelProcess.start(name, cloud_port=port, folder=folder / "model", port=at)
    stop.callback(model.stop)
    aws = EmulatedAws.start(port=port, bedrock_url=model.url, folder=folder / "aws")
    stop.callback(aws.stop)
    redis = stop.enter_context(RedisServer.start())
    port, log = free_port(places.upstash), folder / "upstash.log"
    spawned = UpstashEndpoint.spawn(redis, token=places.token, port=port, log=log)
    upstash = stop.enter_context(spawned)
    model.wait()
    aws.wait()
    _store_upstash(aws, upstash.url, upstash.token)
    return _Parts(redis, upstash, model, aws)


def _store_upstash(aws: EmulatedAws, url: str, token: str) -> None:
    """Store the URL and the token in the SSM parameters that the template names by default."""
    declared, ssm = declared_parameters(CHECKOUT_TREE.template), aws.client("ssm")
    for parameter, value in {"UpstashUrlParameter": url, "UpstashTokenParameter": token}.items():
        name = declared[parameter]["Default"]
        ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def _deploy(
    aws: EmulatedAws, choices: Mapping[str, str], folder: Path, template: Path
) -> EmulatedStack:
    stack_deployment.start_deploy(aws, choices, folder, template).wait()
    return EmulatedStack.read(aws, stack_deployment.STACK_NAME)
