"""Everything that is needed to run a program of Apache Kafka: a Java and the verified jars.

Kafka's own command-line tools, on the same jars as the broker:

    python -m streams.kafka_runtime tool kafka-topics --bootstrap-server 127.0.0.1:9092 --list
    python -m streams.kafka_runtime tool org.apache.kafka.tools.GetOffsetShell --help
    python -m streams.kafka_runtime fetch
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.broker_error import BrokerError
from streams.kafka_jars import KAFKA_VERSION, ensure_jars
from streams.kafka_java import Java, find_java

TOOLS = {
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
}
"""The scripts of a Kafka distribution and the classes behind them."""

_TOOL_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=ERROR")


@dataclass(frozen=True, slots=True)
class KafkaRuntime:
    """A Java and the jars of Kafka, ready to run.

    Attributes:
        java: The Java launcher.
        jars: The class path, every file verified.
    """

    java: Java
    jars: tuple[Path, ...]

    def command(self, main_class: str, *arguments: str, jvm: Sequence[str] = ()) -> list[str]:
        """Give the command line of one of Kafka's programs; it needs `environment()`."""
        return [str(self.java.executable), *jvm, main_class, *arguments]

    def environment(self) -> dict[str, str]:
        """Give the environment of this process with the class path in it.

        By variable, not by option: a list of 47 files would drown everything else in `ps`.
        """
        return {**os.environ, "CLASSPATH": os.pathsep.join(map(str, self.jars))}


def resolve_runtime(java: str | Path | None = None, cache: Path | None = None) -> KafkaRuntime:
    """Find a Java and the verified jars; only the very first call on a machine uses the network.

    Args:
        java: See `streams.kafka_java.find_java`.
        cache: See `streams.kafka_jars.ensure_jars`.

    Raises:
        BrokerError: One sentence for the operator.
    """
    return KafkaRuntime(java=find_java(java), jars=ensure_jars(cache))


def tool_command(runtime: KafkaRuntime, tool: str, *arguments: str) -> list[str]:
    """Give the command line of a tool, named as in a Kafka distribution or by its class."""
    return runtime.command(TOOLS.get(tool.removesuffix(".sh"), tool), *arguments, jvm=_TOOL_JVM)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `fetch` or `tool NAME ARGUMENT...`; the tool takes the place of this process."""
    parser = argparse.ArgumentParser(
        prog="python -m streams.kafka_runtime",
        description=f"Apache Kafka {KAFKA_VERSION}: fetch and verify its jars, run its tools.",
        epilog="tools: " + ", ".join(TOOLS),
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="download and verify the jars, so that later starts need no network")
    tool = commands.add_parser("tool", help="run one of Kafka's own tools", add_help=False)
    tool.add_argument("name", help="as in a Kafka distribution (kafka-topics), or a class name")
    tool.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(argv)
    try:
        runtime = resolve_runtime()
    except BrokerError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    if options.command == "tool":
        command = tool_command(runtime, options.name, *options.arguments)
        os.execve(command[0], command, runtime.environment())  # noqa: S606  # no shell is wanted here
    sys.stdout.write(f"{runtime.java.executable} (Java {runtime.java.major})\n{os.path.commonpath(runtime.jars)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
