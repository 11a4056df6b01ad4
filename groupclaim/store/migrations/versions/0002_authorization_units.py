"""Units of authorizations by claim, and benefits calls.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "authorization_use",
        sa.Column("authorization_id", sa.String(length=64), nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("reserved_at", Moment(), nullable=False),
        sa.Column("moved_at", Moment(), nullable=False),
        sa.CheckConstraint(
            "state IN ('reserved', 'committed', 'consumed', 'released')",
            name=op.f("ck_authorization_use_state"),
        ),
        sa.CheckConstraint("units > 0", name=op.f("ck_authorization_use_units")),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["authorization.id"],
            name=op.f("fk_authorization_use_authorization_id"),
        ),
        sa.ForeignKeyConstraint(
            ["claim_number"],
            ["claim.claim_number"],
            name=op.f("fk_authorization_use_claim_number"),
        ),
        sa.PrimaryKeyConstraint(
            "authorization_id", "claim_number", name=op.f("pk_authorization_use")
        ),
    )
    op.create_index(
        op.f("ix_authorization_use_claim_number"),
        "authorization_use",
        ["claim_number"],
        unique=False,
    )
    op.create_table(
        "coverage_call",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("payer_key", sa.String(length=64), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("effective_to", sa.Date(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_coverage_call_patient_id")
        ),
        sa.ForeignKeyConstraint(
            ["payer_key"], ["payer.id"], name=op.f("fk_coverage_call_payer_key")
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_coverage_call_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coverage_call")),
    )
    op.create_index(
        op.f("ix_coverage_call_patient_id"), "coverage_call", ["patient_id"], unique=False
    )
