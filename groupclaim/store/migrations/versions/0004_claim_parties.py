"""Claim versions keep to whom and of whom they speak; participants, how they took part.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM claim_version")):
        # What they said of payer and member stands nowhere: it cannot be made up afterwards.
        raise RuntimeError(
            "the database holds claims made before their parties were kept with them: "
            "begin with a new database"
        )
    charge = sa.CheckConstraint("charge_cents > 0", name=op.f("ck_claim_version_charge"))
    with op.batch_alter_table("claim_version", table_args=(charge,)) as table:
        table.add_column(sa.Column("payer_key", sa.String(length=64), nullable=False))
        table.add_column(sa.Column("policy", sa.String(length=80), nullable=False))
        table.create_foreign_key(op.f("fk_claim_version_payer_key"), "payer", ["payer_key"], ["id"])
        table.create_index(op.f("ix_claim_version_payer_key"), ["payer_key"], unique=False)
    op.add_column("participant", sa.Column("document", sa.LargeBinary(), nullable=True))
