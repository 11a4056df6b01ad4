"""Lines of disputes that payers were told of, and that were withdrawn.

Revision ID: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audited_line", sa.Column("withdrawn_at", Moment(), nullable=True))
