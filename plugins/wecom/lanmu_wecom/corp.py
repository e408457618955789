"""One app of one corp: its token, questions to it, and lines for writing to it."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from lanmu.i18n import _
from lanmu.interfaces.channels import NotConnected, Observation, Request
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.host import Transactions
from lanmu.interfaces.secrets import Secret
from lanmu_wecom.client import JSON, Client, OpenLine, Refused, Unreachable
from lanmu_wecom.errcodes import TOKEN_GONE, errcode_of, parse
from lanmu_wecom.tokens import Fetched, Tokens
from lanmu_wecom.wire import why_not_open


def encode(payload: object) -> bytes:
    """JSON as it goes over the wire: UTF-8, no escapes, no spaces, keys in the order they were given."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


class Corp:
    """The calls of one app. The token goes into the query at the moment of writing and nowhere else."""

    def __init__(
        self, client: Client, corpid: str, secret: Secret, agentid: int, database: Transactions, clock: Clock
    ) -> None:
        self.client = client
        self.agentid = agentid
        self.clock = clock
        self._corpid = corpid
        self._secret = secret
        self._tokens = Tokens(database, clock, f"{corpid}:{agentid}", secret.reveal(), self._gettoken)

    def open(self, call: str) -> OpenLine:
        """A token and a fresh connection for one write of `call`. Raises NotConnected."""
        token = self._tokens.get()
        return open_line(self.client, self._path(call, token), token)

    def write(self, request: Request, line: OpenLine) -> Observation:
        """Write the request's bytes once. A token that turns out to be dead is not taken again."""
        observation = self.client.write(line, request.body)
        if token_is_gone(observation.body):
            self._tokens.drop(line.token)
        return observation

    def ask(self, call: str, payload: dict[str, Any]) -> dict[str, Any]:
        """A question. A dead token is renewed once. Raises Refused, Unreachable or NotConnected."""
        return self._with_token(call, encode(payload), JSON)

    def post_file(self, call: str, body: bytes, content_type: str) -> dict[str, Any]:
        """Hand over a file. Raises as `ask` does."""
        return self._with_token(call, body, content_type)

    def _with_token(self, call: str, body: bytes, content_type: str) -> dict[str, Any]:
        token = self._tokens.get()
        try:
            return self.client.ask("POST", self._path(call, token), body, content_type)
        except Refused as refused:
            if refused.code not in TOKEN_GONE:
                raise
        self._tokens.drop(token)
        return self.client.ask("POST", self._path(call, self._tokens.get()), body, content_type)

    def _path(self, call: str, token: str) -> str:
        join = "&" if "?" in call else "?"
        return f"/cgi-bin/{call}{join}access_token={quote(token, safe='')}"

    def _gettoken(self) -> Fetched:
        corpid, secret = quote(self._corpid, safe=""), quote(self._secret.reveal(), safe="")
        data = self.client.ask("GET", f"/cgi-bin/gettoken?corpid={corpid}&corpsecret={secret}")
        token, seconds = data.get("access_token"), data.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(seconds, int):
            raise Unreachable(_("gettoken answered without a token."))
        return Fetched(token, timedelta(seconds=seconds))


def open_line(client: Client, path: str, token: str = "") -> OpenLine:
    """A fresh connection for one write. Raises NotConnected."""
    try:
        return client.open(path, token)
    except OSError as error:
        raise NotConnected(why_not_open(error)) from error


def token_is_gone(body: bytes) -> bool:
    """Whether an answer says that the token is dead; the JSON is read only where it may say so."""
    if b"40014" not in body and b"42001" not in body:
        return False
    data = parse(body)
    return data is not None and errcode_of(data) in TOKEN_GONE
