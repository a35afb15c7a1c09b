"""A deployed function: its configuration, and its downloaded and unpacked zips."""

import io
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from local_cloud.aws.emulator import EmulatedAws

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class DeployedFunction:
    """The code, the layers and the configuration of a function.

    Lambda mounts `task` at /var/task and `opt` at /opt.
    """

    name: str
    arn: str
    handler: str
    runtime: str
    task: Path
    opt: Path
    timeout: float = 3
    memory: int = 128
    version: str = "$LATEST"
    variables: Mapping[str, str] = field(default_factory=dict)
    logging: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def download(cls, aws: EmulatedAws, function: str, qualifier: str, folder: Path) -> Self:
        """Download a function (physical name) and its layers into `folder`.

        A later layer overwrites the files of an earlier one, as on Lambda.
        """
        client = aws.client("lambda")
        found = client.get_function(FunctionName=function, Qualifier=qualifier)
        config, task, opt = found["Configuration"], folder / "task", folder / "opt"
        _unpack(found["Code"]["Location"], task)
        opt.mkdir(exist_ok=True)
        for layer in config.get("Layers", []):
            version = client.get_layer_version_by_arn(Arn=layer["Arn"])
            _unpack(version["Content"]["Location"], opt)
        return cls(task=task, opt=opt, **_settings(config))


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": config["FunctionName"],
        "arn": config["FunctionArn"],
        "handler": config["Handler"],
        "runtime": config["Runtime"],
        "timeout": config["Timeout"],
        "memory": config["MemorySize"],
        "version": config["Version"],
        "variables": config.get("Environment", {}).get("Variables", {}),
        "logging": config.get("LoggingConfig", {}),
    }


def _unpack(location: str, into: Path) -> None:
    with _OPENER.open(location, timeout=60) as response:
        content = response.read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(into)
