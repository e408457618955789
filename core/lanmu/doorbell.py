"""The doorbell: Huey carries the names of jobs from whoever rings to whoever works, and nothing else.

The database is the truth. A ring that is lost is made good by the next sweep; so the queue may be emptied
at any time, needs no sync to disk, and holds neither texts nor secrets.
"""

import hashlib
import hmac
import json
from typing import Any

from huey import Huey, RedisHuey, SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer

from lanmu.config import Config

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
        from redis import ConnectionPool

        # A server that is cut off answers neither yes nor no: without an end to the wait the timekeeper
        # would stand still with it. Longer than the second for which a worker listens.
        waits = {"socket_connect_timeout": _PATIENCE, "socket_timeout": _PATIENCE}
        pool = ConnectionPool.from_url(config.queue.url.reveal(), **waits)
        return RedisHuey("lanmu", connection_pool=pool, **options)
    return SqliteHuey("lanmu", filename=str(config.server.data_dir / "huey.db"), fsync=False, **options)
