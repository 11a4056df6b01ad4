"""Everything the store begins with.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from groupclaim.store.schema import APPEND_ONLY, Moment, append_only_ddl

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Counting = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", Counting, autoincrement=True, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=255), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_index(op.f("ix_audit_entry_subject"), "audit_entry", ["subject"], unique=False)
    op.create_table(
        "audit_seal",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entries", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=255), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_seal")),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "practice",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice")),
    )
    op.create_table(
        "practice_clock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mode", sa.String(length=6), nullable=False),
        sa.Column("instant", Moment(), nullable=True),
        sa.CheckConstraint(
            "(mode = 'stored') = (instant IS NOT NULL)", name=op.f("ck_practice_clock_instant")
        ),
        sa.CheckConstraint("mode IN ('wall', 'stored')", name=op.f("ck_practice_clock_mode")),
        sa.CheckConstraint("id = 1", name=op.f("ck_practice_clock_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice_clock")),
    )
    op.create_table(
        "wakeup",
        sa.Column("workflow_id", sa.String(length=200), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", name=op.f("pk_wakeup")),
    )
    op.create_index(op.f("ix_wakeup_due_at"), "wakeup", ["due_at"], unique=False)
    op.create_table(
        "clinician",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_clinician_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinician")),
    )
    op.create_table(
        "connection",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_connection_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
    )
    op.create_table(
        "fee",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=5), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("effective_to", sa.Date(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practice.id"], name=op.f("fk_fee_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fee")),
    )
    op.create_table(
        "location",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_location_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
    )
    op.create_table(
        "patient",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_patient_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("cut_key", sa.String(length=200), nullable=False),
        sa.Column("interchange_control", sa.String(length=9), nullable=False),
        sa.Column("group_control", sa.String(length=9), nullable=False),
        sa.Column("transaction_control", sa.String(length=9), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("file_digest", sa.String(length=64), nullable=True),
        sa.Column("cut_at", Moment(), nullable=False),
        sa.Column("send_started_at", Moment(), nullable=True),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("sent_at", Moment(), nullable=True),
        sa.Column("grace_until", Moment(), nullable=True),
        sa.Column("next_at", Moment(), nullable=True),
        sa.Column("answer", sa.String(length=80), nullable=True),
        sa.CheckConstraint(
            "state IN ('cut', 'built', 'sending', 'in_doubt', 'accepted', 'refused')",
            name=op.f("ck_batch_state"),
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_batch_connection_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint(
            "connection_id", "group_control", name=op.f("uq_batch_connection_id_group_control")
        ),
        sa.UniqueConstraint(
            "connection_id",
            "interchange_control",
            name=op.f("uq_batch_connection_id_interchange_control"),
        ),
        sa.UniqueConstraint(
            "connection_id",
            "transaction_control",
            name=op.f("uq_batch_connection_id_transaction_control"),
        ),
        sa.UniqueConstraint("cut_key", name=op.f("uq_batch_cut_key")),
    )
    op.create_index(op.f("ix_batch_connection_id"), "batch", ["connection_id"], unique=False)
    op.create_index(op.f("ix_batch_state"), "batch", ["state"], unique=False)
    op.create_table(
        "group_session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("location_id", sa.String(length=64), nullable=False),
        sa.Column("clinician_id", sa.String(length=64), nullable=False),
        sa.Column("starts_at", Moment(), nullable=False),
        sa.Column("service_date", sa.Date(), nullable=False),
        sa.Column("stage", sa.String(length=10), nullable=False),
        sa.Column("attendance_recorded_at", Moment(), nullable=True),
        sa.Column("ended_claims", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("stage IN ('open', 'closed')", name=op.f("ck_group_session_stage")),
        sa.ForeignKeyConstraint(
            ["clinician_id"], ["clinician.id"], name=op.f("fk_group_session_clinician_id")
        ),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_group_session_location_id")
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_group_session_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_session")),
    )
    op.create_index(
        op.f("ix_group_session_service_date"), "group_session", ["service_date"], unique=False
    )
    op.create_table(
        "payer",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("payer_id", sa.String(length=80), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_payer_connection_id")
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_payer_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payer")),
    )
    op.create_index(op.f("ix_payer_payer_id"), "payer", ["payer_id"], unique=False)
    op.create_table(
        "treatment_plan",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_treatment_plan_patient_id")
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_treatment_plan_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treatment_plan")),
    )
    op.create_index(
        op.f("ix_treatment_plan_patient_id"), "treatment_plan", ["patient_id"], unique=False
    )
    op.create_table(
        "x12_file",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.CheckConstraint(
            "direction IN ('inbound', 'outbound')", name=op.f("ck_x12_file_direction")
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_x12_file_connection_id")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_x12_file")),
    )
    op.create_table(
        "authorization",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("payer_key", sa.String(length=64), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("effective_to", sa.Date(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_authorization_patient_id")
        ),
        sa.ForeignKeyConstraint(
            ["payer_key"], ["payer.id"], name=op.f("fk_authorization_payer_key")
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_authorization_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorization")),
    )
    op.create_index(
        op.f("ix_authorization_patient_id"), "authorization", ["patient_id"], unique=False
    )
    op.create_table(
        "claim",
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("payer_key", sa.String(length=64), nullable=False),
        sa.Column("service_date", sa.Date(), nullable=False),
        sa.Column("stage", sa.String(length=40), nullable=False),
        sa.Column("hold_code", sa.String(length=40), nullable=True),
        sa.Column("held_since", Moment(), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("since", Moment(), nullable=True),
        sa.Column("due_at", Moment(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_claim_patient_id")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["group_session.id"], name=op.f("fk_claim_session_id")
        ),
        sa.PrimaryKeyConstraint("claim_number", name=op.f("pk_claim")),
    )
    op.create_index(op.f("ix_claim_due_at"), "claim", ["due_at"], unique=False)
    op.create_index(op.f("ix_claim_hold_code"), "claim", ["hold_code"], unique=False)
    op.create_index(op.f("ix_claim_patient_id"), "claim", ["patient_id"], unique=False)
    op.create_index(op.f("ix_claim_payer_key"), "claim", ["payer_key"], unique=False)
    op.create_index(op.f("ix_claim_service_date"), "claim", ["service_date"], unique=False)
    op.create_index(op.f("ix_claim_session_id"), "claim", ["session_id"], unique=False)
    op.create_index(op.f("ix_claim_stage"), "claim", ["stage"], unique=False)
    op.create_table(
        "contract",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("payer_key", sa.String(length=64), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("effective_to", sa.Date(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["payer_key"], ["payer.id"], name=op.f("fk_contract_payer_key")),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_contract_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract")),
    )
    op.create_index(op.f("ix_contract_payer_key"), "contract", ["payer_key"], unique=False)
    op.create_table(
        "coverage",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("practice_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("payer_key", sa.String(length=64), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("effective_to", sa.Date(), nullable=True),
        sa.Column("member_id_index", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_coverage_patient_id")
        ),
        sa.ForeignKeyConstraint(["payer_key"], ["payer.id"], name=op.f("fk_coverage_payer_key")),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("fk_coverage_practice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coverage")),
    )
    op.create_index(
        op.f("ix_coverage_member_id_index"), "coverage", ["member_id_index"], unique=False
    )
    op.create_index(op.f("ix_coverage_patient_id"), "coverage", ["patient_id"], unique=False)
    op.create_table(
        "mailbox_item",
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("mailbox_id", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("fetched_at", Moment(), nullable=False),
        sa.Column("acknowledged_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_mailbox_item_connection_id")
        ),
        sa.ForeignKeyConstraint(
            ["digest"], ["x12_file.digest"], name=op.f("fk_mailbox_item_digest")
        ),
        sa.PrimaryKeyConstraint("connection_id", "mailbox_id", name=op.f("pk_mailbox_item")),
    )
    op.create_index(op.f("ix_mailbox_item_digest"), "mailbox_item", ["digest"], unique=False)
    op.create_table(
        "other_service",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=5), nullable=False),
        sa.Column("starts_at", Moment(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_other_service_patient_id")
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["group_session.id"], name=op.f("fk_other_service_session_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_other_service")),
    )
    op.create_index(
        op.f("ix_other_service_patient_id"), "other_service", ["patient_id"], unique=False
    )
    op.create_table(
        "remittance",
        sa.Column("id", Counting, autoincrement=True, nullable=False),
        sa.Column("payer_id", sa.String(length=80), nullable=False),
        sa.Column("trace", sa.String(length=50), nullable=False),
        sa.Column("payment_date", sa.Date(), nullable=True),
        sa.Column("paid_cents", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("difference_cents", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=True),
        sa.Column("duplicate_of", Counting, nullable=True),
        sa.Column("file_digest", sa.String(length=64), nullable=False),
        sa.Column("file_position", sa.Integer(), nullable=False),
        sa.Column("registered_at", Moment(), nullable=False),
        sa.Column("posted_at", Moment(), nullable=True),
        sa.CheckConstraint(
            "(state = 'duplicate') = (duplicate_of IS NOT NULL)",
            name=op.f("ck_remittance_duplicate"),
        ),
        sa.CheckConstraint(
            "state IN ('registered', 'posted', 'suspended', 'duplicate')",
            name=op.f("ck_remittance_state"),
        ),
        sa.ForeignKeyConstraint(
            ["duplicate_of"], ["remittance.id"], name=op.f("fk_remittance_duplicate_of")
        ),
        sa.ForeignKeyConstraint(
            ["file_digest"], ["x12_file.digest"], name=op.f("fk_remittance_file_digest")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remittance")),
        sa.UniqueConstraint(
            "file_digest", "file_position", name=op.f("uq_remittance_file_digest_file_position")
        ),
        sa.UniqueConstraint("identity", name=op.f("uq_remittance_identity")),
    )
    op.create_index(
        op.f("ix_remittance_payer_id_trace"), "remittance", ["payer_id", "trace"], unique=False
    )
    op.create_index(op.f("ix_remittance_state"), "remittance", ["state"], unique=False)
    op.create_table(
        "acknowledgment",
        sa.Column("id", Counting, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=5), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("batch_id", sa.String(length=64), nullable=True),
        sa.Column("claim_number", sa.String(length=16), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("codes", sa.String(length=200), nullable=False),
        sa.Column("payer_claim_number", sa.String(length=50), nullable=True),
        sa.Column("received_at", Moment(), nullable=False),
        sa.CheckConstraint("kind IN ('TA1', '999', '277CA')", name=op.f("ck_acknowledgment_kind")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_acknowledgment_batch_id")
        ),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_acknowledgment_claim_number")
        ),
        sa.ForeignKeyConstraint(
            ["digest"], ["x12_file.digest"], name=op.f("fk_acknowledgment_digest")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acknowledgment")),
        sa.UniqueConstraint("key", name=op.f("uq_acknowledgment_key")),
    )
    op.create_index(
        op.f("ix_acknowledgment_batch_id"), "acknowledgment", ["batch_id"], unique=False
    )
    op.create_index(
        op.f("ix_acknowledgment_claim_number"), "acknowledgment", ["claim_number"], unique=False
    )
    op.create_table(
        "batch_claim",
        sa.Column("batch_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("control_number", sa.String(length=38), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_batch_claim_batch_id")),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_batch_claim_claim_number")
        ),
        sa.PrimaryKeyConstraint("batch_id", "position", name=op.f("pk_batch_claim")),
        sa.UniqueConstraint(
            "claim_number", "version", name=op.f("uq_batch_claim_claim_number_version")
        ),
        sa.UniqueConstraint("control_number", name=op.f("uq_batch_claim_control_number")),
    )
    op.create_table(
        "claim_event",
        sa.Column("id", Counting, autoincrement=True, nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_claim_event_claim_number")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claim_event")),
        sa.UniqueConstraint("key", name=op.f("uq_claim_event_key")),
    )
    op.create_index(
        op.f("ix_claim_event_claim_number"), "claim_event", ["claim_number"], unique=False
    )
    op.create_table(
        "claim_version",
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("control_number", sa.String(length=38), nullable=False),
        sa.Column("frequency", sa.String(length=1), nullable=False),
        sa.Column("charge_cents", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("charge_cents > 0", name=op.f("ck_claim_version_charge")),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_claim_version_claim_number")
        ),
        sa.PrimaryKeyConstraint("claim_number", "version", name=op.f("pk_claim_version")),
        sa.UniqueConstraint("control_number", name=op.f("uq_claim_version_control_number")),
    )
    op.create_table(
        "eligibility",
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("checked_at", Moment(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_eligibility_claim_number")
        ),
        sa.PrimaryKeyConstraint("claim_number", name=op.f("pk_eligibility")),
    )
    op.create_table(
        "finding",
        sa.Column("id", Counting, autoincrement=True, nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=80), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("fix", sa.Text(), nullable=False),
        sa.Column("hold", sa.String(length=40), nullable=True),
        sa.Column("releasable", sa.Boolean(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("source_policy", sa.String(length=120), nullable=True),
        sa.Column("source_version", sa.String(length=80), nullable=True),
        sa.Column("source_citation", sa.Text(), nullable=True),
        sa.Column("source_verified", sa.Boolean(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_finding_claim_number")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
        sa.UniqueConstraint(
            "claim_number", "step", "position", name=op.f("uq_finding_claim_number_step_position")
        ),
    )
    op.create_index(op.f("ix_finding_claim_number"), "finding", ["claim_number"], unique=False)
    op.create_table(
        "participant",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("on_roster", sa.Boolean(), nullable=False),
        sa.Column("attendance", sa.String(length=10), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("copay_cents", sa.BigInteger(), nullable=False),
        sa.Column("not_billable", sa.String(length=40), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "attendance IN ('attended', 'no_show', 'excused')",
            name=op.f("ck_participant_attendance"),
        ),
        sa.CheckConstraint("copay_cents >= 0", name=op.f("ck_participant_copay")),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_participant_claim_number")
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_participant_patient_id")
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["group_session.id"], name=op.f("fk_participant_session_id")
        ),
        sa.PrimaryKeyConstraint("session_id", "patient_id", name=op.f("pk_participant")),
        sa.UniqueConstraint("claim_number", name=op.f("uq_participant_claim_number")),
    )
    op.create_index(op.f("ix_participant_patient_id"), "participant", ["patient_id"], unique=False)
    op.create_table(
        "provider_adjustment",
        sa.Column("remittance_id", Counting, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("reason_code", sa.String(length=5), nullable=False),
        sa.Column("reference", sa.String(length=50), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["remittance_id"], ["remittance.id"], name=op.f("fk_provider_adjustment_remittance_id")
        ),
        sa.PrimaryKeyConstraint("remittance_id", "position", name=op.f("pk_provider_adjustment")),
    )
    op.create_table(
        "remittance_claim",
        sa.Column("remittance_id", Counting, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("control_number", sa.String(length=38), nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=2), nullable=False),
        sa.Column("charge_cents", sa.BigInteger(), nullable=False),
        sa.Column("paid_cents", sa.BigInteger(), nullable=False),
        sa.Column("patient_cents", sa.BigInteger(), nullable=False),
        sa.Column("allowed_cents", sa.BigInteger(), nullable=True),
        sa.Column("payer_claim_number", sa.String(length=50), nullable=True),
        sa.Column("remarks", sa.String(length=200), nullable=False),
        sa.Column("posting", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reversed_by", sa.String(length=40), nullable=True),
        sa.CheckConstraint(
            "posting IN ('applied', 'denied', 'reversal', 'unapplied', 'information', 'suspended')",
            name=op.f("ck_remittance_claim_posting"),
        ),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_remittance_claim_claim_number")
        ),
        sa.ForeignKeyConstraint(
            ["remittance_id"], ["remittance.id"], name=op.f("fk_remittance_claim_remittance_id")
        ),
        sa.PrimaryKeyConstraint("remittance_id", "position", name=op.f("pk_remittance_claim")),
    )
    op.create_index(
        op.f("ix_remittance_claim_claim_number"), "remittance_claim", ["claim_number"], unique=False
    )
    op.create_index(
        op.f("ix_remittance_claim_control_number"),
        "remittance_claim",
        ["control_number"],
        unique=False,
    )
    op.create_table(
        "transfer",
        sa.Column("id", Counting, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("posted_at", Moment(), nullable=False),
        sa.Column("debit", sa.String(length=20), nullable=False),
        sa.Column("credit", sa.String(length=20), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("claim_number", sa.String(length=16), nullable=True),
        sa.Column("remittance_id", Counting, nullable=True),
        sa.Column("remittance_position", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.CheckConstraint("cents > 0", name=op.f("ck_transfer_cents")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_transfer_two_accounts")),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_transfer_claim_number")
        ),
        sa.ForeignKeyConstraint(
            ["remittance_id"], ["remittance.id"], name=op.f("fk_transfer_remittance_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
        sa.UniqueConstraint("key", name=op.f("uq_transfer_key")),
    )
    op.create_index(op.f("ix_transfer_claim_number"), "transfer", ["claim_number"], unique=False)
    op.create_index(
        op.f("ix_transfer_remittance_id_remittance_position"),
        "transfer",
        ["remittance_id", "remittance_position"],
        unique=False,
    )
    op.create_table(
        "note",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("signed_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id", "patient_id"],
            ["participant.session_id", "participant.patient_id"],
            name=op.f("fk_note_session_id_patient_id"),
        ),
        sa.PrimaryKeyConstraint("session_id", "patient_id", name=op.f("pk_note")),
    )
    op.create_table(
        "ready_claim",
        sa.Column("claim_number", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("control_number", sa.String(length=38), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("queued_at", Moment(), nullable=False),
        sa.Column("withdrawn_at", Moment(), nullable=True),
        sa.Column("batch_id", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "batch_id IS NULL OR withdrawn_at IS NULL", name=op.f("ck_ready_claim_withdrawn")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_ready_claim_batch_id")),
        sa.ForeignKeyConstraint(
            ["claim_number", "version"],
            ["claim_version.claim_number", "claim_version.version"],
            name=op.f("fk_ready_claim_claim_number_version"),
        ),
        sa.ForeignKeyConstraint(
            ["claim_number"], ["claim.claim_number"], name=op.f("fk_ready_claim_claim_number")
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_ready_claim_connection_id")
        ),
        sa.PrimaryKeyConstraint("claim_number", "version", name=op.f("pk_ready_claim")),
        sa.UniqueConstraint("control_number", name=op.f("uq_ready_claim_control_number")),
    )
    op.create_index(op.f("ix_ready_claim_batch_id"), "ready_claim", ["batch_id"], unique=False)
    op.create_index(
        op.f("ix_ready_claim_connection_id"), "ready_claim", ["connection_id"], unique=False
    )
    op.create_table(
        "remittance_adjustment",
        sa.Column("remittance_id", Counting, nullable=False),
        sa.Column("claim_position", sa.Integer(), nullable=False),
        sa.Column("line_position", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("group_code", sa.String(length=2), nullable=False),
        sa.Column("reason_code", sa.String(length=5), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["remittance_id", "claim_position"],
            ["remittance_claim.remittance_id", "remittance_claim.position"],
            name=op.f("fk_remittance_adjustment_remittance_id_claim_position"),
        ),
        sa.PrimaryKeyConstraint(
            "remittance_id",
            "claim_position",
            "line_position",
            "position",
            name=op.f("pk_remittance_adjustment"),
        ),
    )
    op.create_table(
        "remittance_line",
        sa.Column("remittance_id", Counting, nullable=False),
        sa.Column("claim_position", sa.Integer(), nullable=False),
        sa.Column("line_position", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=48), nullable=False),
        sa.Column("modifiers", sa.String(length=20), nullable=False),
        sa.Column("charge_cents", sa.BigInteger(), nullable=False),
        sa.Column("paid_cents", sa.BigInteger(), nullable=False),
        sa.Column("allowed_cents", sa.BigInteger(), nullable=True),
        sa.Column("line_control_number", sa.String(length=50), nullable=False),
        sa.ForeignKeyConstraint(
            ["remittance_id", "claim_position"],
            ["remittance_claim.remittance_id", "remittance_claim.position"],
            name=op.f("fk_remittance_line_remittance_id_claim_position"),
        ),
        sa.PrimaryKeyConstraint(
            "remittance_id", "claim_position", "line_position", name=op.f("pk_remittance_line")
        ),
    )
    dialect = op.get_bind().dialect.name
    for table in APPEND_ONLY:
        for statement in append_only_ddl(table, dialect):
            op.execute(statement)
