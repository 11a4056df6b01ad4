"""What people have to do, and what they write down about it.

Revision ID: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "work_item",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=True),
        sa.Column("session_id", sa.String(length=64), nullable=True),
        sa.Column("payer_key", sa.String(length=64), nullable=True),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("queue", sa.String(length=40), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("due_at", Moment(), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("assignee", sa.String(length=80), nullable=True),
        sa.Column("pended_until", Moment(), nullable=True),
        sa.Column("resolved_at", Moment(), nullable=True),
        sa.Column("resolution", sa.String(length=80), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'pended', 'resolved')", name=op.f("ck_work_item_state")
        ),
        sa.CheckConstraint(
            "(state = 'pended') = (pended_until IS NOT NULL)", name=op.f("ck_work_item_pended")
        ),
        sa.CheckConstraint(
            "(state = 'resolved') = (resolved_at IS NOT NULL)", name=op.f("ck_work_item_resolved")
        ),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_work_item_claim_number")
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["group_session.id"], name=op.f("fk_work_item_session_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_item")),
    )
    op.create_index(op.f("ix_work_item_subject"), "work_item", ["subject"])
    op.create_index(op.f("ix_work_item_claim_number"), "work_item", ["claim_number"])
    op.create_index(op.f("ix_work_item_session_id"), "work_item", ["session_id"])
    op.create_index(op.f("ix_work_item_state_due_at"), "work_item", ["state", "due_at"])
    op.create_index(op.f("ix_work_item_state_code"), "work_item", ["state", "code"])
    op.create_table(
        "work_note",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("work_item_id", sa.String(length=64), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["work_item_id"], ["work_item.id"], name=op.f("fk_work_note_work_item_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_note")),
    )
    op.create_index(op.f("ix_work_note_work_item_id"), "work_note", ["work_item_id"])
