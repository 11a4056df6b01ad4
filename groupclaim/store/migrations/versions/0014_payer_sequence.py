"""The place of the payer whose decision it is, beside each claim of a payment.

Revision ID: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "remittance_claim",
        sa.Column("payer_sequence", sa.Integer(), nullable=False, server_default="1"),
    )
    claim = sa.table(
        "remittance_claim", sa.column("payer_sequence", sa.Integer), sa.column("status", sa.String)
    )
    # CLP02 is all that was read until now.
    for place, statuses in ((2, ("2", "20")), (3, ("3", "21"))):
        op.execute(
            sa.update(claim).where(claim.c.status.in_(statuses)).values(payer_sequence=place)
        )
