"""`/metrics` and `/healthz` of one process, from a thread: they answer while everything else is stuck."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Healthy = Callable[[], tuple[bool, Mapping[str, Any]]]
"""Whether the process does its work, and what to say about it (JSON values)."""

SILENCE_SECONDS = 10.0
"""A client that says nothing for so long is hung up on."""


class HealthPortError(Exception):
    """The port for metrics cannot be had."""


class HealthServer:
    """The running server; `host` and `port` are where it listens."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.host = str(server.server_address[0])
        self.port = server.server_address[1]
        self._server = server
        self._thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_health(port: int, registry: CollectorRegistry, healthy: Healthy, *, host: str = "127.0.0.1") -> HealthServer:
    """Serve `/metrics` (text or OpenMetrics, as the client asks) and `/healthz` (200 or 503, JSON).

    Args:
        port: to listen on; 0 takes a free one.
        registry: what `/metrics` shows.
        healthy: asked at each `/healthz`, in a thread of the server.
        host: address to listen on; other machines see nothing by default.

    Raises:
        HealthPortError: the port is taken or not ours to take.
    """

    class Handler(_Handler):
        def answer(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self.say(HTTPStatus.OK, content_type, encode(registry))
            elif path == "/healthz":
                well, told = healthy()
                status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
                self.say(status, "application/json", json.dumps({"healthy": well, **told}, ensure_ascii=False).encode())
            else:
                self.say(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"There are /metrics and /healthz.\n")

    try:
        server = _Server((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise HealthPortError(
            f"Port {port} for metrics cannot be opened ({error}): stop what uses it, or choose another (0 for any)."
        ) from error
    return HealthServer(server)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that hangs must not keep the process from ending

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up half-way: it is their affair."""


class _Handler(BaseHTTPRequestHandler):
    timeout = SILENCE_SECONDS
    protocol_version = "HTTP/1.1"
    server_version = "yiwang"
    sys_version = ""

    def answer(self) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        self._try_to_answer()

    def do_HEAD(self) -> None:
        self._try_to_answer()

    def _try_to_answer(self) -> None:
        try:
            self.answer()
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - whoever asks must hear that something is wrong, not a hang-up
            self.say(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", f"{error!r}\n".encode())

    def say(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Log no requests: Prometheus asks every few seconds."""
