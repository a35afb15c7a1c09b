"""Every fault of the matrix: of the wire, of the connection, of the name, and of Redis itself."""

import datetime as dt
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

from tests.faults.line import USER, Fault, Line, Resolve, at_home, securing
from tests.faults.proxy import Forward, Greeting, Misbehaviour
from tests.faults.wire import RETRY_PAUSE, WIRE

from upstash_endpoint.children import free_port, wait_until

LONG = 20.0  # seconds; a resolver cannot be hung up on


def on_request(misbehave: Misbehaviour) -> Fault:
    """Return a fault that each request meets."""

    @contextmanager
    def broken(line: Line) -> Iterator[None]:
        line.proxy.misbehave = misbehave
        yield
        line.proxy.misbehave = None

    return broken


def on_connection(greet: Callable[[Line], Greeting]) -> Fault:
    """Return a fault that each new connection meets, and close those that are open."""

    @contextmanager
    def broken(line: Line) -> Iterator[None]:
        good, line.proxy.greet = line.proxy.greet, greet(line)
        line.proxy.hang_up()
        yield
        line.proxy.greet = good

    return broken


def on_resolving(resolve: Resolve) -> Fault:
    """Return a fault that each new connection meets before it is made."""

    @contextmanager
    def broken(line: Line) -> Iterator[None]:
        line.resolve(resolve)
        line.proxy.hang_up()
        yield
        line.resolve(at_home)

    return broken


# --- the name and the connection ------------------------------------------------------------------


def unknown() -> str:
    """Know no such name."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def slow_to_resolve() -> str:
    """Think about the name for longer than anyone waits."""
    time.sleep(LONG)
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def nobody_there() -> str:
    """Send them to where nothing listens: the proxies are at 127.0.0.1 alone."""
    return "127.0.0.2"


@contextmanager
def never_accepting(line: Line) -> Iterator[None]:
    """Send them to where a connection is never made: the queue of those who knock is full."""
    there = ("127.0.0.3", line.proxy.port)
    with ExitStack() as stack:
        full, *knocking = [stack.enter_context(socket.socket()) for _ in range(3)]
        full.bind(there)
        full.listen(0)
        for one in knocking:
            one.setblocking(False)  # noqa: FBT003  the name of the standard library
            one.connect_ex(there)
        with on_resolving(lambda: there[0])(line):
            yield


def silent_to_tls(_: Line) -> Greeting:
    """Take the connection, and never say hello."""

    def greet(connection: socket.socket) -> socket.socket:
        while connection.recv(65536):
            pass
        raise ConnectionError

    return greet


def slow_tls(line: Line) -> Greeting:
    """Say hello a byte at a time."""
    good = line.proxy.greet

    def greet(connection: socket.socket) -> socket.socket:
        ours, theirs = socket.socketpair()
        threading.Thread(target=_drip, args=(ours, connection), daemon=True).start()
        threading.Thread(target=_pump, args=(connection, ours), daemon=True).start()
        try:
            return good(theirs)
        finally:
            if theirs.fileno() != -1:  # given up; one that is secured has taken it over
                theirs.close()

    return greet


def _drip(source: socket.socket, sink: socket.socket) -> None:
    with source, suppress(OSError):
        while data := source.recv(1):
            sink.sendall(data)
            time.sleep(RETRY_PAUSE)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)


def expired(line: Line) -> Greeting:
    """Show a certificate that was good until yesterday."""
    return securing(
        line.station.authority.serving(line.station.host, expires=dt.timedelta(days=-1))
    )


def of_another_name(line: Line) -> Greeting:
    """Show a certificate of somebody else."""
    return securing(line.station.authority.serving("somebody.test"))


def without_tls(_: Line) -> Greeting:
    """Speak HTTP to who wants TLS."""

    def greet(connection: socket.socket) -> socket.socket:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        raise ConnectionError

    return greet


# --- Redis itself ---------------------------------------------------------------------------------


def configured(name: str, value: str, ordinary: str) -> Fault:
    """Return a fault of a server that is set up badly."""

    @contextmanager
    def broken(line: Line) -> Iterator[None]:
        line.server.call("CONFIG", "SET", name, value)
        yield
        line.server.call("CONFIG", "SET", name, ordinary)

    return broken


@contextmanager
def read_only(line: Line) -> Iterator[None]:
    """Make a replica of it, whose primary is away."""
    line.server.call("REPLICAOF", "127.0.0.1", free_port())
    yield
    line.server.call("REPLICAOF", "NO", "ONE")


def without_rights(*rules: str) -> Fault:
    """Return a fault of a user who may not do what a cache does."""

    @contextmanager
    def broken(line: Line) -> Iterator[None]:
        line.server.call("ACL", "SETUSER", USER, *rules)
        yield
        line.station.enrol()

    return broken


@contextmanager
def withdrawn(line: Line) -> Iterator[None]:
    """Delete the user whose token the cache has."""
    line.server.call("ACL", "DELUSER", USER)
    yield
    line.station.enrol()


@contextmanager
def hanging(line: Line) -> Iterator[None]:
    """Stop the server's process, its connections open."""
    line.server.pause()
    yield
    line.server.resume()


@contextmanager
def busy(line: Line) -> Iterator[None]:
    """Have it run a script without end, and say BUSY to whoever asks."""
    line.server.call("CONFIG", "SET", "busy-reply-threshold", "1")
    with ThreadPoolExecutor(1) as pool:
        endless = pool.submit(line.server.call, "EVAL", "while true do end", "0")
        while b"BUSY" not in str(line.server.call("PING")).encode():
            time.sleep(0.001)
        yield
        line.server.call("SCRIPT", "KILL")
        endless.result()
    line.server.call("CONFIG", "SET", "busy-reply-threshold", "5000")


@contextmanager
def gone(line: Line) -> Iterator[None]:
    """Kill the server."""
    line.server.kill()
    yield
    line.server.restart()
    line.station.enrol()


def killed_mid_command(*, restarted: bool) -> Fault:
    """Return a fault of a server that dies with the first request in its hands."""

    @contextmanager
    def broken(line: Line) -> Iterator[None]:
        died = threading.Event()

        def misbehave(connection: socket.socket, forward: Forward) -> None:
            if died.is_set():
                connection.sendall(forward())
                return
            died.set()
            meter = line.station.upstash.meter
            before = meter.read().commands
            line.server.pause()
            with ThreadPoolExecutor(1) as pool:
                reply = pool.submit(forward)
                wait_until(lambda: meter.read().commands > before, seconds=60, what="the command")
                line.server.kill()
                if restarted:
                    line.server.restart()
                    line.station.enrol()
                connection.sendall(reply.result())

        line.proxy.misbehave = misbehave
        yield
        line.proxy.misbehave = None
        if not restarted:
            line.server.restart()
            line.station.enrol()

    return broken


FAULTS: dict[str, Fault] = {
    "the name is unknown": on_resolving(unknown),
    "the name resolves slowly": on_resolving(slow_to_resolve),
    "nothing listens": on_resolving(nobody_there),
    "nothing accepts": never_accepting,
    "TLS: silence": on_connection(silent_to_tls),
    "TLS: a byte at a time": on_connection(slow_tls),
    "TLS: an expired certificate": on_connection(expired),
    "TLS: another's certificate": on_connection(of_another_name),
    "TLS: none": on_connection(without_tls),
    **{f"HTTP: {name}": on_request(misbehave) for name, misbehave in WIRE.items()},
    "Redis: full": configured("maxmemory", "1", "0"),
    "Redis: read only": read_only,
    "Redis: the token was withdrawn": withdrawn,
    "Redis: no right to any command": without_rights("-@all"),
    "Redis: no right to these keys": without_rights("resetkeys", "~other:*"),
    "Redis: no right to write": without_rights("-@write", "-eval"),
    "Redis: busy with a script": busy,
    "Redis: hanging": hanging,
    "Redis: gone": gone,
    "Redis: killed mid-command": killed_mid_command(restarted=False),
    "Redis: killed mid-command and restarted": killed_mid_command(restarted=True),
}
