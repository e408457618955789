"""A worker holds no client of a queue that it does not use, and has the one that it uses."""

import subprocess
import sys

import pytest

_WORKER = """
import sys, lanmu.worker
assert not {"redis", "psycopg"} & sys.modules.keys()
import psycopg
"""

_REDIS = """
from lanmu.lean_huey import RedisHuey, redis_pool
import redis
queue = RedisHuey("lanmu", connection_pool=redis_pool("redis://127.0.0.1:1", socket_timeout=1), results=False)
try:
    queue.storage.queue_size()
except redis.ConnectionError:
    print("asked")
"""


@pytest.mark.parametrize(("code", "told"), [(_WORKER, ""), (_REDIS, "asked\n")], ids=["without", "with"])
def test_clients_of_queues_are_there_where_they_are_used_alone(code, told):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (told, 0), done.stderr
