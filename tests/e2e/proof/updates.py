"""Deployments over a stack that is there: nothing changed, something changed, something broken."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.proof.inventory import pretended
from tests.e2e.proof.proof import timed
from tests.e2e.proof.published import Published

from local_cloud.aws.stack_deployment import UNSUPPORTED
from local_cloud.cloud import DEFAULT_CHOICES
from local_cloud.stack.ask_client import ask
from local_cloud.stack.emulated_stack import ALIAS, EmulatedStack
from upstash_endpoint.children import PartFailed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.proof.proof import Proof

ROLLED_BACK = "UPDATE_ROLLBACK_COMPLETE"
# Lambda refuses it, when all that it waits for has been updated: no such version is there.
BROKEN = """
  Broken:
    Type: AWS::Lambda::EventInvokeConfig
    DependsOn: [{aliases}]
    Properties: {{FunctionName: !Ref {function}, Qualifier: "999"}}"""


def complete(proof: Proof) -> None:
    """Compare what the template asks for with what the services list."""
    stack = EmulatedStack.read(proof.cloud.aws, proof.cloud.stack.name)
    wrong, kinds = pretended(stack), {kind for kind, _ in stack.resources.values()}
    proof.tell(
        "sam build, sam deploy: every resource is there",
        f"{len(stack.resources)} resources of {len(kinds)} types",
        true=not wrong,
        expected="every resource listed by its service",
        instead=wrong,
    )
    for choice, value in UNSUPPORTED.items():
        proof.note("left out: the emulator refuses it", f"{choice}={value}")


def again(proof: Proof, *, rebuild: bool = True) -> None:
    """Deploy the same sources once more, built anew."""
    before = Published.read(proof.cloud.stack)
    with timed() as taken:
        if rebuild:
            proof.cloud.tree.stamp.unlink()
            proof.cloud.build()
        proof.cloud.deploy()
    after = Published.read(proof.cloud.stack)
    proof.tell(
        "sam build, sam deploy again" if rebuild else "sam deploy again",
        "nothing published, nothing changed",
        true=after == before,
        expected="nothing changed",
        seconds=taken.seconds,
        instead=(before, after),
    )


def library(proof: Proof) -> None:
    """Change the library in the tree, so that the keys it tells of are others, and deploy."""
    question = "Which library answers?"
    ask(proof.cloud.stack, question)
    before, told = Published.read(proof.cloud.stack), _key(proof, question)
    _edit(proof)
    with timed() as taken:
        proof.cloud.build()
        proof.cloud.deploy()
    after = Published.read(proof.cloud.stack)
    layers, versions = after.layers - before.layers, after.versions - before.versions
    moved = {name: v + 1 for name, v in before.versions_live().items()} == after.versions_live()
    proof.tell(
        "the library is changed; sam build, sam deploy",
        f"{len(layers)} layer and {len(versions)} functions published, aliases moved",
        true=len(layers) == 1 and len(versions) == len(before.live) and moved,
        expected="a new layer version, and the aliases at new versions",
        seconds=taken.seconds,
        instead=(before, after),
    )
    came = _key(proof, question)
    proof.tell(
        "the answer of the changed library",
        f"{_form(told)} became {_form(came)}",
        true=_form(told) == "llm-cache:entry" and _form(came) == "llm-cache:entry2",
        expected="another key",
        instead=(told, came),
    )
    _roll_back(proof, question, [(before, told), (after, came)])
    complete(proof)


def parameters(proof: Proof) -> None:
    """Deploy with other parameters: what they are for has changed, by the alias too."""
    stack = proof.cloud.stack
    chosen = {"MaxTokens": "64", "LogRetentionDays": "7", "FlushSchedule": "rate(12 hours)"}
    before = _settings(stack)
    with timed() as taken:
        proof.cloud.deploy(DEFAULT_CHOICES | chosen)
    came = _settings(stack)
    for name, value in chosen.items():
        proof.tell(
            f"sam deploy with {name}={value}",
            came[name],
            true=came[name] == value,
            expected=value,
            seconds=taken.seconds if name == "MaxTokens" else None,
        )
    proof.cloud.deploy()
    back = _settings(stack)
    proof.tell(
        "sam deploy without them",
        "all as before",
        true=back == before,
        expected="all as before",
        instead=(before, back),
    )


def failing(proof: Proof) -> None:
    """Deploy something of which the last resource fails, after all others were updated."""
    stack, question = proof.cloud.stack, "Does it still answer?"
    ask(stack, question)
    before = Published.read(stack)
    broken = _broken_template(proof)
    said = ""
    with timed() as taken:
        try:
            proof.cloud.deploy(DEFAULT_CHOICES | {"LogRetentionDays": "1"}, template=broken)
        except PartFailed as refused:
            said = str(refused)
        finally:
            broken.unlink()
    client = stack.aws.client("cloudformation")
    status = client.describe_stacks(StackName=stack.name)["Stacks"][0]["StackStatus"]
    events = client.describe_stack_events(StackName=stack.name)["StackEvents"]
    failed = {event["LogicalResourceId"] for event in events if "FAILED" in event["ResourceStatus"]}
    proof.tell(
        "a deployment that fails at its last resource",
        f"sam exits with 1; {status}",
        true=status == ROLLED_BACK and "exited with status 1" in said and failed == {"Broken"},
        expected=ROLLED_BACK,
        seconds=taken.seconds,
        instead=(status, failed, said),
    )
    after = Published.read(stack)
    same = after.live == before.live and after.resources == before.resources
    kept = len(after.versions - before.versions)
    proof.tell(
        "the stack afterwards",
        f"as before; {kept} function versions retained unused",
        true=same,
        expected="as before",
        instead=(before, after),
    )
    reply = ask(stack, question)
    proof.tell(
        "a question asked before and after",
        reply.status,
        true=reply.status == "hit",
        expected="hit",
        seconds=reply.seconds,
        instead=reply.body,
    )


def _settings(stack: EmulatedStack) -> dict[str, str]:
    """Return, as the services have it, what some parameters are for."""
    groups = stack.aws.client("logs").describe_log_groups()["logGroups"]
    schedule = stack.only("AWS::Scheduler::Schedule")
    deployed = stack.aws.client("scheduler").get_schedule(Name=schedule)
    return {
        "LogRetentionDays": ",".join({str(group["retentionInDays"]) for group in groups}),
        "FlushSchedule": deployed["ScheduleExpression"],
        "MaxTokens": Published.read(stack).variables("AskFunction")["MODEL_MAX_TOKENS"],
    }


def _roll_back(proof: Proof, question: str, keys: list[tuple[Published, str]]) -> None:
    """Move the aliases to what was published earlier, and forward again: each finds its entry."""
    client, stack = proof.cloud.aws.client("lambda"), proof.cloud.stack
    for (published, key), where in zip(keys, ("back", "forward again"), strict=True):
        for function, version in published.versions_live().items():
            client.update_alias(
                FunctionName=stack.physical(function), Name=ALIAS, FunctionVersion=str(version)
            )
        reply = ask(stack, question)
        proof.tell(
            f"the aliases are moved {where}; the question asked before",
            reply.status,
            true=reply.status == "hit" and reply.cache.get("key") == key,
            expected="a hit of its own entry",
            instead=reply.body,
        )


def _edit(proof: Proof) -> None:
    keys = proof.cloud.tree.root / "src/llm_cache/_entries/keys.py"
    keys.write_text(keys.read_text().replace(":entry", ":entry2"))


def _key(proof: Proof, question: str) -> str:
    return str(ask(proof.cloud.stack, question).cache.get("key"))


def _form(key: str) -> str:
    return key.rpartition(":")[0]


def _broken_template(proof: Proof) -> Path:
    """Write, beside what was built, a template with more memory and a resource that fails."""
    built, stack = proof.cloud.tree.built, proof.cloud.stack
    kinds = stack.resources.items()
    aliases = [logical for logical, (kind, _) in kinds if kind == "AWS::Lambda::Alias"]
    broken = BROKEN.format(aliases=", ".join(aliases), function=stack.functions[0])
    text = built.read_text().replace("\nResources:", "\nResources:" + broken, 1)
    path = built.with_name("failing.yaml")
    path.write_text(re.sub(r"MemorySize: (\d+)", lambda of: f"MemorySize: {int(of[1]) + 64}", text))
    return path
