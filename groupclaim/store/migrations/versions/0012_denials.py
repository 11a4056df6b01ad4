"""Denials as they are worked, their cases and their letters.

Revision ID: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "denial_case",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=13), nullable=False),
        sa.Column("scope_id", sa.String(length=120), nullable=False),
        sa.Column("payer_key", sa.String(length=64), nullable=False),
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("prevented_by", sa.String(length=40), nullable=True),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.CheckConstraint(
            "scope IN ('claim', 'session', 'clinician', 'authorization')",
            name=op.f("ck_denial_case_scope"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_denial_case")),
    )
    op.create_index(op.f("ix_denial_case_payer_key"), "denial_case", ["payer_key"], unique=False)
    op.create_table(
        "denial",
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("decided_on", sa.Date(), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("rule", sa.String(length=80), nullable=False),
        sa.Column("playbook", sa.String(length=12), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=True),
        sa.Column("who", sa.String(length=40), nullable=False),
        sa.Column("done", sa.JSON(), nullable=False),
        sa.Column("due_at", Moment(), nullable=True),
        sa.Column("limit_at", Moment(), nullable=True),
        sa.Column("limit_working", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("correction", sa.String(length=40), nullable=True),
        sa.Column("restart", sa.String(length=40), nullable=True),
        sa.Column("frequency", sa.String(length=1), nullable=True),
        sa.Column("concluded_at", Moment(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('corrected', 'written_off', 'patient', 'paid', 'superseded')",
            name=op.f("ck_denial_outcome"),
        ),
        sa.CheckConstraint(
            "(outcome IS NULL) = (concluded_at IS NULL)", name=op.f("ck_denial_concluded")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["denial_case.id"], name=op.f("fk_denial_case_id")),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_denial_claim_number")
        ),
        sa.PrimaryKeyConstraint("claim_number", "number", name=op.f("pk_denial")),
    )
    op.create_index(op.f("ix_denial_case_id"), "denial", ["case_id"], unique=False)
    op.create_index(op.f("ix_denial_due_at"), "denial", ["due_at"], unique=False)
    op.create_table(
        "denial_letter",
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("denial_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=14), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("channel", sa.String(length=6), nullable=False),
        sa.Column("delivery_key", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("drafted_at", Moment(), nullable=False),
        sa.Column("approved_by", sa.String(length=80), nullable=True),
        sa.Column("approved_at", Moment(), nullable=True),
        sa.Column("send_started_at", Moment(), nullable=True),
        sa.Column("receipt", sa.String(length=120), nullable=True),
        sa.Column("received_at", Moment(), nullable=True),
        sa.Column("answered_at", Moment(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('appeal', 'send_documents')", name=op.f("ck_denial_letter_kind")
        ),
        sa.CheckConstraint(
            "state IN ('drafted', 'approved', 'in_doubt', 'received', 'upheld', 'overturned')",
            name=op.f("ck_denial_letter_state"),
        ),
        sa.CheckConstraint(
            "(receipt IS NULL) = (received_at IS NULL)", name=op.f("ck_denial_letter_receipt")
        ),
        sa.ForeignKeyConstraint(
            ["claim_number", "denial_number"],
            ["denial.claim_number", "denial.number"],
            name=op.f("fk_denial_letter_claim_number_denial_number"),
        ),
        sa.PrimaryKeyConstraint(
            "claim_number", "denial_number", "position", name=op.f("pk_denial_letter")
        ),
        sa.UniqueConstraint("delivery_key", name=op.f("uq_denial_letter_delivery_key")),
    )
