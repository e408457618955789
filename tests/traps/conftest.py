"""The delivery room and the shop of their own tests, for the traps that others fell into."""

from tests.delivery.conftest import make_room, pool, room
from tests.schedule.conftest import shop, small_shop

__all__ = ["make_room", "pool", "room", "shop", "small_shop"]
