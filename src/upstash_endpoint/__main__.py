"""Serve the endpoint from a process of its own, and its meter beside it, until stopped."""

import json
import os
import signal
import threading

from upstash_endpoint.app import create_app
from upstash_endpoint.endpoint import SETTINGS
from upstash_endpoint.meter import Meter, meter_app
from upstash_endpoint.serving import Served
from upstash_endpoint.tokens import Keyring


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
