"""What the tests of the plugin share besides fixtures: a sandbox to ask, and one push from end to end."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from lanmu.interfaces.channels import Channel, Message, Observation, Refusal, Request, Target, Verdict
from lanmu.testing.clock import FakeClock
from lanmu_wecom.sandbox.demo import SEED
from lanmu_wecom.sandbox.server import Running
from lanmu_wecom.sandbox.world import World

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))


@dataclass
class Sandbox:
    """A served sandbox and short ways to ask it."""

    running: Running
    clock: FakeClock

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def world(self) -> World:
        world: World = self.running.app.extensions["wecom_sandbox"]
        return world

    def call(self, path: str, payload: object = None, *, method: str = "") -> dict[str, Any]:
        """One call to the platform's or the sandbox's own side; the answer's JSON."""
        data = None if payload is None else json.dumps(payload, ensure_ascii=False).encode()
        return self.raw(path, data, method=method)

    def raw(self, path: str, data: bytes | None, *, method: str = "") -> dict[str, Any]:
        method = method or ("GET" if data is None else "POST")
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            found: dict[str, Any] = json.loads(response.read())
            return found

    def token(self) -> str:
        corp = SEED.corp
        answer = self.call(f"/cgi-bin/gettoken?corpid={corp.corpid}&corpsecret={corp.secret}")
        return str(answer["access_token"])

    def x(self, call: str, payload: object, token: str = "") -> dict[str, Any]:
        """An externalcontact call with a good token."""
        return self.call(f"/cgi-bin/externalcontact/{call}?access_token={token or self.token()}", payload)

    def received(self, call: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.call(f"/sandbox/api/received?call={call}")["received"]
        return rows

    def fault(self, **order: object) -> None:
        self.call("/sandbox/api/faults", order)

    def confirm(self, msgid: str, userid: str, answer: str = "all", targets: object = None) -> int:
        order = {"msgid": msgid, "userid": userid, "answer": answer, "targets": targets}
        return int(self.call("/sandbox/api/confirm", order)["sent"])


@dataclass
class Sent:
    request: Request
    observation: Observation
    verdict: Verdict

    @property
    def msgid(self) -> str:
        assert self.verdict.ref is not None
        return self.verdict.ref.id


def push(channel: Channel, message: Message, *keys: str) -> Sent:
    """Compose, connect, transmit and classify, as the core does."""
    request = channel.compose(message, [Target(key) for key in keys])
    assert not isinstance(request, Refusal), str(request)
    line = channel.connect(request)
    try:
        observation = channel.transmit(request, line)
    finally:
        if line is not None:
            line.close()
    return Sent(request, observation, channel.classify(observation))


def message(text: str = "早安，妈妈们", **fields: Any) -> Message:
    """A message of 林晓's; fields may be replaced."""
    settings = {"push": "psh_1", "token": "tok_1", "title": "今日育儿", "text": text, "sender": "linxiao"}
    return Message(**{**settings, **fields})
