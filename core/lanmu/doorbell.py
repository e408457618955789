"""The doorbell: Huey carries the names of jobs from whoever rings to whoever works, and nothing else.

The database is the truth. A ring that is lost is made good by the next sweep; so the queue may be emptied
at any time, needs no sync to disk, and holds neither texts nor secrets.
"""

import hashlib
import hmac
import json
import logging
from typing import Any

from lanmu.config import Config
from lanmu.interfaces.clock import Clock
from lanmu.lean_huey import Huey, Message, RedisHuey, Serializer, SqliteHuey, redis_pool

_TAG_HEX = 64
_PATIENCE = 3.0


class UnsignedMessage(Exception):
    """A message on the queue that this server did not write."""


class SignedJson(Serializer):  # type: ignore[misc]
    """Messages as JSON under a keyed hash.

    Huey's own form is pickle, with which whoever can write to the queue can run code here.
    """

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def _serialize(self, data: Any) -> bytes:
        if isinstance(data, Message):
            plain = {"id": data.id, "name": data.name, "args": list(data.args or ())}
        else:
            plain = {"value": data}
        body = json.dumps(plain).encode()
        return self._tag(body) + body

    def _deserialize(self, data: bytes) -> Any:
        tag, body = data[:_TAG_HEX], data[_TAG_HEX:]
        if not hmac.compare_digest(tag, self._tag(body)):
            raise UnsignedMessage("a message on the queue was not written by this server")
        plain = json.loads(body)
        if "value" in plain:
            return plain["value"]
        return Message(id=plain["id"], name=plain["name"], args=tuple(plain["args"]), kwargs={}, retries=0)

    def _tag(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).hexdigest().encode()


def make_queue(config: Config, key: bytes) -> Huey:
    """The queue that config.toml asks for."""
    options = {"results": False, "serializer": SignedJson(key)}
    if config.queue.backend == "redis" and config.queue.url:
        # A server that is cut off answers neither yes nor no: without an end to the wait the timekeeper
        # would stand still with it. Longer than the second for which a worker listens.
        waits = {"socket_connect_timeout": _PATIENCE, "socket_timeout": _PATIENCE}
        pool = redis_pool(config.queue.url.reveal(), **waits)
        return RedisHuey("lanmu", connection_pool=pool, **options)
    return SqliteHuey("lanmu", filename=str(config.server.data_dir / "huey.db"), fsync=False, **options)


_SELDOM = 60.0


class _Seldom(logging.Filter):
    """One line a minute for each kind of error, without the stack: Huey asks ten times a second."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR or record.exc_info is None:
            return True
        error = record.exc_info[1]
        kind, now = type(error).__name__, self._clock.boottime()
        if now - self._told.get(kind, -_SELDOM) < _SELDOM:
            return False
        self._told[kind] = now
        record.msg, record.args = f"{record.getMessage()}: {kind}: {error}", None
        record.exc_info = None
        return True


def hush(clock: Clock) -> None:
    """Keep Huey's threads from filling the log while their queue is away."""
    for thread in ("Worker", "Scheduler"):
        logger = logging.getLogger(f"huey.consumer.{thread}")
        for old in [each for each in logger.filters if isinstance(each, _Seldom)]:
            logger.removeFilter(old)
        logger.addFilter(_Seldom(clock))
