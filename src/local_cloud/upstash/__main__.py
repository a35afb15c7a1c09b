"""Serve the endpoint from a process of its own, and its meter beside it, until stopped."""

import json
import os
import signal
import threading

from local_cloud.upstash.app import create_app
from local_cloud.upstash.endpoint import SETTINGS
from local_cloud.upstash.meter import Meter, meter_app
from local_cloud.upstash.serving import Served
from local_cloud.upstash.tokens import Keyring


def main() -> None:
    """Serve what the settings say, until a SIGTERM or a SIGINT."""
    settings = json.loads(os.environ[SETTINGS])
    stopped = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopped.set())
    meter = Meter()
    app = create_app(Keyring(**settings["keyring"]), meter)
    endpoint = Served.start(app, port=settings["port"])
    counts = Served.start(meter_app(meter), port=settings["meter_port"])
    stopped.wait()
    for served in (endpoint, counts):
        served.stop()


if __name__ == "__main__":
    main()
