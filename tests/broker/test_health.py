"""A worker's two pages answer whatever else the worker is doing."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from streams.health import HealthPortError, HealthServer, serve_health


class Worker:
    """What the server asks about."""

    def __init__(self) -> None:
        self.well = True

    def healthy(self) -> tuple[bool, dict[str, Any]]:
        return self.well, {"role": "casework", "waiting": 3}


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def server(worker: Worker) -> Iterator[HealthServer]:
    registry = CollectorRegistry()
    Counter("yiwang_taken_total", "Records.", ("channel",), registry=registry).labels("app").inc(5)
    server = serve_health(0, registry, worker.healthy)
    yield server
    server.close()


def ask(server: HealthServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


def test_metrics_are_told_as_text_that_prometheus_reads(server: HealthServer) -> None:
    status, content_type, body = ask(server, "/metrics")
    assert status == 200
    assert content_type.startswith("text/plain")
    samples = [each for family in text_string_to_metric_families(body.decode()) for each in family.samples]
    assert ("yiwang_taken_total", {"channel": "app"}, 5.0) in [(each.name, each.labels, each.value) for each in samples]


def test_who_asks_for_openmetrics_gets_it(server: HealthServer) -> None:
    _status, content_type, body = ask(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_a_worker_that_is_well_says_so(server: HealthServer) -> None:
    status, content_type, body = ask(server, "/healthz")
    assert (status, content_type) == (200, "application/json")
    assert json.loads(body) == {"healthy": True, "role": "casework", "waiting": 3}


def test_a_worker_that_is_not_says_503_and_why(server: HealthServer, worker: Worker) -> None:
    worker.well = False
    status, _type, body = ask(server, "/healthz?verbose=1")
    assert status == 503
    assert json.loads(body)["healthy"] is False


def test_there_is_nothing_else(server: HealthServer) -> None:
    assert ask(server, "/")[0] == 404
    assert ask(server, "/metrics/")[0] == 404
    assert ask(server, "/../etc/passwd")[0] == 404
    assert ask(server, "/metrics", "POST")[0] == 501


def test_head_tells_the_length_alone(server: HealthServer) -> None:
    status, _type, body = ask(server, "/healthz", "HEAD")
    assert (status, body) == (200, b"")


def test_a_check_that_fails_is_an_answer_too() -> None:
    def broken() -> tuple[bool, dict[str, Any]]:
        raise RuntimeError("the check itself is broken")

    server = serve_health(0, CollectorRegistry(), broken)
    try:
        status, _type, body = ask(server, "/healthz")
        assert status == 500
        assert b"the check itself is broken" in body
    finally:
        server.close()


def test_it_answers_while_the_loop_is_stuck(server: HealthServer) -> None:
    asked, stuck = threading.Event(), threading.Event()

    async def hold_the_loop() -> None:
        stuck.set()
        assert asked.wait(30)  # on purpose not awaited: nothing else can run in this loop

    thread = threading.Thread(target=asyncio.run, args=(hold_the_loop(),))
    thread.start()
    try:
        assert stuck.wait(30)
        assert ask(server, "/healthz")[0] == 200
    finally:
        asked.set()
        thread.join(30)


def test_a_client_that_says_nothing_keeps_nobody_else_waiting(server: HealthServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10):
        assert ask(server, "/healthz")[0] == 200


def test_only_this_machine_is_answered_by_default(server: HealthServer) -> None:
    assert server.host == "127.0.0.1"


def test_a_port_that_is_taken_gives_one_clear_sentence(server: HealthServer) -> None:
    with pytest.raises(HealthPortError, match=f"Port {server.port} for metrics .* choose another"):
        serve_health(server.port, CollectorRegistry(), lambda: (True, {}))


def test_after_closing_the_port_is_free_again() -> None:
    server = serve_health(0, CollectorRegistry(), lambda: (True, {}))
    server.close()
    server.close()
    again = serve_health(server.port, CollectorRegistry(), lambda: (True, {}))
    assert ask(again, "/healthz")[0] == 200
    again.close()
