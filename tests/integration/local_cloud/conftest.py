"""An emulated AWS with an echo behind its Bedrock, shared by the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_cloud.aws.emulator import Aws
from local_cloud.model import Model
from upstash_endpoint.children import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def cloud_port() -> int:
    return free_port()


@pytest.fixture(scope="package")
def model(cloud_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    model = Model.start("echo", cloud_port=cloud_port, folder=tmp_path_factory.mktemp("model"))
    model.wait()
    yield model
    model.stop()


@pytest.fixture(scope="package")
def aws(model: Model, cloud_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    folder = tmp_path_factory.mktemp("aws")
    aws = Aws.start(port=cloud_port, bedrock_url=model.url, folder=folder)
    aws.wait()
    yield aws
    aws.stop()
