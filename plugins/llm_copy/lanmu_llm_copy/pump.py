"""One streamed call in a thread of its own, watched byte by byte; it ends when nobody waits for it."""

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lanmu_llm_copy.settings import LlmCopySettings

BYTE_CAP = 1024 * 1024
"""An answer is read up to here and no further (bytes on the wire)."""
_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk brought; `usage` is (prompt, completion) tokens."""

    text: str
    finish_reason: str
    usage: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Over:
    """The end of a call, with what went wrong."""

    error: BaseException | None


class TooLong(Exception):
    """More bytes came than BYTE_CAP."""


class WebPage(Exception):
    """HTML came where JSON or an event stream was due."""


class _Abandoned(Exception):
    """Nobody waits for this call any more."""


class Pump:
    """Runs one call in its own thread and hands over what comes, until it is abandoned."""

    def __init__(self, settings: LlmCopySettings, body: dict[str, Any], seconds: float) -> None:
        self._settings = settings
        self._body = body
        self._seconds = seconds
        self.pieces: queue.Queue[Piece | Over] = queue.Queue()
        self.abandoned = threading.Event()

    def run(self) -> None:
        try:
            for piece in self._pieces():
                self.pieces.put(piece)
            self.pieces.put(Over(None))
        except Exception as error:  # noqa: BLE001  whatever a stranger's server causes is told to the caller
            self.pieces.put(Over(error))

    def _pieces(self) -> Iterator[Piece]:
        import httpx2  # with openai half a second to import, and most starts of the program call no model
        import openai

        timeout = httpx2.Timeout(self._seconds, connect=min(_CONNECT_S, self._seconds))
        # Proxies of the environment would be asked even for a model on this machine.
        http = httpx2.Client(
            trust_env=not self._settings.is_loopback,
            follow_redirects=False,
            timeout=timeout,
            event_hooks={"response": [self._guard]},
        )
        # The SDK wants a key even where a local server wants none.
        key = self._settings.api_key.reveal() or "none"
        with (
            http,
            openai.OpenAI(
                api_key=key,
                base_url=self._settings.base_url,
                organization="",
                project="",
                max_retries=0,
                timeout=timeout,
                http_client=http,
            ) as client,
        ):
            stream: Any = client.chat.completions.create(**self._body)
            with stream:
                if "json" in stream.response.headers.get("content-type", ""):
                    yield self._whole(stream.response.read())
                    return
                for chunk in stream:
                    yield _piece(chunk.model_dump())

    def _guard(self, response: Any) -> None:
        """Look at every byte as it comes: count it, and stop when nobody waits."""
        kind = response.headers.get("content-type", "").lower()
        if response.status_code < 400 and "html" in kind:
            raise WebPage
        inner, pump = response.stream, self

        class Guarded(type(inner)):  # type: ignore[misc]  # the client insists on its own stream's class
            def __init__(self) -> None:
                """Holds nothing of its own."""

            def __iter__(self) -> Iterator[bytes]:
                total = 0
                for data in inner:
                    total += len(data)
                    if total > BYTE_CAP:
                        raise TooLong
                    if pump.abandoned.is_set():
                        raise _Abandoned
                    yield data

            def close(self) -> None:
                inner.close()

        response.stream = Guarded()

    def _whole(self, body: bytes) -> Piece:
        """A server that ignores `stream` and answers in one piece."""
        document = json.loads(body)
        if not isinstance(document, dict) or not document.get("choices"):
            raise ValueError("no choices")
        choice = document["choices"][0]
        document["choices"] = [{**choice, "delta": choice.get("message") or {}}]
        return _piece(document)


def _piece(chunk: Mapping[str, Any]) -> Piece:
    choices = chunk.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    text = delta.get("content") or delta.get("refusal") or ""
    usage = chunk.get("usage") or {}
    counted = None
    if usage:
        counted = (int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
    return Piece(text if isinstance(text, str) else "", str(choices[0].get("finish_reason") or ""), counted)
