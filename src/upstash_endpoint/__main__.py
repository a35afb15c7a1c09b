"""Serve the endpoint and its meter in this process: `python -m upstash_endpoint`."""

import json
import os
import signal
import threading

from upstash_endpoint.asgi_server import AsgiServer
from upstash_endpoint.endpoint import SETTINGS
from upstash_endpoint.meter import Meter, meter_app
from upstash_endpoint.rest_app import create_app
from upstash_endpoint.token_users import DatabaseAccess


def main() -> None:
    """Serve with the settings of the environment, until a SIGTERM or a SIGINT."""
    settings = json.loads(os.environ[SETTINGS])
    stopped = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopped.set())
    meter = Meter()
    app = create_app(DatabaseAccess(**settings["access"]), meter)
    endpoint = AsgiServer.start(app, port=settings["port"])
    counts = AsgiServer.start(meter_app(meter), port=settings["meter_port"])
    stopped.wait()
    for served in (endpoint, counts):
        served.stop()


if __name__ == "__main__":
    main()
