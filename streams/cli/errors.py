"""Errors into one sentence and an exit status; by name, so that nothing is imported to list them."""

from __future__ import annotations

from typing import Any

DONE, NO, WRONG, UNREACHABLE = 0, 1, 2, 3
"""Exit status: done; the answer is no; used wrongly; a needed service is not reachable."""

EX_SOFTWARE = 70
"""A mistake in the program (sysexits.h)."""


class Stop(Exception):  # noqa: N818 - not an error: an answer
    """End the command with a status and a sentence that says what to do next."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


_STATUS = {
    "sinks.database.UnavailableError": UNREACHABLE,
    "sinks.schema.SchemaError": UNREACHABLE,
    "sinks.seal.SealError": NO,
    "sqlalchemy.exc.SQLAlchemyError": UNREACHABLE,
    "streams.broker_error.BrokerError": UNREACHABLE,
    "streams.cityfile.CityError": WRONG,
    "streams.modelfile.TaxonomyError": WRONG,
    "streams.cluster.ClusterError": UNREACHABLE,
    "streams.intake_log.IntakeLogError": UNREACHABLE,
    "streams.keys.SigningKeyError": WRONG,
    "streams.submission.FileError": WRONG,
    "confluent_kafka.KafkaException": UNREACHABLE,
    "cimpl.KafkaException": UNREACHABLE,
}

_AWAY = frozenset({"unreachable", "no_topic", "forbidden", "not_sent", "unknown_schema"})
"""Codes of a client's error that are the cluster's fault, not the caller's."""


def sentence_of(error: BaseException) -> tuple[int, str] | None:
    """Return exit status and sentence of an error that is expected, None for one that is not."""
    if isinstance(error, Stop):
        return error.status, str(error)
    for kind in type(error).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name == "streams.client.ClientError":
            code: Any = getattr(error, "code", "")
            return (UNREACHABLE if code in _AWAY else WRONG), str(error)
        if name in _STATUS:
            return _STATUS[name], str(error)
    return None
