"""Overpayments, with their clock; and notes that were withdrawn.

Revision ID: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "overpayment",
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("payer_sequence", sa.Integer(), nullable=False),
        sa.Column("payer_key", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("route", sa.String(length=10), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("identified_on", sa.Date(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("refund_by", Moment(), nullable=True),
        sa.Column("working", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=True),
        sa.Column("receipt", sa.String(length=80), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.CheckConstraint("route IN ('void_claim', 'refund')", name=op.f("ck_overpayment_route")),
        sa.CheckConstraint("cents > 0", name=op.f("ck_overpayment_cents")),
        sa.CheckConstraint(
            "outcome IN ('reversed', 'kept', 'refunded', 'stands')",
            name=op.f("ck_overpayment_outcome"),
        ),
        sa.CheckConstraint(
            "(outcome IS NULL) = (closed_at IS NULL)", name=op.f("ck_overpayment_closed")
        ),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_overpayment_claim_number")
        ),
        sa.ForeignKeyConstraint(["payer_key"], ["payer.id"], name=op.f("fk_overpayment_payer_key")),
        sa.PrimaryKeyConstraint("claim_number", "number", name=op.f("pk_overpayment")),
    )
    op.create_index(op.f("ix_overpayment_payer_key"), "overpayment", ["payer_key"])
    op.create_index(op.f("ix_overpayment_refund_by"), "overpayment", ["refund_by"])
    op.add_column("note", sa.Column("withdrawn_at", Moment(), nullable=True))
