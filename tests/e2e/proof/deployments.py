"""Deploy again: with no change, with changes, and with a broken template; then delete."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.e2e.proof.inventory import account, differences
from tests.e2e.proof.proof import Proof, timed

from local_cloud.aws.stack_deployment import UNSUPPORTED, UPLOAD_BUCKET
from local_cloud.cloud import DEFAULT_CHOICES
from local_cloud.stack.ask_client import ask
from local_cloud.stack.emulated_stack import ALIAS, EmulatedStack
from upstash_endpoint.children import PartFailed

ROLLED_BACK = "UPDATE_ROLLBACK_COMPLETE"
# Lambda refuses it after all aliases are updated, because the version does not exist.
BROKEN = """
  Broken:
    Type: AWS::Lambda::EventInvokeConfig
    DependsOn: [{aliases}]
    Properties: {{FunctionName: !Ref {function}, Qualifier: "999"}}"""


# They change with every deployment.
_VOLATILE = {"LastModified", "RevisionId"}


@dataclass(frozen=True, slots=True)
class PublishedState:
    """Equal before and after a deployment that changes nothing."""

    layers: set[str]
    versions: set[str]
    live: Mapping[str, Mapping[str, Any]]
    """The configuration behind each function's alias, by logical id."""
    resources: Mapping[str, tuple[str, str]]

    @classmethod
    def read(cls, stack: EmulatedStack) -> Self:
        now, client = EmulatedStack.read(stack.aws, stack.name), stack.aws.client("lambda")
        live = {}
        for function in now.functions:
            found = client.get_function(FunctionName=now.physical(function), Qualifier=ALIAS)
            settings = found["Configuration"].items()
            live[function] = {name: value for name, value in settings if name not in _VOLATILE}
        present = account(stack.aws)
        layers, versions = present["AWS::Lambda::LayerVersion"], present["AWS::Lambda::Version"]
        return cls(layers, versions, live, now.resources)

    def live_versions(self) -> dict[str, int]:
        return {function: int(found["Version"]) for function, found in self.live.items()}


def complete(proof: Proof) -> None:
    """Compare the resources in the template with those that the services list."""
    stack = EmulatedStack.read(proof.cloud.aws, proof.cloud.stack.name)
    wrong, kinds = differences(stack), {kind for kind, _ in stack.resources.values()}
    proof.check(
        "sam build, sam deploy: every resource is there",
        f"{len(stack.resources)} resources of {len(kinds)} types",
        not wrong,
        "every resource listed by its service",
        actual=wrong,
    )
    for choice, value in UNSUPPORTED.items():
        proof.note("left out: the emulator does not support it", f"{choice}={value}")


def again(proof: Proof, *, rebuild: bool = True) -> None:
    """Deploy the same sources again, by default from a new build."""
    before = PublishedState.read(proof.cloud.stack)
    with timed() as taken:
        if rebuild:
            proof.cloud.tree.stamp.unlink()
            proof.cloud.build()
        proof.cloud.deploy()
    after = PublishedState.read(proof.cloud.stack)
    proof.check(
        "sam build, sam deploy again" if rebuild else "sam deploy again",
        "nothing published, nothing changed",
        after == before,
        "nothing changed",
        seconds=taken.seconds,
        actual=(before, after),
    )


def library(proof: Proof) -> None:
    """Deploy a changed library, whose Redis keys differ, and roll the aliases back."""
    question = "Which library answers?"
    before, old = PublishedState.read(proof.cloud.stack), _key(proof, question)
    keys = proof.cloud.tree.root / "src/llm_cache/_entries/keys.py"
    keys.write_text(keys.read_text().replace(":entry", ":entry2"))
    with timed() as taken:
        proof.cloud.build()
        proof.cloud.deploy()
    after = PublishedState.read(proof.cloud.stack)
    layers, versions = after.layers - before.layers, after.versions - before.versions
    moved = {name: v + 1 for name, v in before.live_versions().items()} == after.live_versions()
    proof.check(
        "the library is changed; sam build, sam deploy",
        f"{len(layers)} layer and {len(versions)} functions published, aliases moved",
        len(layers) == 1 and len(versions) == len(before.live) and moved,
        "a new layer version, and the aliases at new versions",
        seconds=taken.seconds,
        actual=(before, after),
    )
    new = _key(proof, question)
    forms = [key.rpartition(":")[0] for key in (old, new)]
    proof.check(
        "the answer of the changed library",
        " became ".join(forms),
        forms == ["llm-cache:entry", "llm-cache:entry2"],
        "another key",
        actual=(old, new),
    )
    _roll_back(proof, question, "back", before, old)
    _roll_back(proof, question, "forward again", after, new)
    complete(proof)


def parameters(proof: Proof) -> None:
    """Deploy with other parameters, which must reach the services and the aliases."""
    stack = proof.cloud.stack
    chosen = {"MaxTokens": "64", "LogRetentionDays": "7", "FlushSchedule": "rate(12 hours)"}
    before = _settings(stack)
    with timed() as taken:
        proof.cloud.deploy(DEFAULT_CHOICES | chosen)
    changed, seconds = _settings(stack), {"MaxTokens": taken.seconds}
    for name, value in chosen.items():
        step = f"sam deploy with {name}={value}"
        proof.equal(step, changed[name], value, seconds=seconds.get(name))
    proof.cloud.deploy()
    after = _settings(stack)
    same = "all as before"
    proof.check("sam deploy without them", same, after == before, same, actual=(before, after))


def failing(proof: Proof) -> None:
    """Deploy a template whose last resource fails, after all others were updated."""
    stack, question = proof.cloud.stack, "Does it still answer?"
    ask(stack, question)
    before = PublishedState.read(stack)
    broken = _broken_template(proof)
    message = ""
    with timed() as taken:
        try:
            proof.cloud.deploy(DEFAULT_CHOICES | {"LogRetentionDays": "1"}, template=broken)
        except PartFailed as refused:
            message = str(refused)
        finally:
            broken.unlink()
    client = stack.aws.client("cloudformation")
    status = client.describe_stacks(StackName=stack.name)["Stacks"][0]["StackStatus"]
    events = client.describe_stack_events(StackName=stack.name)["StackEvents"]
    failed = {event["LogicalResourceId"] for event in events if "FAILED" in event["ResourceStatus"]}
    proof.check(
        "a deployment that fails at its last resource",
        f"sam exits with 1; {status}",
        status == ROLLED_BACK and "exited with status 1" in message and failed == {"Broken"},
        ROLLED_BACK,
        seconds=taken.seconds,
        actual=(status, failed, message),
    )
    after = PublishedState.read(stack)
    kept = len(after.versions - before.versions)
    proof.check(
        "the stack afterwards",
        f"as before; {kept} function versions retained unused",
        after.live == before.live and after.resources == before.resources,
        "as before",
        actual=(before, after),
    )
    reply = ask(stack, question)
    step = "a question asked before and after"
    proof.equal(step, reply.status, "hit", seconds=reply.seconds, actual=reply.body)


def _settings(stack: EmulatedStack) -> dict[str, str]:
    """Return the values of some parameters, as the services have them."""
    groups = stack.aws.client("logs").describe_log_groups()["logGroups"]
    schedule = stack.only("AWS::Scheduler::Schedule")
    deployed = stack.aws.client("scheduler").get_schedule(Name=schedule)
    live = PublishedState.read(stack).live["AskFunction"]
    return {
        "LogRetentionDays": ",".join({str(group["retentionInDays"]) for group in groups}),
        "FlushSchedule": deployed["ScheduleExpression"],
        "MaxTokens": live["Environment"]["Variables"]["MODEL_MAX_TOKENS"],
    }


def _roll_back(
    proof: Proof, question: str, where: str, published: PublishedState, key: str
) -> None:
    """Move the aliases to published versions, which must find their own entry."""
    client, stack = proof.cloud.aws.client("lambda"), proof.cloud.stack
    for function, version in published.live_versions().items():
        client.update_alias(
            FunctionName=stack.physical(function), Name=ALIAS, FunctionVersion=str(version)
        )
    reply = ask(stack, question)
    proof.check(
        f"aliases moved {where}; the question asked before",
        reply.status,
        reply.status == "hit" and reply.cache.get("key") == key,
        "a hit of its own entry",
        actual=reply.body,
    )


def _key(proof: Proof, question: str) -> str:
    return str(ask(proof.cloud.stack, question).cache.get("key"))


def _broken_template(proof: Proof) -> Path:
    """Write, next to the build, a template with more memory and a resource that fails."""
    built, stack = proof.cloud.tree.built, proof.cloud.stack
    kinds = stack.resources.items()
    aliases = [logical for logical, (kind, _) in kinds if kind == "AWS::Lambda::Alias"]
    broken = BROKEN.format(aliases=", ".join(aliases), function=stack.functions[0])
    text = built.read_text().replace("\nResources:", "\nResources:" + broken, 1)
    path = built.with_name("failing.yaml")
    path.write_text(re.sub(r"MemorySize: (\d+)", lambda of: f"MemorySize: {int(of[1]) + 64}", text))
    return path


LAYERS = "AWS::Lambda::LayerVersion"
PARAMETERS = "AWS::SSM::Parameter"
BUCKETS = "AWS::S3::Bucket"


def delete(proof: Proof) -> None:
    """Delete the stack; only retained resources, and those of others, may remain."""
    aws, outputs = proof.cloud.aws, proof.cloud.stack.outputs
    documents, arn = outputs["DocumentsBucket"], outputs["LayerArnParameter"]
    before = account(aws)
    theirs = {physical for _, physical in proof.cloud.stack.resources.values()} - {arn}
    with timed() as taken:
        proof.cloud.delete()
    after = account(aws)
    layers = after.pop(LAYERS, set())
    kept = {PARAMETERS: before[PARAMETERS] - theirs, BUCKETS: {UPLOAD_BUCKET, documents}}
    deleted = sum(len(names - after.get(kind, set())) for kind, names in before.items())
    result = f"{deleted} resources deleted, none left"
    seconds = taken.seconds
    proof.check("sam delete", result, after == kept, "none left", seconds=seconds, actual=after)
    retained = layers == before[LAYERS] and documents in after[BUCKETS] and arn in kept[PARAMETERS]
    proof.check(
        "retained by design",
        f"{len(layers)} layer versions, their parameter, the documents",
        retained,
        "every layer version, their parameter, the documents",
        actual=(layers, after),
    )
    others = "the SSM parameters, the bucket of uploads"
    present = kept.items() <= after.items()
    proof.check("resources that are not the stack's", others, present, "present", actual=after)
    stacks = aws.client("cloudformation").list_stacks()["StackSummaries"]
    status = {stack["StackStatus"] for stack in stacks}
    proof.check("the stack", "deleted", status == {"DELETE_COMPLETE"}, "deleted", actual=status)
