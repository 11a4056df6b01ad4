"""What of a payment's interest the payer says is a claim's (AMT*I).

Revision ID: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("remittance_claim", sa.Column("interest_cents", sa.BigInteger(), nullable=True))
