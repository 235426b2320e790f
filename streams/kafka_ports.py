"""Free ports of this machine for a broker that will come back on the same ones."""

import errno
import secrets
import socket
from pathlib import Path

from streams.broker_error import BrokerError
from streams.kafka_config import HOST

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 15_000


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a port now.

    Raises:
        BrokerError: This user may not listen there at all, free or not.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as Kafka does: connections in TIME_WAIT do not count
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise BrokerError(f"Port {port} may not be used by this user; choose one above 1023.") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise BrokerError(f"Port {port} cannot be used ({error.strerror}); choose another one.") from error
    return True


def free_port() -> int:
    """Find a free port below the range the kernel gives to outgoing connections.

    A port of that range could be taken by any client while the broker restarts, even by one of its own that tries to
    reconnect: TCP lets a socket connect to itself.
    """
    highest = _first_ephemeral()
    if highest - _LOWEST >= 1000:
        for _attempt in range(100):
            port = _LOWEST + secrets.randbelow(highest - _LOWEST)
            if is_free(port):
                return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _first_ephemeral() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768  # Linux unless somebody chose otherwise; other systems begin higher
