"""HTTP connections on which nothing is endless."""

from __future__ import annotations

from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.settings import ServeSettings


def bounded_protocol(settings: ServeSettings) -> type[HttpToolsProtocol]:
    """uvicorn's protocol with bounds on the bytes of a head and on the time of a request.

    uvicorn itself collects a request line, headers and the trailers of a chunked body for as long
    as they come, at a cost that grows with the square of a header's length.
    """

    class Bounded(HttpToolsProtocol):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._head = 0
            self._got_body = False
            self._deadline: TimerHandle | None = None

        def data_received(self, data: bytes) -> None:
            self._got_body = False
            super().data_received(data)
            # Bytes that brought neither the end of a head nor a piece of a body prolong a head.
            if not self._got_body and self.parser is not None and self._deadline is not None:
                self._head += len(data)
                if self._head > settings.max_header_bytes:
                    self._refuse(b"431 Request Header Fields Too Large")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._head = 0
            self._deadline = self.loop.call_later(settings.receive_seconds, self._too_slow)

        def on_headers_complete(self) -> None:
            self._got_body = True
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._got_body = True
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._stop_clock()
            super().on_message_complete()

        def connection_lost(self, error: Exception | None) -> None:
            self._stop_clock()
            super().connection_lost(error)

        def _stop_clock(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _too_slow(self) -> None:
            self._refuse(b"408 Request Timeout")

        def _refuse(self, status: bytes) -> None:
            """Hangs up, with the status unless an answer is under way."""
            self._stop_clock()
            if self.cycle is None or self.cycle.response_complete:
                head = b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                self.transport.write(head % status)
            self.transport.close()

    return Bounded
