"""Both sides as they are packaged, and the account that they run in: TLS, SSM, a model, S3."""

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

from tests.benchmarks.aws import Aws, Wanted, aws
from tests.benchmarks.serving import served
from tests.benchmarks.trust import Trust
from tests.layer.artifacts import HOST, ROOT, Artifacts, build

NAMESPACE = "bench"


def install_replaced(folder: Path, *others: str) -> None:
    """Install the replaced class, others, and all they need, as the tests' lock has them.

    As ``sam build`` packages by default: the files of the wheels, without bytecode (its dates would
    be wrong, see layers/package).
    """
    what = ["--group", f"{ROOT / 'pyproject.toml'}:peer", "upstash-redis", *others]
    how = ["--constraint", str(ROOT / "tests/requirements.txt"), "--no-compile-bytecode"]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    subprocess.run([*uv, *how, "--target", str(folder), *what], check=True)


@dataclass(frozen=True)
class Account:
    """What the functions of both sides find around them."""

    aws: Aws
    token: str
    trust: Trust
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
        trusted = self.trust.of_a_directory() if ours else self.trust.of_a_file()
        return SETTINGS | self.addresses() | (parameters if ssm else plain) | trusted

    def addresses(self) -> dict[str, str]:
        """Return where AWS is."""
        return {
            "AWS_ENDPOINT_URL_SSM": self.aws.ssm,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.aws.plain,
            "AWS_ENDPOINT_URL_S3": self.aws.plain,
        }


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
    "PYTHONDONTWRITEBYTECODE": "1",  # neither side can write any on Lambda
    "PATH": os.environ["PATH"],
}


@cache
def replaced_package() -> Path:
    """Return the package of a function on the replaced class; made once, gone with the process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    install_replaced(folder, "langchain-aws")
    shutil.copy(Path(__file__).with_name("replaced_ask.py"), folder)
    return folder


@contextmanager
def account() -> Iterator[Account]:
    """Package both sides, and start what serves them."""
    with tempfile.TemporaryDirectory() as made, served() as (_, upstash):
        folder = Path(made)
        certificates = folder / "certificates"
        certificates.mkdir()
        with aws(Wanted(upstash.url, upstash.token, str(certificates))) as found:
            trust = Trust.made(folder, certificates / "authority.pem")
            yield Account(found, upstash.token, trust, build(HOST), replaced_package())
