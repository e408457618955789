"""Engine, sessions, column types and the migration runner: the only place that knows the database."""

from lanmu.storage.base import Base, Public, plugin_base, plugin_metadata
from lanmu.storage.database import Database
from lanmu.storage.types import JsonDoc, UtcDateTime, new_public_id

__all__ = [
    "Base",
    "Database",
    "JsonDoc",
    "Public",
    "UtcDateTime",
    "new_public_id",
    "plugin_base",
    "plugin_metadata",
]
