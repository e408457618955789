"""`lanmu serve` and `lanmu worker`: everything in one process, or the worker alone; stopped in good order."""

import errno
import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lanmu.cli.commands import Command
from lanmu.cli.context import CONFIG, done, progress_bar, read_config, start_server, starter
from lanmu.cli.layout import table
from lanmu.cli.words import say, told
from lanmu.config import Config
from lanmu.i18n import Filled, _
from lanmu.interfaces.errors import Invalid, LanmuError
from lanmu.interfaces.host import Service
from lanmu.keeper import Keeper
from lanmu.server import Server

if TYPE_CHECKING:
    from lanmu.worker import Worker

_DRAIN_SECONDS = 20.0


@click.command(cls=Command, help=_("Serve the console, the API and the worker in one process."))
@click.option("--no-worker", is_flag=True, help=_("Serve the web alone; run `lanmu worker` elsewhere."))
@click.pass_context
def serve(ctx: click.Context, no_worker: bool) -> None:
    config = _config_or_starter(ctx)
    with ExitStack() as stack:
        server = start_server(config)
        stack.callback(server.close)
        password = server.staff.ensure_admin(server.catalog.gettext(config.server.locale, _("Administrator")))
        web = _Web(server)
        stack.callback(web.stop)
        web.start()
        _fill_library(server)
        services = _start_services(server, stack)
        demo = _prepare_demo(server)
        if server.home.state().ok:
            server.schedule.plan_ahead()
        if no_worker:
            keeper = Keeper(server)
            keeper.start()
            stack.callback(keeper.stop)
        else:
            from lanmu.worker import Worker  # Huey is not needed to serve the web alone

            worker = Worker(server)
            worker.start()
            stack.callback(_stop, worker)
        _tell(config, services, password, server.first_password_unused(), demo)
        _tell_why_nothing_goes_out(server)
        _tell_what_does_not_run(server)
        _tell_hasty_lookups(server)
        _wait_for_signal()
        done(_("Stopping: what is under way is finished first …"))
    done(_("Stopped. Nothing is lost; start again any time."))


@click.command(cls=Command, help=_("Run the worker alone, beside `lanmu serve --no-worker`."))
@click.pass_context
def worker(ctx: click.Context) -> None:
    from lanmu.worker import Worker

    with ExitStack() as stack:
        server = start_server(read_config(ctx))
        stack.callback(server.close)
        running = Worker(server)
        running.start()
        stack.callback(_stop, running)
        _tell_why_nothing_goes_out(server)
        _tell_what_does_not_run(server)
        _tell_hasty_lookups(server)
        done(_("The worker runs. Ctrl-C stops it."))
        _wait_for_signal()
        done(_("Stopping: what is under way is finished first …"))


def _stop(worker: "Worker") -> None:
    """Stop in good order; where something hangs past its time, end the process as it stands."""
    if not worker.stop():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # threads that hang in a call would keep the interpreter from its end


def _tell_why_nothing_goes_out(server: Server) -> None:
    state = server.home.state()
    if state.kind == "frozen":
        way_out = _("Nothing is sent. Make sure that the original is stopped, then run `lanmu release`.")
    elif state.kind == "clock_suspect":
        way_out = _("Nothing is sent. Look at the clock; if it is right, run `lanmu clock trust`.")
    else:
        return
    click.echo(f"{say(state.reason)}\n{say(way_out)}", err=True)


def _tell_hasty_lookups(server: Server) -> None:
    if hasty := server.hasty_lookups():
        click.echo(told(hasty), err=True)


def _tell_what_does_not_run(server: Server) -> None:
    """The plugins that config.toml asks for in vain: their pushes wait. The log speaks English alone."""
    for status in server.plugins.statuses():
        if status.state in ("set_aside", "missing"):
            text = _("The plugin %(name)s does not run. %(why)s")
            click.echo(say(text, name=status.name, why=status.reason), err=True)


def _config_or_starter(ctx: click.Context) -> Config:
    """The settings; in a folder without a config.toml, a start is made with the shipped ones."""
    if ctx.find_root().params.get("config") is None and not Path(CONFIG).is_file():
        made = starter(Path.cwd())
        if made:
            done(_("A new start: put %(made)s into this folder."), made=say(_(", ")).join(made))
    return read_config(ctx)


def _fill_library(server: Server) -> None:
    folder = server.config.library.folder
    if folder is None or not folder.is_dir():
        return
    with progress_bar(_("Loading the library")) as progress:
        report = server.library.folder.run(folder, progress=progress)
    for fault in report.faults:
        click.echo(told(fault), err=True)


def _prepare_demo(server: Server) -> Any:
    folder = server.config.library.folder
    if not server.config.demo or folder is None:
        return None
    from lanmu.demo import prepare

    try:
        return prepare(server, folder)
    except LanmuError as error:  # the demo is an extra: the server runs without it
        click.echo(told(error), err=True)
        return None


def _start_services(server: Server, stack: ExitStack) -> list[Service]:
    started = []
    for plugin, offered in server.plugins.offers("lanmu_services"):
        service: Service = offered
        try:
            service.start()
        except Exception as error:  # noqa: BLE001  a service beside us must not keep us from serving
            click.echo(f"{plugin}: {service.title}: {error}", err=True)
            continue
        stack.callback(_end, plugin, service)
        started.append(service)
    return started


def _end(plugin: str, service: Service) -> None:
    try:
        service.stop()
    except Exception as error:  # noqa: BLE001  nor from stopping in good order
        click.echo(f"{plugin}: {service.title}: {error}", err=True)


_WHY_NOT: dict[int, str] = {
    errno.EADDRINUSE: Filled(_("another program has this port already")),
    errno.EACCES: Filled(_("this user may not listen on this port")),
    errno.EADDRNOTAVAIL: Filled(_("this machine has no such address")),
}
"""What keeps a server from listening, in words that are translated where they are shown."""


class _Web:
    """waitress in a thread of its own, stopped only when the requests under way are answered."""

    def __init__(self, server: Server) -> None:
        from waitress.server import create_server

        from lanmu.web.app import create_app
        from lanmu.web.lane import Threads

        config = server.config.server
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        try:
            listening = socket.create_server((config.host, config.port), family=family, backlog=1024)
        except OSError as error:
            raise Invalid(
                "server.port",
                _("%(host)s:%(port)s cannot be listened on: %(error)s."),
                _("Stop what holds it, or choose another port."),
                host=config.host,
                port=config.port,
                error=_WHY_NOT.get(error.errno or 0, error.strerror or error),
            ) from error
        self._server: Any = create_server(
            create_app(server),
            sockets=[listening],
            _dispatcher=Threads(config.threads),
            ident="",
            # A proxy on this machine may say who asks: else all would share one count of wrong passwords.
            trusted_proxy="127.0.0.1",
            trusted_proxy_headers={"x-forwarded-for"},
        )
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        wake_up = self._server.trigger
        wake_up.pull_trigger(self._accept_no_more)  # sockets belong to the thread that waits on them
        deadline = time.monotonic() + _DRAIN_SECONDS
        tasks = self._server.task_dispatcher
        while (tasks.active_count or tasks.queue) and time.monotonic() < deadline:
            time.sleep(0.05)
        tasks.shutdown()
        wake_up.pull_trigger(wake_up.del_channel)  # the thread ends when nobody is left whom it waits on
        self._thread.join(1)
        wake_up.close()  # not by that thread: awake already, it would close what is still to be pulled

    def _accept_no_more(self) -> None:
        self._server.del_channel()
        self._server.socket.close()


def _wait_for_signal() -> None:
    asked = threading.Event()
    before: dict[int, Any] = {}

    def stop(_number: int, _frame: object) -> None:
        if asked.is_set():  # a second Ctrl-C: the person does not want to wait
            raise KeyboardInterrupt
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    while not asked.wait(1.0):
        pass


def _tell(config: Config, services: list[Service], password: str | None, unused: bool, demo: Any) -> None:
    rows = [(say(_("Console")), config.server.base_url)]
    rows += [(say(service.title), service.url) for service in services]
    if password:
        rows.append((say(_("Sign in")), f"admin  {password}"))
        rows.append(("", say(_("(until you have chosen a password of your own)"))))
    elif unused:
        rows.append((say(_("Sign in")), "admin"))
        rows.append(("", say(_("(password lost? lanmu staff reset-password admin)"))))
    click.echo("")
    for line in table(rows):
        click.echo(f"  {line}")
    if demo:
        due = f"{demo.due:%H:%M}"
        columns, due = say(_(", ")).join(demo.columns), f"{demo.due:%H:%M}"
        click.echo("")
        click.echo(
            "  " + say(_("At %(time)s the demo columns are due: %(columns)s."), time=due, columns=columns)
        )
        click.echo("  " + say(_("Watch it on the board, and see it arrive on the phones of the sandbox.")))
    click.echo("")
    done(_("Ready. Ctrl-C stops."))
