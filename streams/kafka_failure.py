"""Why the embedded Kafka died, in one sentence, from what it wrote before."""

import re
from pathlib import Path

_TAIL_BYTES = 256 * 1024

DISK_FULL = "No space left on device"
PORT_TAKEN = re.compile(r"Address already in use")
_REASONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(rf"{DISK_FULL}|Disk quota exceeded"),
        "the disk is full; free some space under {root} and start again, nothing acknowledged is lost",
    ),
    (
        re.compile(r"Failed to acquire lock on file"),
        "another Kafka process is using {root}; stop that one, or name another data folder",
    ),
    (PORT_TAKEN, "its port was taken by another program in the meantime; start again, or choose another port"),
    (
        re.compile(r"Could not reserve enough space for|insufficient memory for the Java Runtime|OutOfMemoryError"),
        "the machine gave it too little memory; end other programs, or give it a heap that fits",
    ),
    (re.compile(r"Too many open files"), "it may not open enough files; raise the limit (ulimit -n) to 10000 or more"),
    (re.compile(r"Read-only file system"), "the file system of {root} is read-only; mount it writable and start again"),
    (
        re.compile(r"Permission denied|AccessDeniedException"),
        "this user may not write everything under {root}; give the folder to this user (chown -R) and start again",
    ),
)
_CAUSE = re.compile(r"^Caused by: .+$", re.MULTILINE)
_COMPLAINT = re.compile(
    r"^(?:\S+ )?(?:FATAL|ERROR) .+$|^(?:Exception in thread |Error: |Unrecognized |Invalid ).*$", re.MULTILINE
)


def tail(path: Path, since: int = 0) -> str:
    """Read the end of a log, at most 256 KiB and nothing before an offset in bytes."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, 2)
            begin = since if since <= size else 0  # the file was rolled over
            log.seek(max(begin, size - _TAIL_BYTES))
            return log.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def known_reason(written: str, root: Path) -> str | None:
    """Recognise a common reason in what the broker wrote, and say what to do about it.

    Args:
        written: Text of its logs since it was started.
        root: Folder the broker runs in.
    """
    for pattern, reason in _REASONS:
        if pattern.search(written):
            return reason.format(root=root)
    return None


def explain(written: str, root: Path) -> str:
    """Name a known reason, else quote the deepest cause that the broker wrote, else its first complaint."""
    known = known_reason(written, root)
    if known is not None:
        return known
    causes = _CAUSE.findall(written) or _COMPLAINT.findall(written)[:1]
    quoted = f' after "{" ".join(causes[-1].split())[:200]}"' if causes else " without a word"
    return f"it ended{quoted}; see {root / 'logs'}"
