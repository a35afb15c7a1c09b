"""An emulated AWS with an echo behind its Bedrock, shared by the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_cloud.aws.emulator import EmulatedAws
from local_cloud.model.model_process import ModelProcess
from upstash_endpoint.children import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def cloud_port() -> int:
    return free_port()


@pytest.fixture(scope="package")
def model(cloud_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelProcess]:
    model = ModelProcess.start(
        "echo", cloud_port=cloud_port, folder=tmp_path_factory.mktemp("model")
    )
    model.wait()
    yield model
    model.stop()


@pytest.fixture(scope="package")
def aws(
    model: ModelProcess, cloud_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmulatedAws]:
    folder = tmp_path_factory.mktemp("aws")
    aws = EmulatedAws.start(port=cloud_port, bedrock_url=model.url, folder=folder)
    aws.wait()
    yield aws
    aws.stop()
