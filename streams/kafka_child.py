"""Start a program that cannot outlive its parent: `python kafka_child.py PARENT_PID PROGRAM ARGUMENT...`.

Linux sends the chosen signal when the *thread* that forked this process ends, and keeps the choice across `exec`; so
the program that follows is killed in the very moment its owner dies, even by SIGKILL, with nobody left to clean up.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)  # opened here: after a fork as few calls as possible


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that forked it ends; a promise Linux alone can make."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(parent: int, command: list[str]) -> None:
    """Tie this process to its parent and become the command."""
    die_with_parent()
    if os.getppid() != parent:  # it died before the kernel was asked
        raise SystemExit(1)
    os.execv(command[0], command)  # noqa: S606  # no shell is wanted here


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
