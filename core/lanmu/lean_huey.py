"""Huey without the clients of queues that nobody has asked for.

It imports every client that it finds installed, those of Redis and of PostgreSQL: 16 MB in every worker. They
are kept from it here, and Redis's is handed to it where the queue is there.
"""

import sys
from typing import Any

_CLIENTS = ("cysqlite", "psycopg", "redis")

_kept_back = [name for name in _CLIENTS if name not in sys.modules]
for _name in _kept_back:
    sys.modules[_name] = None  # type: ignore[assignment]  # to an import that is: it is not installed
try:
    from huey import Huey, RedisHuey, SqliteHuey, storage
    from huey.consumer import Consumer
    from huey.registry import Message
    from huey.serializer import Serializer
finally:
    for _name in _kept_back:
        del sys.modules[_name]

__all__ = ["Consumer", "Huey", "Message", "RedisHuey", "Serializer", "SqliteHuey", "redis_pool"]


def redis_pool(url: str, **options: Any) -> Any:
    """Connections to a Redis server, with whose client Huey works from now on."""
    import redis  # see above

    storage.ConnectionPool = redis.ConnectionPool
    storage.Redis = storage.RedisStorage.redis_client = redis.Redis
    storage.ConnectionError, storage.TimeoutError = redis.ConnectionError, redis.TimeoutError
    return redis.ConnectionPool.from_url(url, **options)
