"""`lanmu serve`: what it prints, and what stands between a proxy and the pages."""

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

import lanmu as lanmu_package
from lanmu import config
from lanmu.cli import serve
from lanmu.interfaces.channels import Abilities
from lanmu.plugins import GROUP
from lanmu.server import Server
from lanmu.staff.models import LoginFailure
from lanmu.testing.fakes import FakeChannel


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    raw = {"server": {"data_dir": str(folder / "data"), "port": 0}, "demo": {"enabled": False}}
    made = Server(config.parse(raw, None, {}))
    yield made
    made.close()


def test_a_proxy_on_this_machine_says_who_asks(server):
    web = serve._Web(server)
    web.start()
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", web._server.effective_port)) as client:
            form = urlencode({"username": "nobody", "password": "wrong"})
            headers = {
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Forwarded-For": "198.51.100.7, 203.0.113.9",
            }
            client.request("POST", "/login", form, headers)
            client.getresponse().read()
    finally:
        web.stop()
    with server.database.read() as session:
        assert session.scalars(select(LoginFailure.address)).all() == ["203.0.113.0/24"]


def test_it_stops_though_the_web_was_awake_before_it_was_woken(server, monkeypatch):
    web = serve._Web(server)
    web.start()
    wake_up = web._server.trigger
    pull = wake_up._physical_pull

    def late():
        pull()
        while wake_up.thunks and web._thread.is_alive():  # all is done before the hand pulls
            time.sleep(0)
        pull()

    monkeypatch.setattr(wake_up, "_physical_pull", late)
    web.stop()
    assert not web._thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", web._server.effective_port))


def test_a_service_beside_it_that_fails_keeps_it_neither_from_starting_nor_from_stopping(capsys):
    def fails(word):
        def fail():
            raise RuntimeError(word)

        return fail

    broken = SimpleNamespace(title="Broken", url="", start=fails("no start"), stop=fails("never"))
    stuck = SimpleNamespace(title="Stuck", url="", start=lambda: None, stop=fails("no stop"))
    offers = [("one", broken), ("two", stuck)]
    stopped: list[str] = []
    with ExitStack() as stack:
        stack.callback(stopped.append, "the server")
        beside: Any = SimpleNamespace(plugins=SimpleNamespace(offers=lambda _hook: offers))
        assert serve._start_services(beside, stack) == [stuck]
    assert stopped == ["the server"]
    assert capsys.readouterr().err.splitlines() == ["one: Broken: no start", "two: Stuck: no stop"]


def test_a_port_that_is_taken_is_named(lanmu, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (folder / "config.toml").write_text(f'[server]\nport = {port}\n[library]\nfolder = ""\n')
        told = lanmu("serve", lang="zh")
    assert told.exit_code == 2
    assert told.stderr.startswith(f"server.port: 无法监听 127.0.0.1:{port}：端口已被别的程序占用。")
    assert "Traceback" not in told.output


@pytest.mark.parametrize(
    ("lang", "lines"),
    [
        ("en", ["  Console  http://127.0.0.1:0", "  Sign in  admin  pass-word"]),
        ("zh", ["  管理后台  http://127.0.0.1:0", "  登录      admin  pass-word"]),
    ],
)
def test_what_is_printed_stands_in_columns(server, monkeypatch, capsys, lang, lines):
    monkeypatch.setenv("LANMU_LANG", lang)
    serve._tell(server.config, [], "pass-word", True, None)
    printed = capsys.readouterr().out.splitlines()
    assert printed[1:3] == lines
    assert printed[-1] == {"en": "Ready. Ctrl-C stops.", "zh": "启动完成。按 Ctrl-C 停止。"}[lang]


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_plugin_that_does_not_run_is_told_at_the_start(lanmu, folder, monkeypatch, command):
    monkeypatch.setattr(serve, "_wait_for_signal", lambda: None)
    text = '[server]\nport = 0\n[library]\nfolder = ""\n[plugins.points]\n[plugins.nobody]\n'
    (folder / "config.toml").write_text(text + '[plugins.wecom]\nsecret = "${NOT_SET_ANYWHERE}"\n')
    told = lanmu(command, lang="zh")
    assert told.exit_code == 0, told.output
    assert [line for line in told.stderr.splitlines() if line.startswith("插件")] == [
        "插件 nobody 没有运行。plugins.nobody: 没有安装这个插件。"
        "已安装：llm_copy, personal_wechat_export, points, wecom。",
        "插件 wecom 没有运行。plugins.wecom.secret: 用到的环境变量 NOT_SET_ANYWHERE 还没有设置。"
        "请设置好再启动栏目。",
    ]


class QuickChannel(FakeChannel):
    def __init__(self) -> None:
        super().__init__("quick", abilities=Abilities(lookup=True, settle=timedelta(minutes=1)))


class QuickPlugin(lanmu_package.Plugin[Any]):
    @lanmu_package.hookimpl
    def lanmu_channels(self) -> list[QuickChannel]:
        return [QuickChannel()]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin `quick` is installed, beside those that ship."""
    every = metadata.entry_points
    dist = SimpleNamespace(name="quick", version="1")
    point = SimpleNamespace(name="quick", value="q:Q", module="q", dist=dist, load=lambda: QuickPlugin)

    def found(**wanted: str) -> Any:
        return [*every(**wanted), point] if wanted.get("group") == GROUP else every(**wanted)

    monkeypatch.setattr(metadata, "entry_points", found)


_FLOOR = "[delivery]\nabsent_after_seconds = 3\n"
_SANDBOX = '[plugins.wecom]\nbase_url = "http://127.0.0.1:1"\nsettle_seconds = 3\n'


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_lookups_that_count_too_soon_are_told_at_the_start(lanmu, folder, monkeypatch, quick, command):
    monkeypatch.setattr(serve, "_wait_for_signal", lambda: None)
    text = '[server]\nport = 0\n[library]\nfolder = ""\n'
    (folder / "config.toml").write_text(f"{text}{_FLOOR}[plugins.quick]\n{_SANDBOX}")
    told = lanmu(command)
    assert told.exit_code == 0, told.output
    (line,) = (each for each in told.stderr.splitlines() if "absent_after_seconds" in each)
    assert "3" in line
    assert "300" in line
    assert "quick" in line
    assert "wecom" not in line
    assert "可能会重复发" in lanmu(command, lang="zh").stderr
    (folder / "config.toml").write_text(f"{text}{_FLOOR}{_SANDBOX}")
    assert "absent_after_seconds" not in lanmu(command).stderr


def test_the_check_of_the_settings_tells_of_a_floor_that_is_for_a_sandbox(lanmu, folder):
    assert "absent_after_seconds" not in lanmu("config", "check").output
    (folder / "config.toml").write_text(_FLOOR)
    told = lanmu("config", "check")
    assert told.exit_code == 0
    assert "config.toml is fine." in told.stdout
    assert "delivery.absent_after_seconds" in told.stderr
    assert "sandbox" in told.stderr
    assert "沙箱" in lanmu("config", "check", lang="zh").stderr
