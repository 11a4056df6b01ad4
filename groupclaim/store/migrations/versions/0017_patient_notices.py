"""What patients were told before their card is charged, and the estimates they were given.

Revision ID: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "card_notice",
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("charge_on", sa.Date(), nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("told_at", Moment(), nullable=True),
        sa.Column("told_by", sa.String(length=80), nullable=False),
        sa.Column("charge_number", sa.Integer(), nullable=True),
        sa.CheckConstraint("cents > 0", name=op.f("ck_card_notice_cents")),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_card_notice_claim_number")
        ),
        sa.PrimaryKeyConstraint("claim_number", "number", name=op.f("pk_card_notice")),
    )
    op.create_table(
        "good_faith_estimate",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("due_by", sa.Date(), nullable=True),
        sa.Column("issued_at", Moment(), nullable=False),
        sa.Column("issued_by", sa.String(length=80), nullable=False),
        sa.Column("work_item_id", sa.String(length=64), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("cents >= 0", name=op.f("ck_good_faith_estimate_cents")),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_good_faith_estimate_patient_id")
        ),
        sa.ForeignKeyConstraint(
            ["work_item_id"], ["work_item.id"], name=op.f("fk_good_faith_estimate_work_item_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_good_faith_estimate")),
    )
    op.create_index(
        op.f("ix_good_faith_estimate_patient_id"), "good_faith_estimate", ["patient_id"]
    )
