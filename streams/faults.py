"""Fault points: places where a test may kill the process; nobody else sets the variable.

`YIWANG_FAULT=STEP:N` kills the process with SIGKILL the Nth time it passes STEP.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

VARIABLE = "YIWANG_FAULT"


def fault_point(environment: Mapping[str, str]) -> Callable[[str], None]:
    """Return what is called at each step: nothing, or the death a test has ordered."""
    order = environment.get(VARIABLE)
    if not order:
        return lambda _step: None
    wanted, _, count = order.partition(":")
    left = [int(count or 1)]

    def _die(step: str) -> None:
        if step == wanted:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return _die
