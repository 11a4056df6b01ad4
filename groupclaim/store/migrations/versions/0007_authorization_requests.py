"""Requests for authorization (278), under their trace.

Revision ID: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STATES = "'new', 'asking', 'pended', 'certified', 'refused', 'call', 'not_needed', 'unusable'"


def upgrade() -> None:
    op.create_table(
        "authorization_request",
        sa.Column("trace", sa.String(length=38), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("payer_key", sa.String(length=64), nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("certification", sa.String(length=1), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("file_digest", sa.String(length=64), nullable=True),
        sa.Column("asked_at", Moment(), nullable=True),
        sa.Column("absent_from", Moment(), nullable=True),
        sa.Column("decide_by", Moment(), nullable=True),
        sa.Column("next_at", Moment(), nullable=True),
        sa.Column("inquiries", sa.Integer(), nullable=False),
        sa.Column("alerts", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(f"state IN ({_STATES})", name=op.f("ck_authorization_request_state")),
        sa.ForeignKeyConstraint(
            ["claim_number"],
            ["claim.claim_number"],
            name=op.f("fk_authorization_request_claim_number"),
        ),
        sa.ForeignKeyConstraint(
            ["file_digest"],
            ["x12_file.digest"],
            name=op.f("fk_authorization_request_file_digest"),
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"],
            ["patient.id"],
            name=op.f("fk_authorization_request_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["payer_key"], ["payer.id"], name=op.f("fk_authorization_request_payer_key")
        ),
        sa.PrimaryKeyConstraint("trace", name=op.f("pk_authorization_request")),
    )
    for column in ("claim_number", "patient_id", "state"):
        op.create_index(
            op.f(f"ix_authorization_request_{column}"), "authorization_request", [column]
        )
