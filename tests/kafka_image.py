"""An image of the very Kafka that is embedded, for machines with a container engine but no image of Kafka.

It is made of a Debian base, the Java of the wheel and the verified jars, and takes its settings from variables
(`KAFKA_...`) as Apache's own image does. Nothing but the base can come over the network, and only where it is missing.
"""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Final

from streams.kafka_jars import ensure_jars
from streams.kafka_java import BUNDLED, find_java

BASE: Final = "debian:bookworm-slim"

_DOCKERFILE: Final = f"""\
FROM {BASE}
COPY java /opt/java
COPY jars /opt/kafka/jars
COPY start.sh /opt/kafka/start.sh
WORKDIR /opt/kafka
ENV CLASSPATH=/opt/kafka/jars/*
CMD ["sh", "start.sh"]
"""

_START: Final = """\
set -e
env | grep '^KAFKA_' | while IFS='=' read -r name value; do
    printf '%s=%s\\n' "$(printf %s "${name#KAFKA_}" | tr A-Z_ a-z.)" "$value"
done > server.properties
options="-Xmx512m -XX:+UseSerialGC -Dlog4j2.level=WARN"
/opt/java/bin/java $options kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAA -c server.properties
exec /opt/java/bin/java $options kafka.Kafka server.properties
"""


def build_image() -> str:
    """Build the image, or find it built, and give its tag."""
    import docker  # type: ignore[import-untyped]  # no types are published

    jars = ensure_jars()
    made_of = "\n".join((_DOCKERFILE, _START, str(find_java(BUNDLED)), *map(str, jars)))
    tag = f"yiwang-test-kafka:{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
    client = docker.from_env()
    try:
        if not client.images.list(name=tag):
            client.images.build(fileobj=_context(jars), custom_context=True, tag=tag, rm=True)
    finally:
        client.close()
    return tag


def _context(jars: tuple[Path, ...]) -> io.BytesIO:
    """Pack what the image is made of, about 150 MB."""
    java_home = find_java(BUNDLED).executable.resolve().parent.parent
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as context:
        for name, text in (("Dockerfile", _DOCKERFILE), ("start.sh", _START)):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            context.addfile(member, io.BytesIO(text.encode()))
        context.add(java_home, "java")
        for jar in jars:
            context.add(jar, f"jars/{jar.name}")
    packed.seek(0)
    return packed
