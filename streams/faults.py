"""Fault points: places where a test may kill the process; nobody else sets the variable.

`YIWANG_FAULTS` names a file. While that file says `WORKER STEP` (`casework-0 write`), the worker of that name
takes it away when it passes that step and dies by SIGKILL: once, however often it is started again. With a
third word it gets that signal instead (`casework-0 derive STOP`).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

VARIABLE = "YIWANG_FAULTS"
FIRED = ".fired"
"""What the name of an order ends with once it is carried out."""


def fault_point(environment: Mapping[str, str], arguments: Sequence[str] | None = None) -> Callable[[str], None]:
    """Return what is called at each step: nothing, or the death a test may order.

    Args:
        environment: of this process.
        arguments: its command line, which names the worker; by default the real one.
    """
    named = environment.get(VARIABLE)
    if not named:
        return lambda _step: None
    file = Path(named)
    words = frozenset(sys.argv if arguments is None else arguments)

    def _die(step: str) -> None:
        try:
            worker, wanted, *how = file.read_text().split()
            if worker not in words or wanted != step:
                return
            number = signal.Signals["SIG" + (how or ["KILL"])[0]]
            file.replace(file.with_name(file.name + FIRED))
        except (OSError, ValueError, KeyError):  # no order, or one half written
            return
        os.kill(os.getpid(), number)

    return _die
