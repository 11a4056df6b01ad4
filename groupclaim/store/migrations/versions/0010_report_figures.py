"""Claim versions keep the codes they bill, for reports.

Revision ID: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "claim_version",
        sa.Column("codes", sa.String(length=330), nullable=False, server_default=""),
    )
