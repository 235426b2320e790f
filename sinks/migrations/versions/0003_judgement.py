"""Keep whether the machine had named the right unit for each case, so that triage learns from it.

Cases that were judged before get their row with their next ruling or closure; nothing is judged in hindsight.

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "judgement",
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("right_unit", sa.Boolean(), nullable=False),
        sa.Column("judged_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("case_id"),
    )
    op.create_index("judgement_when", "judgement", ["model", "judged_at"])


def downgrade() -> None:
    op.drop_table("judgement")
