"""Audit samples and the claims drawn.

Revision ID: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_sample",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("seed", sa.String(length=80), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("frame_digest", sa.String(length=64), nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("drawn_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_sample")),
    )
    op.create_table(
        "audit_sample_claim",
        sa.Column("sample_id", sa.String(length=64), nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("stratum", sa.String(length=140), nullable=False),
        sa.Column("part", sa.String(length=14), nullable=False),
        sa.Column("risks", sa.JSON(), nullable=False),
        sa.Column("found", sa.String(length=5), nullable=True),
        sa.Column("reviewed_by", sa.String(length=80), nullable=True),
        sa.Column("reviewed_at", Moment(), nullable=True),
        sa.CheckConstraint("found IN ('ok', 'error')", name=op.f("ck_audit_sample_claim_found")),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["audit_sample.id"], name=op.f("fk_audit_sample_claim_sample_id")
        ),
        sa.ForeignKeyConstraint(
            ["claim_number"],
            ["claim.claim_number"],
            name=op.f("fk_audit_sample_claim_claim_number"),
        ),
        sa.PrimaryKeyConstraint("sample_id", "claim_number", name=op.f("pk_audit_sample_claim")),
    )
