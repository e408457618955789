"""The declarative bases: one for the core, one for each plugin with tables."""

from typing import ClassVar

from sqlalchemy import MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lanmu.storage.types import new_public_id

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The core's tables."""

    metadata = MetaData(naming_convention=NAMING)


class Public:
    """A row that people see by an opaque id; the prefix tells what it is."""

    id_prefix: ClassVar[str]

    public_id: Mapped[str] = mapped_column(String(24), unique=True)

    @classmethod
    def fresh_id(cls) -> str:
        """A new opaque id for a row of this kind."""
        return new_public_id(cls.id_prefix)


def plugin_base(plugin: str) -> type[DeclarativeBase]:
    """A base for the tables of one plugin. Their names must start with `plugin_NAME_`."""

    class PluginBase(DeclarativeBase):
        metadata = plugin_metadata(plugin)

    return PluginBase


def plugin_metadata(plugin: str) -> MetaData:
    """The metadata for a plugin's own declarative base, which a type checker can then read:
    `class Base(DeclarativeBase): metadata = plugin_metadata("NAME")`."""
    return MetaData(naming_convention=NAMING, info={"plugin": plugin})
