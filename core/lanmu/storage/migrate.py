"""Migrations at start: one Alembic chain an owner, that is the core and each plugin with tables."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, MetaData, func, inspect, select

from lanmu.interfaces.errors import Conflict
from lanmu.storage.base import Base
from lanmu.storage.database import Database

if TYPE_CHECKING:  # Alembic takes a third of a second to import, and most commands do not migrate
    from alembic.config import Config

_HERE = Path(__file__).parent / "migrations"
_MIGRATING = 7_225_003  # any number that no other advisory lock of ours has
_AN_HOUR = 3_600_000
_STEP = re.compile(r'^(revision|down_revision)\b[^=\n]*=\s*["\']([^"\']+)["\']', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Chain:
    """The migrations of one owner: where its versions lie, and the tables they must add up to."""

    owner: str
    versions: Path
    metadata: MetaData

    @property
    def version_table(self) -> str:
        return "alembic_version" if self.owner == "core" else f"alembic_version_plugin_{self.owner}"


CORE = Chain("core", _HERE / "versions", Base.metadata)


def plugin_chain(plugin: str, versions: Path, metadata: MetaData) -> Chain:
    """A plugin's chain. Refuses tables that do not carry the plugin's name: they might be somebody else's."""
    foreign = [name for name in metadata.tables if not name.startswith(f"plugin_{plugin}_")]
    if foreign:
        raise Conflict(
            f"plugins.{plugin}",
            "its tables must start with plugin_%(plugin)s_: %(tables)s",
            plugin=plugin,
            tables=", ".join(sorted(foreign)),
        )
    return Chain(plugin, versions, metadata)


def upgrade(database: Database, chain: Chain) -> None:
    """Bring the owner's tables to the newest version, step by step; on SQLite all of them or none.

    Processes that start at once wait for the one that does it. Raises Conflict where the database is newer
    than this program: an old program on new tables would write what the new one does not expect.
    """
    with database.glance() as connection:
        if is_newest(connection, chain):
            return

    from alembic import command
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with database.engine.connect() as connection:
        _wait_for_others(connection)
        config = _config(chain, connection)
        script = ScriptDirectory.from_config(config)
        context = MigrationContext.configure(connection, opts={"version_table": chain.version_table})
        current = context.get_current_revision()
        known = {step.revision for step in script.walk_revisions()}
        connection.rollback()
        if current is not None and current not in known:
            raise Conflict(
                "database",
                "its tables (%(owner)s, version %(current)s) were made by a newer Lanmu.",
                "Start the newer version, or restore the backup that was made before the upgrade.",
                owner=chain.owner,
                current=current,
            )
        if current != script.get_current_head():
            command.upgrade(config, "head")
            connection.commit()


def _wait_for_others(connection: Connection) -> None:
    """Who starts at the same time waits, for as long as it takes, and finds it done.

    What does that is the connection's, which is closed afterwards and used for nothing else.
    """
    driver: Any = connection.connection.driver_connection
    connection.detach()
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_lock(_MIGRATING)))
        connection.commit()
    else:  # it waits at the beginning of its transaction, see env.py
        driver.execute(f"PRAGMA busy_timeout={_AN_HOUR}")


def is_newest(connection: Connection, chain: Chain) -> bool:
    """Whether there is nothing to do, found out without Alembic: a start as any other should not wait for it.

    A doubt (branches, a version made by calculation) is no; then Alembic finds out.
    """
    if not inspect(connection).has_table(chain.version_table):
        return False
    current = connection.exec_driver_sql(f"SELECT version_num FROM {chain.version_table}").scalars().all()  # noqa: S608
    steps: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for path in chain.versions.glob("*.py"):
        for name, revision in _STEP.findall(path.read_text(encoding="utf-8")):
            steps[name].add(revision)
    return current == sorted(steps["revision"] - steps["down_revision"]) and len(current) == 1


def differences(database: Database, chain: Chain) -> list[Any]:
    """What the models say and the migrated tables do not have; empty where they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": chain.version_table,
                "include_object": _owned_by(chain),
                "compare_type": False,
            },
        )
        return list(compare_metadata(context, chain.metadata))


def _config(chain: Chain, connection: Any) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.set_main_option("version_locations", str(chain.versions))
    config.set_main_option("path_separator", "os")
    config.attributes.update(
        connection=connection,
        metadata=chain.metadata,
        version_table=chain.version_table,
        include_object=_owned_by(chain),
    )
    return config


def _owned_by(chain: Chain) -> Any:
    tables = set(chain.metadata.tables)

    def owned(obj: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
        if kind == "table":
            return name in tables
        table = getattr(obj, "table", None)
        return table is None or table.name in tables

    return owned
