"""How claims and lines of a payment were matched, where provider adjustments go, bank deposits.

Revision ID: 0006
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import Moment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COUNTING = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("x12_file", sa.Column("cleared_at", Moment(), nullable=True))
    op.add_column("remittance", sa.Column("returned_at", Moment(), nullable=True))
    columns: tuple[tuple[str, Any], ...] = (
        ("matched_by", sa.String(length=24)),
        ("cleared_in", _COUNTING),
        ("returned_at", Moment()),
    )
    for name, kind in columns:
        op.add_column("remittance_claim", sa.Column(name, kind, nullable=True))
    columns = (
        ("service_date", sa.Date()),
        ("units", sa.String(length=15)),
        ("submitted_code", sa.String(length=48)),
        ("submitted_modifiers", sa.String(length=20)),
        ("our_line", sa.String(length=50)),
        ("matched_by", sa.String(length=24)),
    )
    for name, kind in columns:
        op.add_column("remittance_line", sa.Column(name, kind, nullable=True))
    columns = (
        ("account", sa.String(length=20)),
        ("claim_number", sa.String(length=16)),
        ("settled_as", sa.String(length=20)),
    )
    for name, kind in columns:
        op.add_column("provider_adjustment", sa.Column(name, kind, nullable=True))
    op.create_index(
        op.f("ix_provider_adjustment_claim_number"), "provider_adjustment", ["claim_number"]
    )
    op.create_table(
        "bank_deposit",
        sa.Column("id", _COUNTING, autoincrement=True, nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("deposited_on", sa.Date(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("imported_at", Moment(), nullable=False),
        sa.Column("remittance_id", _COUNTING, nullable=True),
        sa.Column("matched_by", sa.String(length=24), nullable=True),
        sa.ForeignKeyConstraint(
            ["remittance_id"], ["remittance.id"], name=op.f("fk_bank_deposit_remittance_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_deposit")),
        sa.UniqueConstraint("identity", name=op.f("uq_bank_deposit_identity")),
        sa.UniqueConstraint("remittance_id", name=op.f("uq_bank_deposit_remittance_id")),
    )
    op.create_index(op.f("ix_bank_deposit_deposited_on"), "bank_deposit", ["deposited_on"])
