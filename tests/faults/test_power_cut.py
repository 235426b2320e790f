"""The power fails: what was not on the disk is gone, and every receipt that was given still holds."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.installation import SECONDS, STREETLIGHT, Installation

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

GIBIBYTES = 3
"""Size of the disk; the image is sparse and holds what is used."""


def run(*command: str | Path) -> None:
    subprocess.run([str(each) for each in command], check=True, capture_output=True)


class Image:
    """A disk of its own: an ext4 file system in a file, mounted by loop."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        point = self._file.with_suffix(".mounted")
        point.mkdir()
        run("mount", "-o", "loop", self._file, point)
        try:
            yield point
        finally:
            run("umount", point)
            point.rmdir()

    @classmethod
    def fresh(cls, file: Path) -> "Image":
        with file.open("wb") as stream:
            stream.truncate(GIBIBYTES * 2**30)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", file)
        return cls(file)

    def copy(self, file: Path) -> "Image":
        """What the disk would hold: what the file system has not written to it yet is not in the file."""
        run("cp", "--sparse=always", self._file, file)
        return Image(file)


class Folder:
    """Where no disk of its own may be mounted: a folder, whose copy holds the unsynced too, so it proves less."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        yield self._folder

    @classmethod
    def fresh(cls, folder: Path) -> "Folder":
        folder.mkdir()
        return cls(folder)

    def copy(self, folder: Path) -> "Folder":
        shutil.copytree(self._folder, folder)
        return Folder(folder)


def may_mount() -> bool:
    """Try a loop mount."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probe.ext4"
        try:
            with file.open("wb") as stream:
                stream.truncate(2**20)
            run("mkfs.ext4", "-q", "-F", file)
            with Image(file).mounted():
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


DISKS: dict[str, type[Image | Folder]] = {
    "an image of the disk": Image,
    "only a copy of the folder, unsynced data included, since no loop mount is allowed here": Folder,
}
DISK = list(DISKS)[0 if may_mount() else 1]


@contextlib.contextmanager
def standing_still(town: Installation) -> Iterator[None]:
    """Stop every process of the installation in its tracks, so that a copy shows one moment."""
    family = [town.process, *town.process.children(recursive=True)]
    for each in family:
        each.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("disk", [DISK])
def test_every_receipt_given_before_the_power_failed_holds_after_it(tmp_path: Path, disk: str) -> None:
    chance = random.Random(os.environ.get("YIWANG_TEST_SEED", "power"))
    original = DISKS[disk].fresh(tmp_path / "disk")
    cuts: list[tuple[Image | Folder, dict[str, str], list[int]]] = []
    receipts: dict[str, str] = {}

    with original.mounted() as point, Installation(point / "town") as town:
        with town.channel() as channel:
            for number in range(2):
                moment = len(receipts) + chance.randint(20, 120)
                while len(receipts) < moment:
                    for _ in range(chance.randint(5, 30)):
                        channel.submit(STREETLIGHT)
                    for told in channel.receipts(timeout=0.05):
                        assert told.outcome.code == "accepted"
                        receipts[told.about] = told.outcome.receipt or ""
                        if len(receipts) >= moment:
                            break
                channel.flush()  # what has no receipt yet, Kafka at least has promised to keep
                sent = town.ends("intake.app")
                with standing_still(town):
                    cuts.append((original.copy(tmp_path / f"cut{number}"), dict(receipts), sent))
        town.kill()

    for copy, promised, sent in cuts:
        with copy.mounted() as point, Installation(point / "town") as town:
            assert all(end >= before for end, before in zip(town.ends("intake.app"), sent, strict=True))
            report = town.sound()
            kept = {row[0]: row[1] for row in town.rows('SELECT case_id, receipt FROM "case"')}
            lost = {each: receipt for each, receipt in promised.items() if kept.get(each) != receipt}
            assert not lost, f"{len(lost)} of {len(promised)} receipts were given and are not kept"
            assert report.cases >= sum(sent)
            with town.channel() as channel:
                again = channel.submit(STREETLIGHT)
                assert channel.wait_for([again], SECONDS)[again].code == "accepted"
            town.check_once()
            town.kill()
