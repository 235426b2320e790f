"""What the embedded Kafka is told: one node that is broker and controller, durable, reachable from this machine only.

All paths are relative to the folder the broker runs in, so that any name of the data folder works (a comma or a
Chinese character in `log.dirs` would not).
"""

from dataclasses import dataclass

HOST = "127.0.0.1"
LOG_DIR = "log"
FORMATTING_DIR = "log.formatting"
TEMP_DIR = "tmp"
SERVER_LOG = "logs/server.log"
CONSOLE_LOG = "logs/console.log"
CRASH_LOG = "logs/java-crash.log"
LOGGING_FILE = "log4j2.properties"

LARGEST_MESSAGE = 4 * 1024 * 1024
"""Bytes of a record batch: a dead letter of 2 MiB of original bytes grows by encryption, encoding and headers."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the broker listens.

    Attributes:
        clients: Port of producers, consumers and admin clients.
        controller: Port the node uses to talk to its own controller.
    """

    clients: int
    controller: int


def server_properties(ports: Ports, log_dir: str = LOG_DIR) -> str:
    """Write the broker's settings (Kafka documentation, "Broker Configs")."""
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        # A static quorum: unlike a dynamic one it does not remember the controller's port in its log.
        "controller.quorum.voters": f"1@{HOST}:{ports.controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{ports.clients},CONTROLLER://{HOST}:{ports.controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{ports.clients}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": log_dir,
        # A receipt means on disk: every batch is flushed before it is acknowledged, there is no second replica.
        "log.flush.interval.messages": 1,
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # Each partition of an internal topic costs files and flushes; a handful serves one machine.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 2,
        "share.coordinator.state.topic.num.partitions": 2,
        # A unit may be offline for weeks and must then find its place again: 90 days.
        "offsets.retention.minutes": 90 * 24 * 60,
        # After a kill the controller waits this long for the dead broker before it lets the new one in; heartbeats on
        # a busy disk need room all the same.
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
        "auto.create.topics.enable": "false",
        "auto.leader.rebalance.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "message.max.bytes": LARGEST_MESSAGE,
        "replica.fetch.max.bytes": LARGEST_MESSAGE,
        # A hundred units make hundreds of partitions with little in each: small indexes, small segments, few threads.
        "log.segment.bytes": 256 * 1024 * 1024,
        "log.index.size.max.bytes": 1024 * 1024,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "num.recovery.threads.per.data.dir": 2,
        "background.threads": 2,
        # The controller flushes its own log at every change; nothing is gained by waiting longer before a snapshot.
        "metadata.log.max.snapshot.interval.ms": 60 * 60 * 1000,
        "metadata.log.max.record.bytes.between.snapshots": 2 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def logging_properties() -> str:
    """Write Log4j's settings: `logs/server.log`, at most six files of 10 MB."""
    return f"""\
status = ERROR
# Kafka stops in a shutdown hook of its own and would lose its last lines to Log4j's.
shutdownHook = disable
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {SERVER_LOG}
appender.file.filePattern = {SERVER_LOG}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}}{{UTC}} %p %m (%c)%n%throwable
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 5
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
"""


def broker_jvm(heap: str) -> tuple[str, ...]:
    """Give the Java options of the broker.

    The serial collector holds 100 MB less than the parallel ones on a small machine. Native libraries (zstd, lz4,
    snappy) are unpacked below the data folder, because `/tmp` is often mounted without leave to execute.

    Args:
        heap: Largest heap as Java writes it, for example `512m`.
    """
    return (
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={CRASH_LOG}",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={TEMP_DIR}",
        f"-Dlog4j2.configurationFile={LOGGING_FILE}",
    )


FORMAT_JVM = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A program of one second: the optimising compiler would only cost time."""
