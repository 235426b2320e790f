"""The jars of the embedded Kafka: pinned by coordinates and SHA-256 sum, fetched once, checked before every run.

`kafka_jars.sha256` lists them as `sha256sum` writes it, with paths of Maven's repository layout, so that anybody can
check a cache by hand: `cd ~/.cache/yiwang/kafka/4.3.0-... && sha256sum -c .../kafka_jars.sha256`. The list is complete
and exact; nothing is resolved at run time, because a resolver may choose other versions tomorrow.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from streams.broker_error import BrokerError

KAFKA_VERSION = "4.3.0"
PINS_FILE = Path(__file__).with_name("kafka_jars.sha256")
MAVEN_CENTRAL = ("https://repo.maven.apache.org/maven2", "https://repo1.maven.org/maven2")
"""The two public names of the same repository; the second is asked where the first fails."""

_DOWNLOADS_AT_ONCE = 8
_ATTEMPTS = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pin:
    """One jar that may run, and no other.

    Attributes:
        sha256: Lower-case hexadecimal sum of its bytes.
        path: Place in a Maven repository: group folders, artifact, version, file.
    """

    sha256: str
    path: str

    @property
    def coordinates(self) -> tuple[str, str, str]:
        """Group, artifact and version in Maven's terms."""
        *group, artifact, version, _file = PurePosixPath(self.path).parts
        return ".".join(group), artifact, version


def read_pins(text: str) -> tuple[Pin, ...]:
    """Read a list as `sha256sum` writes it: sum, two spaces, path."""
    return tuple(Pin(*line.split(maxsplit=1)) for line in text.splitlines() if line.strip())


def default_cache() -> Path:
    """Name the folder of downloaded jars: `$XDG_CACHE_HOME/yiwang/kafka`, by default under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "yiwang" / "kafka"


def ensure_jars(cache: Path | None = None, pins: Iterable[Pin] | None = None) -> tuple[Path, ...]:
    """Have every pinned jar on disk with its pinned sum, downloading them on the first call only.

    Concurrent first calls wait for each other; a download that was cut off leaves nothing that a later call would use.

    Args:
        cache: Folder that keeps the jars between runs; `default_cache()` by default.
        pins: The jars; those of `kafka_jars.sha256` by default.

    Returns:
        Absolute paths in the order of the pins, for a class path.

    Raises:
        BrokerError: A jar is missing, has another sum, cannot be downloaded, or the cache cannot be written.
    """
    wanted = tuple(pins) if pins is not None else read_pins(PINS_FILE.read_text(encoding="ascii"))
    cache = (cache or default_cache()).absolute()
    folder = cache / f"{KAFKA_VERSION}-{_digest_of(wanted)}"
    if not folder.is_dir():
        try:
            _fill(cache, folder, wanted)
        except OSError as error:
            raise BrokerError(
                f"The Kafka jars cannot be kept in {cache} ({error.strerror or error}); "
                "make that folder writable with 100 MB free, or set XDG_CACHE_HOME to one that is."
            ) from error
    verify(folder, wanted)
    return tuple(folder / pin.path for pin in wanted)


def verify(folder: Path, pins: Iterable[Pin]) -> None:
    """Compare every jar below a folder with its pinned sum (about 0.1 s for 45 MB).

    Raises:
        BrokerError: Names the first jar that is missing or differs; nothing of the folder may run then.
    """
    for pin in pins:
        try:
            with (folder / pin.path).open("rb") as jar:
                found = hashlib.file_digest(jar, "sha256").hexdigest()
        except OSError as error:
            raise BrokerError(
                f"The Kafka jar {folder / pin.path} cannot be read ({error.strerror}); "
                f"delete {folder} and start again to fetch it afresh."
            ) from error
        if found != pin.sha256:
            raise BrokerError(
                f"The Kafka jar {folder / pin.path} has the SHA-256 sum {found[:16]}... where {pin.sha256[:16]}... is "
                f"pinned, so Kafka is not started; delete {folder} and start again to fetch it afresh."
            )


def _digest_of(pins: tuple[Pin, ...]) -> str:
    """Name a set of jars, so that another release of this program never meets the jars of this one."""
    return hashlib.sha256("\n".join(f"{pin.sha256} {pin.path}" for pin in pins).encode()).hexdigest()[:12]


def _fill(cache: Path, folder: Path, pins: tuple[Pin, ...]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / ".lock"):
        if folder.is_dir():
            return  # another process has fetched them while this one waited
        for remains in cache.glob(".part-*"):
            shutil.rmtree(remains, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=cache))
        try:
            _download(part, pins)
            verify(part, pins)
            part.chmod(0o755)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold an exclusive lock that the kernel gives back when the process ends, however it ends."""
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(part: Path, pins: tuple[Pin, ...]) -> None:
    # Imported here: only the first start needs it, and later ones must not depend on anything of the network.
    from jgo.maven import MavenContext  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    repositories = _repositories()
    context = MavenContext(
        repo_cache=part,
        local_repos=[],
        remote_repos={str(number): url for number, url in enumerate(repositories)},
        timeout=30,
    )
    _log.info("fetching %d jars of Kafka %s from %s", len(pins), KAFKA_VERSION, repositories[0])
    console = Console(stderr=True)
    with (
        Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress,
        ThreadPoolExecutor(_DOWNLOADS_AT_ONCE, thread_name_prefix="jars") as pool,
    ):
        bar = progress.add_task(f"Fetching Apache Kafka {KAFKA_VERSION}", total=len(pins))
        downloads = [pool.submit(_download_one, context, part / pin.path, pin, repositories) for pin in pins]
        try:
            for download in as_completed(downloads):
                download.result()
                progress.advance(bar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _download_one(context: object, target: Path, pin: Pin, repositories: tuple[str, ...]) -> None:
    group, artifact, version = pin.coordinates
    failure: Exception | None = None
    for _attempt in range(_ATTEMPTS):
        try:
            context.project(group, artifact).at_version(version).artifact().resolve()  # type: ignore[attr-defined]  # untyped library
            with target.open("rb") as jar:
                os.fsync(jar.fileno())
        except (OSError, RuntimeError, AssertionError, ValueError) as error:  # everything jgo and requests raise
            failure = error
            target.unlink(missing_ok=True)
        else:
            return
    cause = " ".join(str(failure).split())[:200]
    raise BrokerError(
        f"Kafka's jar {group}:{artifact}:{version} could not be fetched from {repositories[0]} ({cause}); "
        "check the network, or name a mirror of Maven Central in YIWANG_MAVEN_REPOSITORY, and start again."
    ) from failure


def _repositories() -> tuple[str, ...]:
    mirror = os.environ.get("YIWANG_MAVEN_REPOSITORY", "").rstrip("/")
    return (mirror,) if mirror else MAVEN_CENTRAL
