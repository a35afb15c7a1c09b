"""An emulated AWS with an echo behind its Bedrock, shared by the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cloud.aws.emulator import EmulatedAws
from local_cloud.model.model_process import ModelProcess
from upstash_endpoint.children import free_port


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="package")
def cloud_port() -> int:
    return free_port()


@pytest.fixture(scope="package")
def model(cloud_port: int, folder: Path) -> Iterator[ModelProcess]:
    model = ModelProcess.start("echo", cloud_port=cloud_port, folder=folder / "model")
    model.wait()
    yield model
    model.stop()


@pytest.fixture(scope="package")
def aws(model: ModelProcess, cloud_port: int, folder: Path) -> Iterator[EmulatedAws]:
    aws = EmulatedAws.start(port=cloud_port, bedrock_url=model.url, folder=folder / "aws")
    aws.wait()
    yield aws
    aws.stop()
