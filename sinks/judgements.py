"""What became of the machine's answers, for whoever weighs how far to trust it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, select

from routers.tiers import Evidence, evidence_of
from sinks.queries import snapshot
from sinks.rows import JUDGEMENT


def newest(engine: Engine, model: str, since: datetime, limit: int) -> Evidence:
    """Return the newest judgements on what one model said.

    Args:
        engine: a read-only engine of the ledger.
        model: version of the model or lexicon.
        since: nothing judged before this moment.
        limit: judgements at most.

    Raises:
        LedgerUnavailableError: the database does not answer.
    """
    told = JUDGEMENT.c
    statement = (
        select(told.category, told.confidence, told.right_unit)
        .where(told.model == model, told.judged_at >= since)
        .order_by(told.judged_at.desc())
        .limit(limit)
    )
    with snapshot(engine) as moment:
        return evidence_of((said, sure, right) for said, sure, right in moment.execute(statement))
