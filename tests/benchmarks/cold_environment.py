"""Both functions as packaged, and their environment: Upstash over TLS, SSM, a model, S3."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.benchmarks.fake_aws import AwsRequest, FakeAws, fake_aws
from tests.benchmarks.servers import served
from tests.benchmarks.trusted_certificates import TrustedCertificates
from tests.layer.artifacts import HOST, ROOT, Artifacts, build

NAMESPACE = "bench"


def install_replaced(folder: Path, *others: str) -> None:
    """Install the replaced class and others, with their dependencies, from the tests' lock.

    As ``sam build`` does by default: the files of the wheels, without bytecode.
    """
    what = ["--group", f"{ROOT / 'pyproject.toml'}:peer", "upstash-redis", *others]
    how = ["--constraint", str(ROOT / "tests/requirements.txt"), "--no-compile-bytecode"]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    subprocess.run([*uv, *how, "--target", str(folder), *what], check=True)


@dataclass(frozen=True)
class Environment:
    aws: FakeAws
    token: str
    trust: TrustedCertificates
    built: Artifacts
    replaced: Path

    def variables(self, *, ssm: bool, ours: bool) -> dict[str, str]:
        """Return a function's environment, with its secrets in SSM or in the environment."""
        parameters = {
            "LLM_CACHE_URL_PARAMETER": "/bench/url",
            "LLM_CACHE_TOKEN_PARAMETER": "/bench/token",
        }
        plain = {
            "UPSTASH_REDIS_REST_URL": self.aws.upstash,
            "UPSTASH_REDIS_REST_TOKEN": self.token,
        }
        trusted = self.trust.in_a_directory if ours else self.trust.in_a_file
        addresses = {
            "AWS_ENDPOINT_URL_SSM": self.aws.ssm,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.aws.plain,
            "AWS_ENDPOINT_URL_S3": self.aws.plain,
        }
        return SETTINGS | addresses | (parameters if ssm else plain) | trusted


SETTINGS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_NAME": "ask",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
    "POWERTOOLS_SERVICE_NAME": "ask",
    "LLM_CACHE_NAMESPACE": NAMESPACE,
    "MODEL_ID": "amazon.nova-2-lite-v1:0",
    "MODEL_MAX_TOKENS": "512",
    "REPLACED_MODEL_ID": "amazon.titan-text-express-v1",
    "PYTHONDONTWRITEBYTECODE": "1",  # as on Lambda
    "PATH": os.environ["PATH"],
}


@cache
def replaced_package() -> Path:
    """Return the package of a function on the replaced class; it is deleted with the process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    install_replaced(folder, "langchain-aws")
    shutil.copy(Path(__file__).with_name("replaced_ask.py"), folder)
    return folder


@contextmanager
def environment() -> Iterator[Environment]:
    with tempfile.TemporaryDirectory() as temporary, served() as (_, upstash):
        folder = Path(temporary)
        certificates = folder / "certificates"
        certificates.mkdir()
        with fake_aws(AwsRequest(upstash.url, upstash.token, str(certificates))) as aws:
            trust = TrustedCertificates.create(folder, certificates / "authority.pem")
            yield Environment(aws, upstash.token, trust, build(HOST), replaced_package())
