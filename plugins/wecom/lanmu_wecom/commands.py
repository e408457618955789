"""`lanmu wecom sandbox`: the look-alike as a server of its own."""

from pathlib import Path

import click

from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu_wecom.sandbox import start
from lanmu_wecom.wire import Origin


def sandbox_command(clock: Clock) -> click.Command:
    """The command, with the server's clock in its hand."""

    @click.command("sandbox", help=_("Serve a WeCom look-alike to try and test on."))
    @click.option("--host", default="127.0.0.1", show_default=True, help=_("Address to listen on."))
    @click.option("--port", default=8765, show_default=True, help=_("Port to listen on; 0 takes a free one."))
    @click.option(
        "--state",
        type=click.Path(dir_okay=False, path_type=Path),
        help=_("File that keeps messages and tasks over a restart; without it they are forgotten."),
    )
    def sandbox(host: str, port: int, state: Path | None) -> None:
        try:
            running = start(clock, state, host=host, port=port)
        except OSError as error:
            raise click.ClickException(f"{host}:{port}: {error.strerror}. Choose another --port.") from error
        click.echo(f"{running.url}/")
        click.echo(f'[plugins.wecom] base_url = "{running.url}"')
        if not Origin.of(f"https://{running.url.removeprefix('http://')}").loopback:
            click.echo(_("Everybody who reaches this address can read and confirm its messages."), err=True)
        try:
            running.wait()
        except KeyboardInterrupt:
            running.stop()

    return sandbox
