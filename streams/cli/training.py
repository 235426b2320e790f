"""What the commands that learn share: the libraries of the extra `yiwang[train]`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from streams.cli.errors import UNREACHABLE, Stop


@contextmanager
def needs_training() -> Iterator[None]:
    """Import inside: where the extra is missing, the error says how to get it.

    Raises:
        Stop: scikit-learn is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"sklearn", "scipy"}:
            raise
        raise Stop(
            UNREACHABLE, f"{error.name} is not installed; install it with: pip install 'yiwang[train]'"
        ) from error
