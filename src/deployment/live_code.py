"""Replace the code of deployed functions and of their layer, without CloudFormation."""

import io
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deployment.source_part import SourcePart
from local_cloud.stack.emulated_stack import ALIAS

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_COMPILED = (".py", ".pyc")


def update_function(client: Any, part: SourcePart, function: str, target: Mapping[str, str]) -> str:
    """Publish the present sources of a function; return the new version, or '' without a change."""
    location = client.get_function(FunctionName=function, Qualifier=ALIAS)["Code"]["Location"]
    package = _rebuilt(location, part, target)
    if not package:
        return ""
    client.update_function_code(FunctionName=function, ZipFile=package)
    return _publish(client, function)


def update_layer(
    client: Any, part: SourcePart, functions: Iterable[str], target: Mapping[str, str]
) -> str:
    """Publish the present sources of the layer, and give it to `functions`, as `update_function`.

    Returns the new version of the layer, or '' without a change.
    """
    layers = {it: _layers(client, it) for it in functions}
    arn = next(iter(layers.values()))[0]
    location = client.get_layer_version_by_arn(Arn=arn)["Content"]["Location"]
    package = _rebuilt(location, part, target)
    if not package:
        return ""
    name = arn.split(":")[6]
    published = client.publish_layer_version(
        LayerName=name, Content={"ZipFile": package}, CompatibleRuntimes=[target["Runtime"]]
    )
    for function, (_, *others) in layers.items():
        arns = [published["LayerVersionArn"], *others]
        client.update_function_configuration(FunctionName=function, Layers=arns)
        _publish(client, function)
    return str(published["Version"])


def replaced(package: bytes, built: Path, prefix: str) -> bytes | None:
    """Return a package with its modules replaced by those in `built`; None if they are equal.

    Deletes the modules that folders in `built` no longer have. Other files stay as they are.
    """
    new = {
        prefix + path.relative_to(built).as_posix(): path.read_bytes()
        for path in sorted(built.rglob("*"))
        if path.is_file()
    }
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        old = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    folders = tuple(
        f"{prefix}{it.name}/" for it in built.iterdir() if (it / "__init__.py").exists()
    )
    kept = {
        name: content
        for name, content in old.items()
        if not (name.startswith(folders) and name.endswith(_COMPILED))
    }
    result = kept | new
    return None if result == old else _zipped(result)


def download(location: str) -> bytes:
    """Return a package from the address that Lambda names."""
    with _OPENER.open(location, timeout=60) as response:
        package: bytes = response.read()
        return package


def _rebuilt(location: str, part: SourcePart, target: Mapping[str, str]) -> bytes | None:
    package = download(location)
    with tempfile.TemporaryDirectory() as folder:
        part.build(Path(folder), target)
        return replaced(package, Path(folder), part.prefix)


def _zipped(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED, 1)
    return content.getvalue()


def _layers(client: Any, function: str) -> list[str]:
    config = client.get_function_configuration(FunctionName=function, Qualifier=ALIAS)
    return [it["Arn"] for it in config["Layers"]]


def _publish(client: Any, function: str) -> str:
    """Publish a version of the function and move the alias to it."""
    client.get_waiter("function_updated_v2").wait(
        FunctionName=function, WaiterConfig={"Delay": 0.2, "MaxAttempts": 100}
    )
    version = str(client.publish_version(FunctionName=function)["Version"])
    client.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=version)
    return version
