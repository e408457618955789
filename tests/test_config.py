"""config.toml: every fault at once with its path, values from elsewhere, and secrets that stay secret."""

from pathlib import Path

import pytest

from lanmu import config
from lanmu.config import Config
from lanmu.delivery.followup.look_times import ABSENT_AFTER
from lanmu.interfaces.errors import Faults, Invalid
from lanmu.interfaces.secrets import Secret

LONG = "a-secret-of-more-than-thirty-two-letters"


def _file(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def _faults(tmp_path: Path, text: str, mode: int = 0o600, **environ: str) -> dict[str, str]:
    with pytest.raises(Faults) as told:
        config.load(_file(tmp_path, text, mode), environ)
    return {fault.place: str(fault) for fault in told.value.faults}


def _load(tmp_path: Path, text: str, mode: int = 0o600, **environ: str) -> Config:
    return config.load(_file(tmp_path, text, mode), environ)


def test_an_empty_file_is_a_whole_setting(tmp_path: Path):
    loaded = _load(tmp_path, "")
    assert loaded.server.base_url == "http://127.0.0.1:8640"
    assert loaded.database_url == f"sqlite:///{tmp_path}/data/lanmu.db"
    assert loaded.server.secret_key is None
    assert loaded.delivery.absent_after_seconds == ABSENT_AFTER.total_seconds()
    assert not loaded.plugins


def test_every_fault_is_told_at_once_with_its_path(tmp_path: Path):
    told = _faults(
        tmp_path,
        """
        [server]
        port = "8640"
        prot = 1
        zone = "Asia/Shangai"
        secret_key = "short"
        [queue]
        backend = "redis"
        [database]
        url = "mysql://h/d"
        [deliver]
        concurrency = 1
        [log]
        level = "${LEVEL}"
        """,
    )
    assert set(told) == {
        "server.port", "server.prot", "server.zone", "server.secret_key", "queue.url", "database.url",
        "deliver", "log.level",
    }  # fmt: skip
    assert "port" in told["server.prot"].partition(":")[2]
    assert "delivery" in told["deliver"]
    assert "LEVEL" in told["log.level"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[server]\nport = 70000", "server.port"),
        ("[server]\nport = true", "server.port"),
        ('[server]\nbase_url = "shop.example"', "server.base_url"),
        ('[server]\nbase_url = "https://shop.example/path"', "server.base_url"),
        ('[server]\nshop_name = ""', "server.shop_name"),
        ('[server]\nlocale = "tlh"', "server.locale"),
        ("[delivery]\nconcurrency = 0", "delivery.concurrency"),
        ("[delivery]\nsweep_seconds = nan", "delivery.sweep_seconds"),
        ("[delivery]\nabsent_after_seconds = 0", "delivery.absent_after_seconds"),
        ('[delivery]\nquiet_from = "9pm"', "delivery.quiet_from"),
        ('[delivery]\nquiet_from = "08:00"', "delivery.quiet_until"),
        ('[delivery]\nquiet_from = ""', "delivery.quiet_until"),
        ("server = 1", "server"),
        ('[plugins]\nwecom = "yes"', "plugins.wecom"),
    ],
)
def test_a_value_that_cannot_be_is_named(tmp_path: Path, text: str, place: str):
    assert any(found.startswith(place) for found in _faults(tmp_path, text))


def test_a_value_comes_from_the_environment_whole(tmp_path: Path):
    text = '[server]\nsecret_key = "${KEY}"\nallowed_hosts = ["${HOST}", "b"]\nshop_name = "a ${KEY} $$5"'
    loaded = _load(tmp_path, text, KEY=LONG, HOST="shop.example")
    assert loaded.server.secret_key == Secret(LONG)
    assert loaded.server.allowed_hosts == ("shop.example", "b")
    assert loaded.server.shop_name == "a ${KEY} $5"  # no half values: a secret is never part of a text


def test_a_variable_that_is_not_set_is_named_with_its_key(tmp_path: Path):
    told = _faults(tmp_path, '[server]\nsecret_key = "${LANMU_SECRET_KEY}"')
    assert "LANMU_SECRET_KEY" in told["server.secret_key"]


def test_what_a_plugin_lacks_is_kept_for_that_plugin_and_stops_nothing_else(tmp_path: Path):
    text = '[plugins.wecom]\nsecret = "${WECOM_SECRET}"\n[plugins.points]\nlink_days = 3'
    loaded = _load(tmp_path, text)
    (fault,) = loaded.unfilled["wecom"]
    assert fault.place == "plugins.wecom.secret"
    assert "WECOM_SECRET" in str(fault)
    assert loaded.unfilled.keys() == {"wecom"}


def test_a_value_comes_from_a_file_without_its_line_end(tmp_path: Path):
    (tmp_path / "key").write_text(LONG + "\n")
    loaded = _load(tmp_path, f'[server]\nsecret_key = "${{file:{tmp_path}/key}}"')
    assert loaded.server.secret_key == Secret(LONG)


def test_a_secret_file_that_is_not_there_or_is_no_text_is_named(tmp_path: Path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name in ("nothing", "bytes"):
        told = _faults(tmp_path, f'[server]\nsecret_key = "${{file:{tmp_path}/{name}}}"')
        assert f"{tmp_path}/{name}" in told["server.secret_key"]


@pytest.mark.parametrize(
    "text",
    [
        f'[server]\nsecret_key = "{LONG}"',
        '[plugins.llm_copy]\napi_key = "sk-123456789"',
        '[plugins.wecom]\nsecret = "sk-123456789"',
        '[plugins.other]\ncorpsecret = "sk-123456789"',
        '[database]\nurl = "postgresql://lanmu:geheim@h/d"',
        '[plugins.wecom.robots]\n"内部群" = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=123"',
    ],
)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_written_secret_wants_a_file_of_ones_own(tmp_path: Path, text: str, mode: int):
    (fault,) = _faults(tmp_path, text, mode).values()
    assert "chmod 600" in fault
    _load(tmp_path, text, 0o600)


def test_a_file_without_written_secrets_may_be_read_by_all(tmp_path: Path):
    _load(tmp_path, '[server]\nsecret_key = "${KEY}"\n[database]\nurl = "postgresql://h/d"', 0o644, KEY=LONG)


def test_a_config_shows_no_secret(tmp_path: Path):
    text = (
        f'[server]\nsecret_key = "{LONG}"\n[database]\nurl = "postgresql://u:canary-one@h/d"\n'
        '[queue]\nurl = "redis://:canary-two@h"\n[plugins.wecom]\nsecret = "canary-three"'
    )
    shown = repr(_load(tmp_path, text))
    assert LONG not in shown
    assert "canary" not in shown


def test_a_file_that_is_no_toml_or_no_text_is_told_as_such(tmp_path: Path):
    with pytest.raises(Invalid, match="line 2"):
        config.load(_file(tmp_path, "[server]\nport = = 1"), {})
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe[server]")
    with pytest.raises(Invalid, match="UTF-8"):
        config.load(path, {})
    with pytest.raises(Invalid, match="cannot be read"):
        config.load(tmp_path / "elsewhere.toml", {})


def test_paths_are_those_of_the_file_wherever_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir("/")
    loaded = _load(tmp_path, '[library]\nfolder = "texts"')
    assert loaded.library.folder == tmp_path / "texts"
    assert loaded.server.data_dir == tmp_path / "data"
    assert _load(tmp_path, '[library]\nfolder = ""').library.folder is None


def test_a_byte_order_mark_does_no_harm(tmp_path: Path):
    assert _load(tmp_path, "\ufeff[server]\nport = 1").server.port == 1
