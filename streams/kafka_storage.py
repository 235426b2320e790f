"""The folder of the embedded Kafka: who may use it, whether it is formatted, what it remembers."""

import fcntl
import json
import os
import secrets
import shutil
import subprocess
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import IO

from streams.broker_error import BrokerError
from streams.kafka_config import FORMAT_JVM, FORMATTING_DIR, LOG_DIR, TEMP_DIR, Ports, server_properties
from streams.kafka_failure import explain
from streams.kafka_process import tied
from streams.kafka_runtime import KafkaRuntime

_META = "meta.properties"
_ROOM_FOR_LOGS = 1024 * 1024
_FORMAT_REMAINS = frozenset({_META, f"{_META}.tmp", "bootstrap.checkpoint", "bootstrap.checkpoint.tmp", ".lock"})
"""Files that formatting alone leaves in a log folder; anything else with bytes in it is data."""


def make_folders(root: Path) -> None:
    """Make the broker's folders, and empty the one for temporary files.

    Raises:
        BrokerError: They cannot be written.
    """
    try:
        shutil.rmtree(root / TEMP_DIR, ignore_errors=True)
        for folder in (root, root / "logs", root / TEMP_DIR):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BrokerError(
            f"Kafka's data cannot be kept in {root} ({error.strerror}); make it writable or name another data folder."
        ) from error


def check_space(root: Path, needed: int) -> None:
    """Refuse to start on a disk that is nearly full: a broker that meets its end there stops in the middle of a write.

    Args:
        root: The broker's folder.
        needed: Bytes that must be free.
    """
    free = shutil.disk_usage(root).free
    if free < needed:
        raise BrokerError(
            f"The disk of {root} is full: {free / 2**20:.0f} MiB are free and Kafka needs {needed / 2**20:.0f} MiB "
            "to start; free some space, or name a data folder on another disk."
        )


def is_full(root: Path) -> bool:
    """Tell whether the disk has no room for even a line of a log."""
    return shutil.disk_usage(root).free < _ROOM_FOR_LOGS


def lock(root: Path) -> IO[str]:
    """Claim the folder for this process until the file is closed or the process ends, however it ends.

    Raises:
        BrokerError: Another process, or another broker of this one, has it.
    """
    holder = (root / "broker.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder.seek(0)
        owner = holder.read().strip()
        holder.close()
        by = f"process {owner}" if owner else "another process"
        raise BrokerError(
            f"The data in {root} are in use by {by}; stop that one first, or name another data folder."
        ) from None
    holder.truncate(0)
    holder.write(str(os.getpid()))
    holder.flush()
    return holder


def remembered_ports(root: Path) -> Ports | None:
    """Read the ports of the last run; None where there was none or the note is damaged."""
    try:
        note = json.loads((root / "ports.json").read_text(encoding="ascii"))
        return Ports(clients=int(note["clients"]), controller=int(note["controller"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember_ports(root: Path, ports: Ports) -> None:
    """Note the ports, so that clients that are still running find the broker again after a restart."""
    part = root / "ports.json.part"
    part.write_text(json.dumps({"clients": ports.clients, "controller": ports.controller}), encoding="ascii")
    part.replace(root / "ports.json")


def cluster_id(root: Path) -> str | None:
    """Read the cluster's id from a formatted log folder; None where it is not (completely) formatted."""
    try:
        text = (root / LOG_DIR / _META).read_text(encoding="latin-1")
    except OSError:
        return None
    entries = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return entries.get("cluster.id") if {"cluster.id", "node.id", "version"} <= entries.keys() else None


def ensure_formatted(root: Path, runtime: KafkaRuntime) -> str:
    """Format the log folder where it is new or its formatting was cut off; never touch one that holds data.

    The folder is formatted under another name and then renamed, so a new one is complete or not there.

    Returns:
        The cluster's id.

    Raises:
        BrokerError: The folder holds data but not the file that says whose, or formatting failed.
    """
    known = cluster_id(root)
    if known:
        return known
    log, staging = root / LOG_DIR, root / FORMATTING_DIR
    data = _first_data(log)
    if data:
        raise BrokerError(
            f"{log} holds data ({data.relative_to(log)}) but no valid {_META}, so Kafka cannot tell whose they are; "
            f"put that file back from a backup, or move {log} away to begin anew (nothing was changed)."
        )
    shutil.rmtree(staging, ignore_errors=True)
    fresh = _new_cluster_id()
    _run_format(root, runtime, fresh)
    _sync_tree(staging)
    shutil.rmtree(log, ignore_errors=True)  # holds nothing but what a cut-off formatting left
    staging.rename(log)
    _sync(root)
    return fresh


def _first_data(log: Path) -> Path | None:
    for path in sorted(log.rglob("*")):
        if path.is_file() and path.name not in _FORMAT_REMAINS and path.stat().st_size > 0:
            return path
    return None


def _run_format(root: Path, runtime: KafkaRuntime, cluster: str) -> None:
    settings = root / "format.properties"
    settings.write_text(server_properties(Ports(clients=9092, controller=9093), FORMATTING_DIR), encoding="ascii")
    command = runtime.command(
        "kafka.tools.StorageTool",
        *("format", "--cluster-id", cluster, "--config", settings.name),
        jvm=(*FORMAT_JVM, f"-Djava.io.tmpdir={TEMP_DIR}"),
    )
    try:
        done = subprocess.run(
            tied(command), cwd=root, env=runtime.environment(), capture_output=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerError(
            f"Kafka's folder could not be formatted with {command[0]} ({error}); name another Java and start again."
        ) from error
    if done.returncode != 0:
        written = (done.stdout + done.stderr).decode(errors="replace")
        raise BrokerError(f"Kafka's folder could not be formatted: {explain(written, root)}.")


def _new_cluster_id() -> str:
    """Make 16 random bytes as Kafka writes them, without a leading dash that its tools take for an option."""
    while (fresh := urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")).startswith("-"):
        continue
    return fresh


def _sync_tree(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
