"""The lines that `make serve` prints, for a cloud whose ports are not the usual ones."""

from local_cloud.cloud import LocalCloud
from local_cloud.workbench import instructions, moved


def test_each_process_on_another_port_is_named(cloud: LocalCloud) -> None:
    assert moved(cloud) == [
        f"port 4566 is taken: AWS is at {cloud.aws.endpoint_url} this time",
        f"port 8079 is taken: Upstash is at {cloud.upstash.url} this time",
        f"port 8078 is taken: the model is at {cloud.model.url} this time",
    ]


def test_lines_have_the_present_addresses(cloud: LocalCloud) -> None:
    text = instructions(cloud)
    assert f"export UPSTASH_REDIS_REST_URL={cloud.upstash.url}\n" in text
    assert f"export AWS_ENDPOINT_URL={cloud.aws.endpoint_url}\n" in text
