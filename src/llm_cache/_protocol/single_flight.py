"""One writer per answer, step by step, with no I/O of its own: see ``operations``.

Of those who miss the same answer under the same epochs, one computes it and the others wait for
it: within a process for its flight to land, across the fleet for its lease to go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from llm_cache._entries.keys import FIRST, Keyspace
from llm_cache._errors import StoreError, UnreadableEntry
from llm_cache._policy.modes import Coalesce
from llm_cache._protocol.effects import Command, Operation, Pause
from llm_cache._protocol.in_flight import Claim, Flight, Flights, NotShared
from llm_cache._protocol.lookup import Epochs, Hit, Miss, Wanted, examine, judge
from llm_cache._protocol.replies import number, texts
from llm_cache._reasons import Reason

T = TypeVar("T")
LIFE = 10.0  # seconds without a sign of life after which a writer counts as dead


class Turn(NamedTuple):
    """How one lookup takes its turn.

    ``lease`` is the seconds after which a writer is given up on, ``token`` what this one would
    write under; ``patience`` tells the seconds it may still wait, ``finish`` runs a best-effort
    operation after a cancellation; ``mine`` is a claim from an earlier try in the same context.
    """

    flights: Flights
    lease: float
    token: str
    patience: Callable[[], float]
    finish: Callable[[Operation[None]], object]
    mine: Claim | None = None

    def take(self, flight: Flight) -> None:
        """Note that the flight is the one that the fleet waits for."""
        flight.take(self.token, self.lease, life(self.lease))


class Write(NamedTuple, Generic[T]):
    """It is for the caller to compute the answer; others wait for it if there is a ``claim``."""

    missed: Miss[T]
    claim: Claim | None = None
    failure: StoreError | None = None


def take_turn(wanted: Wanted[T], missed: Miss[T], turn: Turn) -> Operation[Hit[T] | Write[T]]:
    """Return the answer of another, or say that it is for the caller to compute.

    In the process: no command. Across the fleet: one to take the lease; while another has it, one
    for every look at what has become of it, after pauses that double from 50 ms to a second.
    """
    about = (wanted.key, wanted.tags, _clears(missed.epochs))
    while True:
        joined = turn.flights.join(about, turn.lease, turn.mine)
        if isinstance(joined, Claim):
            if wanted.policy.effective_coalesce is Coalesce.PROCESS or joined.flight.lease:
                return Write(missed, joined)
            return (yield from _across_the_fleet(wanted, missed, turn, joined))
        if turn.patience() <= 0:
            return Write(missed)
        yield Pause(min(turn.patience(), joined.left()), joined.landed)
        if found := _landed(wanted, missed, joined):
            return found


def _clears(epochs: Epochs) -> Epochs:
    """Tell the epochs that clears have made: where a store has made one, nothing was cleared."""
    return tuple(None if epoch and epoch.startswith(FIRST) else epoch for epoch in epochs)


def _landed(wanted: Wanted[T], missed: Miss[T], flight: Flight) -> Hit[T] | Write[T] | None:
    """Return what came of another's flight; None when the caller should ask who is next."""
    landing = NotShared.FAILED if flight.flying else flight.landed.result()
    if landing is NotShared.FAILED:
        return None
    if landing is NotShared.EACH_FOR_ITSELF:
        return Write(missed)
    try:
        found = judge(wanted, missed.epochs, landing)
    except UnreadableEntry:
        return Write(missed)
    return found if isinstance(found, Hit) else Write(missed)


def _across_the_fleet(
    wanted: Wanted[T], missed: Miss[T], turn: Turn, claim: Claim
) -> Operation[Hit[T] | Write[T]]:
    """Take the lease, or wait for what comes of whoever has it."""
    command = _take(wanted, turn)
    for pause in _pauses():
        try:
            state, (*seen, text) = _told((yield command), wanted)
            if state == TAKEN:
                turn.take(claim.flight)
            found = yield from examine(wanted, tuple(seen), text)
        except StoreError as error:
            turn.take(claim.flight)  # the command may have run: then its lease is to be released
            return Write(missed, claim, error)
        except GeneratorExit:  # cancelled; whether the command has run is not known
            turn.take(claim.flight)
            leave(turn.flights, claim.flight, wanted.keys, wanted.hashed, turn.finish)
            raise
        if isinstance(found, Hit):
            yield from _shared(wanted, turn, claim, found)
            return found
        if found.why is Reason.UNKNOWN and missed.why in {Reason.UNREADABLE, Reason.FORGED}:
            found = found._replace(why=missed.why)  # the lookup itself has deleted the entry
        missed = found
        if state == TAKEN or turn.patience() <= 0:
            return Write(missed, claim)
        if state == EACH_FOR_ITSELF:
            turn.flights.land(claim.flight, NotShared.EACH_FOR_ITSELF)
            return Write(missed)
        yield Pause(min(pause, turn.patience()))
    raise AssertionError("unreachable")


def _shared(wanted: Wanted[T], turn: Turn, claim: Claim, found: Hit[T]) -> Operation[None]:
    """Hand on what another process has stored, and keep no lease for nothing."""
    turn.flights.land(claim.flight, found.text)
    if lease := claim.flight.lease:
        release = partial(give_back, wanted.keys, wanted.hashed, lease)
        try:
            yield from release()
        except StoreError:  # the lease expires, and the answer is there
            pass
        except GeneratorExit:  # cancelled; whether the command has run is not known
            turn.finish(release())
            raise


def leave(
    flights: Flights,
    flight: Flight,
    keys: Keyspace,
    hashed: str,
    finish: Callable[[Operation[None]], object],
) -> None:
    """End a flight that has no answer, and release its lease: the model failed, or a cancel."""
    if lease := flights.leave(flight):
        finish(give_back(keys, hashed, lease))


def life(left: float) -> float:
    """Return the seconds for which a lease stands in Redis, of which the writer has ``left``."""
    return min(left, LIFE)


def renew(keys: Keyspace, hashed: str, flight: Flight) -> Operation[bool]:
    """Show that the writer of a flight is alive; return whether the lease is still its own.

    One command.
    """
    held = life(flight.left())
    command = ("EVAL", RENEW, 1, keys.lease(hashed), flight.lease or "", _milliseconds(held))
    own = number((yield command)) == 1
    if own:
        flight.renewed(held)
    return own


def give_back(
    keys: Keyspace, hashed: str, lease: str, *, each_for_itself: bool = False
) -> Operation[None]:
    """End a lease, if it is still this one. One command.

    ``each_for_itself``: for the rest of its time nobody waits, for the answer is not one to store.
    """
    mark = NOBODY if each_for_itself else ""
    yield ("EVAL", GIVE_BACK, 1, keys.lease(hashed), lease, mark)


def _told(reply: object, wanted: Wanted[T]) -> tuple[int, list[str | None]]:
    """Return the state of the lease; and the epochs, followed by the entry."""
    state, *values = reply if isinstance(reply, list) and reply else [None]
    return number(state), texts(values, len(wanted.tags) + 2)


def _pauses() -> Iterator[float]:
    pause = 0.05
    while True:
        yield pause
        pause = min(2 * pause, 1.0)


def _take(wanted: Wanted[T], turn: Turn) -> Command:
    epochs = wanted.keys.epochs(wanted.tags)
    names = (wanted.keys.lease(wanted.hashed), *epochs, wanted.key)
    held = _milliseconds(life(turn.lease))
    return ("EVAL", TAKE, len(names), *names, turn.token, held, _milliseconds(LIFE))


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


HELD, TAKEN, EACH_FOR_ITSELF = 0, 1, 2
NOBODY = "-"  # in the place of a token

# A lease names the epochs it was taken under, but for those that a store has set. Callers do not
# wait for a lease taken before a clear, for its answer will not be served, nor for one that no
# leader can have: of another type, without expiry, or with more time left than ARGV[3]. The same
# command sent twice, because a reply was lost, finds its own lease.
TAKE = f"""
local found = redis.call('MGET', unpack(KEYS))
local held, under = found[1], ''
for i = 2, #KEYS - 1 do
  local epoch = found[i] or ''
  under = under .. ':' .. (string.sub(epoch, 1, 1) == '{FIRST}' and '' or epoch)
end
local colon = held and string.find(held, ':', 1, true)
local left = redis.call('PTTL', KEYS[1])
local valid = colon and string.sub(held, colon) == under and left >= 0 and left <= tonumber(ARGV[3])
local holder = valid and string.sub(held, 1, colon - 1)
if not valid or holder == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1] .. under, 'PX', ARGV[2])
  return {{{TAKEN}, unpack(found, 2)}}
end
return {{holder == '{NOBODY}' and {EACH_FOR_ITSELF} or {HELD}, unpack(found, 2)}}
"""

# A caller that has lost the lease changes nothing.
IF_OWN = """local held = redis.call('MGET', KEYS[1])[1]
if not held or string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then return 0 end"""

RENEW = f"""
{IF_OWN}
redis.call('SET', KEYS[1], held, 'PX', ARGV[2])
return 1
"""

GIVE_BACK = f"""
{IF_OWN}
if ARGV[2] == '' then return redis.call('UNLINK', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2] .. string.sub(held, #ARGV[1] + 1), 'KEEPTTL')
return 1
"""
