"""The composition root: from a Config to a Server with its engine, clock, plugins and services."""

import logging
import os
import secrets
from concurrent.futures import Executor
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

import lanmu.every_model  # noqa: F401  migrations need every table
from lanmu.audience.service import AudienceService
from lanmu.clock import SystemClock
from lanmu.config import Config
from lanmu.delivery.deadlines import Deadlines
from lanmu.delivery.door.gate import Answer
from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.door.quiet import QuietHours
from lanmu.delivery.door.send_limits import SendLimits
from lanmu.delivery.followup.doubts import Doubts
from lanmu.delivery.followup.look_times import ABSENT_AFTER, hasty
from lanmu.delivery.followup.results import Results
from lanmu.delivery.installation.home import Home
from lanmu.delivery.installation.lives import Elsewhere
from lanmu.delivery.installation.owner import Owner
from lanmu.delivery.models import Unit
from lanmu.delivery.sending.dispatcher import Dispatcher
from lanmu.delivery.sending.journal import Journal
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.service import DeliveryService
from lanmu.events import Events
from lanmu.experiments.service import Experiments
from lanmu.hosting import PluginHost
from lanmu.i18n import Catalog, _
from lanmu.interfaces.clock import Clock, FarTime, TellsTime
from lanmu.interfaces.errors import Invalid
from lanmu.interfaces.events import MaterialApproved, Receipt
from lanmu.interfaces.host import Host
from lanmu.interfaces.rewriting import ContentCheck, Rewriter
from lanmu.interfaces.secrets import Secret
from lanmu.ledger.seal import Sealer
from lanmu.ledger.service import LedgerService
from lanmu.library.service import Library
from lanmu.meters import Meters
from lanmu.metrics.service import MetricsService
from lanmu.plugins import Plugins
from lanmu.reports.service import Reports
from lanmu.schedule.service import ScheduleService
from lanmu.signing import Signer
from lanmu.staff.audit import Audit
from lanmu.staff.models import SettingRecord
from lanmu.staff.service import StaffService
from lanmu.staff.tokens import TokenService
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade
from lanmu.storage.once import insert_new

log = logging.getLogger(__name__)


class Server:
    """Everything that runs, put together. `close` it when done."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        self.clock: Clock = clock or SystemClock()
        self.meters = Meters()
        data = config.server.data_dir
        data.mkdir(parents=True, exist_ok=True)
        os.chmod(data, 0o700)  # database, secrets and attachments are nobody else's business
        self.database = Database(
            config.database_url,
            pool_size=config.database.pool_size,
            patience=config.delivery.lease_seconds,  # an answer after that finds the unit in doubt
        )
        try:
            self._put_together(data)
        except BaseException:
            self.database.close()
            raise

    def _put_together(self, data: Path) -> None:
        config = self.config
        upgrade(self.database, CORE)
        self.signer = Signer(self._signing_secret(), self.clock)
        self._open_rooms()
        self.home = Home(self.database, self.clock, self.audit, data, self._far_times)
        self.home.arrive()
        self.plugins = Plugins(config, self._host_for)
        for chain in self.plugins.chains():
            try:
                upgrade(self.database, chain)
            except Exception as error:  # noqa: BLE001  a plugin's migration must not stop the server
                self.plugins.set_aside(chain.owner, error)
        self.plugins.collect_channels()
        self.catalog = Catalog(["lanmu", *self.plugins.packages()])
        self.events = Events(self.metrics, self.ledger, self.plugins)
        self.journal = Journal(data)
        self._elsewhere = Elsewhere(self.database, self.clock, self.plugins.channels)
        self.results = Results(self.database, self.clock, self.plugins.channels, self._elsewhere.channels)
        self.delivery = DeliveryService(
            self.database,
            self.clock,
            self.plugins.channels,
            solo_approval=config.server.solo_approval,
            journal=self.journal,
            deadlines=Deadlines(config.server.zone, self.quiet_hours()),
            elsewhere=self._elsewhere.channels,
            results=self.results,
        )
        self.limits = SendLimits(self.database, self.clock, config.server.zone)
        self.limits.seed()
        self.schedule = ScheduleService(
            self.database,
            self.clock,
            self.library.materials,
            self.delivery,
            self.experiments,
            self.plugins.channels,
            horizon=timedelta(days=config.schedule.horizon_days),
            ahead=timedelta(minutes=config.schedule.hand_over_minutes),
            zone=config.server.zone,
        )
        self.schedule.special_days.seed()
        self.reports = Reports(self.database, self.clock)

    def _open_rooms(self) -> None:
        config, database, clock = self.config, self.database, self.clock
        self.audit = Audit(database, clock)
        self.staff = StaffService(database, clock)
        self.tokens = TokenService(database, clock)
        self.audience = AudienceService(database, clock)
        self.metrics = MetricsService(database, clock)
        self.ledger = LedgerService(
            database,
            clock,
            self.signer.key("coupons"),
            frozen=self.audience.is_frozen,
            used=lambda staff, coupon: self.audit.record(
                staff, "coupon.use", coupon, permission="coupon.redeem"
            ),
        )
        self.sealer = Sealer(database, clock)
        self.library = Library(
            database,
            clock,
            config.server.data_dir,
            zone=config.server.zone,
            solo_approval=config.server.solo_approval,
            approved=self._material_approved,
            usage=Reports(database, clock).usage,
        )
        self.library.seed()
        self.experiments = Experiments(database, clock, self.library)

    def _signing_secret(self) -> Secret:
        """The secret of config.toml, or one made at first start and kept in the database."""
        if self.config.server.secret_key:
            return self.config.server.secret_key
        made = select(SettingRecord.value).where(SettingRecord.key == "signing_secret")
        with self.database.read() as session:
            if (value := session.scalar(made)) is not None:
                return Secret(value)
        with self.database.write() as session:
            fresh = {"key": "signing_secret", "value": secrets.token_urlsafe(48)}
            insert_new(session, SettingRecord, [fresh])
            return Secret(session.execute(made).scalar_one())

    def _host_for(self, name: str) -> Host:
        workspace = self.config.server.data_dir / "plugins" / name
        workspace.mkdir(parents=True, exist_ok=True)
        return PluginHost(
            name,
            clock=self.clock,
            base_url=self.config.server.base_url,
            shop_name=self.config.server.shop_name,
            workspace=workspace,
            database=self.database,
            points=self.ledger,
            audience=self.audience,
            signer=self.signer,
            # Looked up when called: plugins are built before these.
            record=lambda event: self.events.record(event),
            results_changed=lambda channel, ref: self.results.ask_soon(channel, ref),
        )

    def _far_times(self) -> list[FarTime]:
        """What the far ends' clocks last said, of channels that can tell."""
        channels = [each for each in self.plugins.channels.values() if isinstance(each, TellsTime)]
        return [heard for each in channels if (heard := each.far_time()) is not None]

    def _material_approved(self, material: MaterialApproved) -> None:
        self.plugins.tell("lanmu_material_approved", material=material)

    def first_password_unused(self) -> bool:
        """Whether the password printed at first start is still the one to sign in with."""
        return any(person.must_change_password for person in self.staff.everybody())

    def rewriters(self) -> list[Rewriter]:
        """Every rewriter that a plugin offers."""
        return [offered for _plugin, offered in self.plugins.offers("lanmu_rewriters")]

    def checks(self) -> list[ContentCheck]:
        """Every content check that a plugin offers."""
        return [offered for _plugin, offered in self.plugins.offers("lanmu_checks")]

    def dispatcher(
        self, owner: Owner, pool: Executor, *, batch: int, preparing: Executor | None = None
    ) -> Dispatcher:
        """A dispatcher for this process, which has up to `batch` units under way at once."""
        return Dispatcher(
            self.database.by_index,
            self.clock,
            self.plugins.channels,
            self._preflight(),
            owner,
            pool,
            self._told,
            concurrency=batch,
            preparing=preparing,
            lease=timedelta(seconds=self.config.delivery.lease_seconds),
            clock_is_sane=self.home.may_send,
            journal=self.journal,
            gatekeeper=self._gatekeeper(),
            answered=self._answered,
            elsewhere=self._elsewhere.channels,
        )

    def doubts(self, owner: Owner) -> Doubts:
        """What finds out, in this process, what became of units in doubt."""
        return Doubts(
            self.database,
            self.clock,
            self.plugins.channels,
            self._preflight(),
            self._gatekeeper(),
            owner,
            lease=timedelta(seconds=self.config.delivery.lease_seconds),
            absent_after=timedelta(seconds=self.config.delivery.absent_after_seconds),
            journal=self.journal,
            may_send=self.home.may_send,
            tell=self._told,
            elsewhere=self._elsewhere.channels,
        )

    def _preflight(self) -> Preflight:
        return Preflight(
            self.database,
            self.clock,
            self.library.materials.snapshot,
            self.plugins.objections,
            self.config.server.shop_name,
        )

    def _gatekeeper(self) -> Gatekeeper:
        return Gatekeeper(self.plugins.channels, self.config.server.zone, self.quiet_hours())

    def quiet_hours(self) -> QuietHours | None:
        """When nobody is to be disturbed; None where no hours are quiet."""
        since, until = self.config.delivery.quiet_from, self.config.delivery.quiet_until
        return None if since is None or until is None else QuietHours(since, until)

    def hasty_lookups(self) -> Invalid | None:
        """What is wrong with `delivery.absent_after_seconds` for the channels that run, if anything."""
        seconds = self.config.delivery.absent_after_seconds
        channels = [
            name
            for name, channel in self.plugins.channels.items()
            if hasty(channel.abilities, timedelta(seconds=seconds))
        ]
        if not channels:
            return None
        return Invalid(
            "delivery.absent_after_seconds",
            _("is %(seconds)s: a message that %(channels)s lists late may be sent twice."),
            _("Set at least %(least)s and restart; less is for a sandbox alone."),
            seconds=seconds,
            channels=", ".join(channels),
            least=int(ABSENT_AFTER.total_seconds()),
        )

    def _answered(self, answer: Answer) -> None:
        for each in answer.parted.values() if answer.parted else (answer,):
            self.meters.gate_answers.labels(str(each.door), each.code).inc()

    def _told(self, receipt: Receipt) -> None:
        self.meters.units_sent.labels(receipt.channel, receipt.state).inc()
        self.plugins.tell("lanmu_pushed", receipt=receipt)

    def measure(self) -> None:
        """Set the gauges to how things stand now."""
        with self.database.read() as session:
            rows = session.execute(select(Unit.state, func.count()).group_by(Unit.state)).all()
        plugins: dict[str, int] = {}
        for status in self.plugins.statuses():
            plugins[status.state] = plugins.get(status.state, 0) + 1
        self.meters.show({str(state): int(count) for state, count in rows}, plugins, self.home.state().kind)

    def close(self) -> None:
        self.home.leave()
        self.database.close()
