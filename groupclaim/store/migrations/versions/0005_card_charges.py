"""Charges of patients' cards.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "card_charge",
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("begun_at", Moment(), nullable=False),
        sa.Column("settled_at", Moment(), nullable=True),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("cents > 0", name=op.f("ck_card_charge_cents")),
        sa.CheckConstraint(
            "state IN ('begun', 'charged', 'declined', 'abandoned')",
            name=op.f("ck_card_charge_state"),
        ),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_card_charge_claim_number")
        ),
        sa.PrimaryKeyConstraint("claim_number", "number", name=op.f("pk_card_charge")),
    )
    op.create_index(op.f("ix_card_charge_state"), "card_charge", ["state"], unique=False)
