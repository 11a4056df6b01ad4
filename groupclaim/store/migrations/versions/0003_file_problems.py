"""Inbound files that could not be dealt with stand as problems.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("x12_file", sa.Column("problem", sa.String(length=200), nullable=True))
    op.add_column("x12_file", sa.Column("problem_at", Moment(), nullable=True))
