"""Audited lines, and the disputes that gather them.

Revision ID: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    counting = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "dispute_case",
        sa.Column("id", counting, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("payer_key", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=5), nullable=False),
        sa.Column("pattern", sa.String(length=40), nullable=False),
        sa.Column("gathers", sa.String(length=160), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("told_at", Moment(), nullable=True),
        sa.Column("due_at", Moment(), nullable=True),
        sa.Column("follow_ups", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('underpayment', 'overpayment')", name=op.f("ck_dispute_case_kind")
        ),
        sa.CheckConstraint(
            "state IN ('gathering', 'to_approve', 'told', 'closed')",
            name=op.f("ck_dispute_case_state"),
        ),
        sa.CheckConstraint(
            "(state = 'closed') = (outcome IS NOT NULL)", name=op.f("ck_dispute_case_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["payer_key"], ["payer.id"], name=op.f("fk_dispute_case_payer_key")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute_case")),
        sa.UniqueConstraint("gathers", name=op.f("uq_dispute_case_gathers")),
    )
    for column in ("payer_key", "state", "due_at"):
        op.create_index(op.f(f"ix_dispute_case_{column}"), "dispute_case", [column], unique=False)
    op.create_table(
        "audited_line",
        sa.Column("id", counting, autoincrement=True, nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("remittance_id", counting, nullable=False),
        sa.Column("claim_position", sa.Integer(), nullable=False),
        sa.Column("line_position", sa.Integer(), nullable=False),
        sa.Column("pattern", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=5), nullable=False),
        sa.Column("charge_cents", sa.BigInteger(), nullable=False),
        sa.Column("expected_cents", sa.BigInteger(), nullable=False),
        sa.Column("allowed_cents", sa.BigInteger(), nullable=False),
        sa.Column("shortfall_cents", sa.BigInteger(), nullable=False),
        sa.Column("recovered_cents", sa.BigInteger(), nullable=False),
        sa.Column("working", sa.Text(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("limit_on", sa.Date(), nullable=False),
        sa.Column("audited_at", Moment(), nullable=False),
        sa.Column("case_id", counting, nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"], ["dispute_case.id"], name=op.f("fk_audited_line_case_id")
        ),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_audited_line_claim_number")
        ),
        sa.ForeignKeyConstraint(
            ["remittance_id"], ["remittance.id"], name=op.f("fk_audited_line_remittance_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audited_line")),
        sa.UniqueConstraint(
            "remittance_id",
            "claim_position",
            "line_position",
            "pattern",
            name=op.f("uq_audited_line_once"),
        ),
    )
    for column in ("claim_number", "case_id"):
        op.create_index(op.f(f"ix_audited_line_{column}"), "audited_line", [column], unique=False)
