"""config.toml → a frozen Config; every fault is told at once, with its key's whole path."""

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import Schema, ValidationError, fields, validate

from lanmu import validation
from lanmu.i18n import DEFAULT_LOCALE, LOCALES, _
from lanmu.interfaces.errors import Faults, Invalid, LanmuError
from lanmu.interfaces.secrets import Secret
from lanmu.secret_settings import FROM_ENVIRONMENT, FROM_FILE, below, looks_secret

_SHORTEST_SECRET = 32


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where the server listens and keeps its data. `base_url` is what people's phones reach."""

    host: str
    port: int
    base_url: str
    data_dir: Path
    secret_key: Secret | None
    shop_name: str
    zone: str
    locale: str
    allowed_hosts: tuple[str, ...]
    solo_approval: bool
    threads: int


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """`url` is empty for the SQLite file in `data_dir`."""

    url: Secret | None
    pool_size: int


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """Where Huey keeps its doorbell: a SQLite file in `data_dir`, or Redis/Valkey at `url`.

    `workers` is how many batches are under way side by side, each with its share of `delivery.concurrency`.
    """

    backend: str
    url: Secret | None
    workers: int


@dataclass(frozen=True, slots=True)
class LibraryConfig:
    """The folder that the library syncs with, None: no files."""

    folder: Path | None


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """How far ahead the planner lays out, and how long before its time an occurrence is handed over."""

    horizon_days: int
    hand_over_minutes: int


@dataclass(frozen=True, slots=True)
class DeliveryConfig:
    """How many messages may be under way at once, which one crash can leave ambiguous, and the lease.

    `calls` is how many of them are called at the same moment; None: all.
    `absent_after_seconds` is how long after a write, and after a first look, nothing found by a lookup means
    that nothing was sent; what a channel declares may only be more.
    `quiet_from` and `quiet_until` are wall times where the recipients live; None: no hours are quiet.
    """

    concurrency: int
    calls: int | None
    lease_seconds: int
    sweep_seconds: float
    absent_after_seconds: int
    quiet_from: time | None
    quiet_until: time | None


@dataclass(frozen=True, slots=True)
class LogConfig:
    """`format`: "console" for people, "json" for programs."""

    level: str
    format: str


@dataclass(frozen=True, slots=True)
class Config:
    """Everything an operator can set.

    `unfilled`: what could not be put into a plugin's table, which keeps that plugin alone from running.
    `exposed`: the places below `plugins` whose text stands in the file itself, where others can read it.
    """

    path: Path | None
    server: ServerConfig
    database: DatabaseConfig
    queue: QueueConfig
    library: LibraryConfig
    schedule: ScheduleConfig
    delivery: DeliveryConfig
    log: LogConfig
    demo: bool
    plugins: Mapping[str, Mapping[str, Any]] = field(repr=False)  # as written, secrets and all
    unfilled: Mapping[str, tuple[LanmuError, ...]]
    exposed: frozenset[str]

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the database in use."""
        if self.database.url:
            return self.database.url.reveal().replace("postgres://", "postgresql://", 1)
        return f"sqlite:///{self.server.data_dir / 'lanmu.db'}"


def _zone(value: str) -> None:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValidationError(_("is not a time zone; write one like Asia/Shanghai.")) from error


_BASE_URL = re.compile(r"^(https?://[^/\s]+)?$")
_NO_BASE_URL = _("is not an address like https://lanmu.example.com, without a path.")


class _SecretField(fields.String):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        return Secret(text) if text else None


_QUIET = ("quiet_from", "quiet_until")
_WALL_TIME = re.compile(r"^(([01]\d|2[0-3]):[0-5]\d)?$")
_NO_WALL_TIME = _("is not a time of day like 22:00; leave it empty for none.")


class _WallTimeField(fields.String):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Regexp(_WALL_TIME, error=_NO_WALL_TIME), **kwargs)


class _ServerSchema(Schema):
    host = fields.String(load_default="127.0.0.1", validate=validate.Length(min=1))
    port = fields.Integer(strict=True, load_default=8640, validate=validate.Range(0, 65535))
    base_url = fields.String(load_default="", validate=validate.Regexp(_BASE_URL, error=_NO_BASE_URL))
    data_dir = fields.String(load_default="data", validate=validate.Length(min=1))
    secret_key = _SecretField(load_default=None)
    shop_name = fields.String(load_default="栏目示范店", validate=validate.Length(min=1, max=40))
    zone = fields.String(load_default="Asia/Shanghai", validate=_zone)
    locale = fields.String(load_default=DEFAULT_LOCALE, validate=validate.OneOf(LOCALES))
    allowed_hosts = fields.List(fields.String(), load_default=list)
    solo_approval = fields.Boolean(load_default=False)
    threads = fields.Integer(strict=True, load_default=8, validate=validate.Range(2, 64))


class _DatabaseSchema(Schema):
    url = _SecretField(load_default=None)
    pool_size = fields.Integer(strict=True, load_default=16, validate=validate.Range(2, 200))


class _QueueSchema(Schema):
    backend = fields.String(load_default="sqlite", validate=validate.OneOf(["sqlite", "redis"]))
    url = _SecretField(load_default=None)
    workers = fields.Integer(strict=True, load_default=1, validate=validate.Range(1, 32))


class _LibrarySchema(Schema):
    folder = fields.String(load_default="content_library")


class _ScheduleSchema(Schema):
    horizon_days = fields.Integer(strict=True, load_default=14, validate=validate.Range(1, 90))
    hand_over_minutes = fields.Integer(strict=True, load_default=10, validate=validate.Range(1, 1440))


class _DeliverySchema(Schema):
    concurrency = fields.Integer(strict=True, load_default=16, validate=validate.Range(1, 256))
    calls = fields.Integer(strict=True, load_default=None, validate=validate.Range(1, 256))
    lease_seconds = fields.Integer(strict=True, load_default=60, validate=validate.Range(20, 600))
    sweep_seconds = fields.Float(load_default=5.0, validate=validate.Range(0.2, 60))
    absent_after_seconds = fields.Integer(strict=True, load_default=300, validate=validate.Range(1, 86_400))
    quiet_from = _WallTimeField(load_default="22:00")
    quiet_until = _WallTimeField(load_default="08:00")


class _LogSchema(Schema):
    level = fields.String(load_default="info", validate=validate.OneOf(["debug", "info", "warning", "error"]))
    format = fields.String(load_default="console", validate=validate.OneOf(["console", "json"]))


class _DemoSchema(Schema):
    enabled = fields.Boolean(load_default=False)


class _ConfigSchema(Schema):
    server = fields.Nested(_ServerSchema, load_default=lambda: _ServerSchema().load({}))
    database = fields.Nested(_DatabaseSchema, load_default=lambda: _DatabaseSchema().load({}))
    queue = fields.Nested(_QueueSchema, load_default=lambda: _QueueSchema().load({}))
    library = fields.Nested(_LibrarySchema, load_default=lambda: _LibrarySchema().load({}))
    schedule = fields.Nested(_ScheduleSchema, load_default=lambda: _ScheduleSchema().load({}))
    delivery = fields.Nested(_DeliverySchema, load_default=lambda: _DeliverySchema().load({}))
    log = fields.Nested(_LogSchema, load_default=lambda: _LogSchema().load({}))
    demo = fields.Nested(_DemoSchema, load_default=lambda: _DemoSchema().load({}))
    plugins = fields.Dict(keys=fields.String(), values=fields.Dict(keys=fields.String()), load_default=dict)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read config.toml. Raises Faults with every fault that was found.

    Paths in it are relative to the file's own folder, so that the server may be started from anywhere.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Invalid(str(path), _("cannot be read: %(error)s."), error=error.strerror or error) from error
    except UnicodeDecodeError as error:
        raise Invalid(str(path), _("cannot be read: %(error)s."), error="UTF-8?") from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(str(path), _("is not valid TOML: %(error)s."), error=error) from error
    return parse(raw, path.resolve(), environ)


def parse(raw: Mapping[str, Any], path: Path | None, environ: Mapping[str, str]) -> Config:
    """A Config from a read TOML document; `path` is where it came from, None for a made-up one."""
    filling = _Filling(environ)
    filled = filling.fill({key: value for key, value in raw.items() if key != "plugins"}, "")
    faults = filling.faults
    tables = raw.get("plugins", {})
    unfilled: dict[str, tuple[LanmuError, ...]] = {}
    if isinstance(tables, Mapping):
        filled["plugins"] = {}
        for name, table in tables.items():
            filling.faults = []
            filled["plugins"][name] = filling.fill(table, f"plugins.{name}")
            if filling.faults:
                unfilled[name] = tuple(filling.faults)
    elif "plugins" in raw:
        filled["plugins"] = tables
    data: Any = {}
    try:
        data = _ConfigSchema().load(filled)
    except ValidationError as error:
        told = {fault.place for fault in faults}  # what could not be put in is wrong in the schema's eyes too
        faults.extend(
            fault for fault in validation.faults(error.messages, _ConfigSchema()) if fault.place not in told
        )
        data = error.valid_data
    faults.extend(_contradictions(data))
    exposed = filling.literal if path is not None and _others_can_read(path) else set()
    if path is not None and exposed & filling.secrets.keys():
        faults.append(
            Invalid(
                str(path),
                _("holds secrets (%(keys)s) and others on this machine can read it."),
                _("Run chmod 600 on it, or write ${NAME} and set NAME in the environment."),
                keys=", ".join(filling.secrets),
            )
        )
    if faults:
        raise Faults(faults)
    return _build(data, path, unfilled, frozenset(each for each in exposed if each.startswith("plugins.")))


def _build(
    data: dict[str, Any],
    path: Path | None,
    unfilled: Mapping[str, tuple[LanmuError, ...]],
    exposed: frozenset[str],
) -> Config:
    home = path.parent if path else Path.cwd()
    server = dict(data["server"])
    server["data_dir"] = home / Path(server["data_dir"]).expanduser()
    server["allowed_hosts"] = tuple(server["allowed_hosts"])
    server["base_url"] = server["base_url"] or f"http://{server['host']}:{server['port']}"
    folder = data["library"]["folder"]
    return Config(
        path=path,
        server=ServerConfig(**server),
        database=DatabaseConfig(**data["database"]),
        queue=QueueConfig(**data["queue"]),
        library=LibraryConfig(home / Path(folder).expanduser() if folder else None),
        schedule=ScheduleConfig(**data["schedule"]),
        delivery=_delivery(data["delivery"]),
        log=LogConfig(**data["log"]),
        demo=data["demo"]["enabled"],
        plugins=MappingProxyType({name: MappingProxyType(table) for name, table in data["plugins"].items()}),
        unfilled=MappingProxyType(dict(unfilled)),
        exposed=exposed,
    )


def _delivery(data: Mapping[str, Any]) -> DeliveryConfig:
    quiet = {name: time.fromisoformat(data[name]) if data[name] else None for name in _QUIET}
    return DeliveryConfig(**{**data, **quiet})


class _Filling:
    """Puts in what `${NAME}` and `${file:…}` stand for (whole values only; `$$` is a dollar).

    `literal`: the places whose texts stand in the file itself; `secrets`: those of them that look secret,
    in the file's order.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[LanmuError] = []
        self.literal: set[str] = set()
        self.secrets: dict[str, None] = {}

    def fill(self, value: Any, place: str) -> Any:
        if isinstance(value, Mapping):
            return {key: self.fill(item, below(place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, place) for item in value]
        if not isinstance(value, str):
            self.literal.add(place)
            return value
        if named := FROM_ENVIRONMENT.match(value):
            return self._from_environment(named[1], place)
        if named := FROM_FILE.match(value):
            return self._from_file(named[1], place)
        self.literal.add(place)
        if looks_secret(place.rsplit(".", 1)[-1], value):
            self.secrets[place] = None
        return value.replace("$$", "$")

    def _from_environment(self, name: str, place: str) -> str:
        if name not in self._environ:
            fault = _("asks for the environment variable %(name)s, which is not set.")
            self.faults.append(Invalid(place, fault, _("Set it before you start Lanmu."), name=name))
        return self._environ.get(name, "")

    def _from_file(self, name: str, place: str) -> str:
        try:
            return Path(name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            self.faults.append(Invalid(place, _("names the file %(name)s, which cannot be read."), name=name))
            return ""


def settings_faults(plugin: str, error: ValidationError, schema: Schema) -> Faults:
    """What is wrong in a plugin's `[plugins.NAME]` table, in the same words as the core's own faults."""
    return Faults(validation.faults(error.messages, schema, f"plugins.{plugin}"))


def _contradictions(data: Any) -> list[LanmuError]:
    """Values that are right alone and wrong together; of the faulty ones `data` may lack some."""
    found: list[LanmuError] = []
    secret = data.get("server", {}).get("secret_key")
    if secret and len(secret.reveal()) < _SHORTEST_SECRET:
        found.append(
            Invalid(
                "server.secret_key",
                _("is too short to be a secret: %(shortest)s characters at least."),
                _("Leave it out and one is made, or take what `openssl rand -base64 48` prints."),
                shortest=_SHORTEST_SECRET,
            )
        )
    quiet = {(data.get("delivery") or {}).get(name) for name in _QUIET}
    if None not in quiet and quiet != {""} and ("" in quiet or len(quiet) == 1):
        told = _("must differ from quiet_from, and be empty only where that is.")
        found.append(Invalid("delivery.quiet_until", told))
    queue = data.get("queue") or {}
    if queue.get("backend") == "redis" and not queue.get("url"):
        found.append(Invalid("queue.url", _("is missing, and queue.backend is redis.")))
    url = (data.get("database") or {}).get("url")
    if url and not re.match(r"^(postgres(ql)?(\+psycopg)?|sqlite)://", url.reveal()):
        found.append(
            Invalid("database.url", _("must begin with postgresql:// or sqlite://; leave it out for SQLite."))
        )
    return found


def _others_can_read(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWOTH))
