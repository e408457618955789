"""No secret is ever written to a log, by whichever way it comes there."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from lanmu.interfaces.secrets import Secret
from lanmu.logs import configure

CANARY = 'canary-7f3a9c1e-"quoted"'


@pytest.fixture(params=["console", "json"])
def written(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """What a logging process writes; the canary is one of its secrets."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    Secret(CANARY)
    configure("debug", request.param)
    stream = io.StringIO()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield stream.getvalue
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _raise() -> None:
    raise RuntimeError(f"the far end refused {CANARY}")


class _Careless:
    def __repr__(self) -> str:
        return f"<Careless {CANARY}>"


@pytest.mark.parametrize(
    "logger", [structlog.get_logger("ours"), logging.getLogger("theirs")], ids=["ours", "theirs"]
)
def test_a_secret_is_taken_out_wherever_it_stands(written: Callable[[], str], logger):
    logger.warning(f"sent with {CANARY} inside")
    logger.warning("sent with %s inside", CANARY)
    try:
        _raise()
    except RuntimeError:
        logger.exception("it failed")
    stdlib = isinstance(logger, logging.Logger)
    for value in (CANARY, _Careless(), {"deep": [CANARY]}, CANARY.encode(), Secret(CANARY)):
        logger.warning("with a field", **({"extra": {"field": value}} if stdlib else {"field": value}))
    assert "it failed" in written()
    assert "canary-7f3a" not in written()


def test_what_looks_like_a_secret_is_taken_out_although_nobody_told_us(written: Callable[[], str]):
    log = logging.getLogger("httpx.of.somebody")
    hidden = (
        "GET https://qyapi.weixin.qq.com/cgi-bin/user/get?access_token=UNKNOWN1&userid=li",
        "GET https://qyapi.weixin.qq.com/cgi-bin/gettoken?corpid=ww1&corpsecret=UNKNOWN2",
        "POST https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=UNKNOWN3",
        "Authorization: Bearer UNKNOWN4",
        'body {"api_key": "UNKNOWN5"}',
        "token lanmu_ab12CD34_UNKNOWN6",
        "cannot reach postgresql://lanmu:UNKNOWN7@db.internal/lanmu",
    )
    for line in hidden:
        log.warning(line)
    assert "UNKNOWN" not in written()
    assert "db.internal" in written()
    assert written().count("***") == len(hidden)


def test_a_field_is_masked_by_its_name(written: Callable[[], str]):
    log = structlog.get_logger("ours")
    log.warning(
        "login", password="short", detail={"csrf": "short2", "new_password": "short3"}, prompt_tokens=412
    )
    assert "short" not in written()
    assert "412" in written()


def test_an_ordinary_address_stays_readable(written: Callable[[], str]):
    logging.getLogger("theirs").warning("serving on http://127.0.0.1:8640/healthz")
    assert "http://127.0.0.1:8640/healthz" in written()


def test_json_lines_are_json(written: Callable[[], str], request: pytest.FixtureRequest):
    structlog.get_logger("ours").warning("栏目", number=1, odd=_Careless())
    line = written()
    assert "栏目" in line
    if line.startswith("{"):
        read = json.loads(line)
        assert (read["event"], read["level"], read["number"]) == ("栏目", "warning", 1)
        assert read["timestamp"].endswith("Z")


def test_libraries_that_log_addresses_are_kept_to_warnings(written: Callable[[], str]):
    for name in ("httpx", "urllib3", "openai", "huey"):
        logging.getLogger(name).info("GET https://example.org/?anything=1")
    assert written() == ""


def test_a_secret_shows_itself_nowhere():
    secret = Secret(CANARY)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret}"):
        assert shown == "Secret(***)"
    with pytest.raises(TypeError, match="not serialised"):
        __import__("pickle").dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert secret == Secret(CANARY)
    assert secret != Secret("another")
