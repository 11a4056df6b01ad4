"""The tables: one schema for SQLite and PostgreSQL, without features of only one.

A practice's records are kept whole, as one encrypted JSON document each, beside the few plain
columns they are found by: opaque ids, dates, payer keys, codes. Where the practice's own id must be
found, a blind index stands beside. Rows of ``transfer``, ``claim_event``, ``audit_entry`` and
``audit_seal`` are never changed or deleted: triggers refuse it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from groupclaim.lifecycle.holds import HOLDS

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """An instant with its offset, kept in UTC: ISO 8601 text of one length, or ``timestamptz``."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(32))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored moment needs a time zone offset")
        utc = value.astimezone(UTC)
        return utc.isoformat(timespec="microseconds") if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        read = datetime.fromisoformat(value) if isinstance(value, str) else value
        return read.astimezone(UTC)


_ID = String(64)
_CLAIM = String(16)
_CONTROL = String(38)
_CODE = String(40)
_DIGEST = String(64)

_Counting = BigInteger().with_variant(Integer(), "sqlite")
"""A number given by the database; SQLite counts only plain INTEGER primary keys."""


def _document() -> Column[bytes]:
    """One encrypted JSON document."""
    return Column("document", LargeBinary, nullable=False)


def _claim(**options: Any) -> Column[str]:
    return Column("claim_number", _CLAIM, ForeignKey("claim.claim_number"), **options)


# --- the practice

practice = Table(
    "practice",
    metadata,
    Column("id", _ID, primary_key=True),
    _document(),
)


def _of_practice() -> Column[str]:
    return Column("practice_id", _ID, ForeignKey("practice.id"), nullable=False)


def _patient() -> Column[str]:
    return Column("patient_id", _ID, ForeignKey("patient.id"), nullable=False, index=True)


def _dated() -> tuple[Column[Any], Column[Any]]:
    return Column("effective_from", Date, nullable=False), Column("effective_to", Date)


location = Table(
    "location", metadata, Column("id", _ID, primary_key=True), _of_practice(), _document()
)
clinician = Table(
    "clinician", metadata, Column("id", _ID, primary_key=True), _of_practice(), _document()
)
connection = Table(
    "connection", metadata, Column("id", _ID, primary_key=True), _of_practice(), _document()
)
payer = Table(
    "payer",
    metadata,
    Column("id", _ID, primary_key=True),
    _of_practice(),
    Column("payer_id", String(80), nullable=False, index=True),
    Column("connection_id", _ID, ForeignKey("connection.id"), nullable=False),
    _document(),
)
contract = Table(
    "contract",
    metadata,
    Column("id", _ID, primary_key=True),
    _of_practice(),
    Column("payer_key", _ID, ForeignKey("payer.id"), nullable=False, index=True),
    *_dated(),
    _document(),
)
fee = Table(
    "fee",
    metadata,
    Column("id", _ID, primary_key=True),
    _of_practice(),
    Column("code", String(5), nullable=False),
    *_dated(),
    _document(),
)
patient = Table(
    "patient", metadata, Column("id", _ID, primary_key=True), _of_practice(), _document()
)
coverage = Table(
    "coverage",
    metadata,
    Column("id", _ID, primary_key=True),
    _of_practice(),
    _patient(),
    Column("payer_key", _ID, ForeignKey("payer.id"), nullable=False),
    Column("priority", Integer, nullable=False),
    *_dated(),
    Column("member_id_index", _DIGEST, nullable=False, index=True),
    _document(),
)
treatment_plan = Table(
    "treatment_plan",
    metadata,
    Column("id", _ID, primary_key=True),
    _of_practice(),
    _patient(),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date, nullable=False),
    _document(),
)
authorization = Table(
    "authorization",
    metadata,
    Column("id", _ID, primary_key=True),
    _of_practice(),
    _patient(),
    Column("payer_key", _ID, ForeignKey("payer.id"), nullable=False),
    *_dated(),
    _document(),
)

coverage_call = Table(
    "coverage_call",
    metadata,
    Column("id", _ID, primary_key=True),
    _of_practice(),
    _patient(),
    Column("payer_key", _ID, ForeignKey("payer.id"), nullable=False),
    *_dated(),
    _document(),
)

# --- sessions and who took part

group_session = Table(
    "group_session",
    metadata,
    Column("id", _ID, primary_key=True),
    _of_practice(),
    Column("location_id", _ID, ForeignKey("location.id"), nullable=False),
    Column("clinician_id", _ID, ForeignKey("clinician.id"), nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("service_date", Date, nullable=False, index=True),
    Column("stage", String(10), nullable=False),
    Column("attendance_recorded_at", Moment),
    Column("ended_claims", Integer, nullable=False),
    _document(),
    CheckConstraint("stage IN ('open', 'closed')", name="stage"),
)
participant = Table(
    "participant",
    metadata,
    Column("session_id", _ID, ForeignKey("group_session.id"), primary_key=True),
    Column("patient_id", _ID, ForeignKey("patient.id"), primary_key=True, index=True),
    _claim(nullable=False, unique=True),
    Column("on_roster", Boolean, nullable=False),
    Column("attendance", String(10)),
    Column("document", LargeBinary),
    Column("minutes", Integer, nullable=False),
    Column("copay_cents", BigInteger, nullable=False),
    Column("not_billable", _CODE),
    Column("revision", Integer, nullable=False),
    CheckConstraint("attendance IN ('attended', 'no_show', 'excused')", name="attendance"),
    CheckConstraint("copay_cents >= 0", name="copay"),
)
other_service = Table(
    "other_service",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("session_id", _ID, ForeignKey("group_session.id"), nullable=False),
    _patient(),
    Column("code", String(5), nullable=False),
    Column("starts_at", Moment, nullable=False),
    _document(),
)
eligibility = Table(
    "eligibility",
    metadata,
    _claim(primary_key=True),
    Column("checked_at", Moment, nullable=False),
    _document(),
)
note = Table(
    "note",
    metadata,
    Column("session_id", _ID, primary_key=True),
    Column("patient_id", _ID, primary_key=True),
    Column("digest", _DIGEST),
    Column("signed_at", Moment, nullable=False),
    Column("withdrawn_at", Moment),
    ForeignKeyConstraint(
        ["session_id", "patient_id"], ["participant.session_id", "participant.patient_id"]
    ),
)

# --- claims

claim = Table(
    "claim",
    metadata,
    Column("claim_number", _CLAIM, primary_key=True),
    Column("session_id", _ID, ForeignKey("group_session.id"), nullable=False, index=True),
    Column("patient_id", _ID, ForeignKey("patient.id"), nullable=False, index=True),
    Column("payer_key", _ID, nullable=False, index=True),
    Column("service_date", Date, nullable=False, index=True),
    Column("stage", _CODE, nullable=False, index=True),
    Column("hold_code", _CODE, index=True),
    Column("held_since", Moment),
    Column("reason", _CODE),
    Column("since", Moment),
    Column("due_at", Moment, index=True),
    Column("version", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
claim_version = Table(
    "claim_version",
    metadata,
    _claim(primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("control_number", _CONTROL, nullable=False, unique=True),
    Column("payer_key", _ID, ForeignKey("payer.id"), nullable=False, index=True),
    Column("policy", String(80), nullable=False),
    Column("codes", String(330), nullable=False, server_default=""),
    Column("frequency", String(1), nullable=False),
    Column("charge_cents", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    _document(),
    CheckConstraint("charge_cents > 0", name="charge"),
)
claim_event = Table(
    "claim_event",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    _claim(nullable=False, index=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("sequence", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", _CODE, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("detail", JSON, nullable=False),
)
finding = Table(
    "finding",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    _claim(nullable=False, index=True),
    Column("step", _CODE, nullable=False),
    Column("position", Integer, nullable=False),
    Column("rule", String(80), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("fix", Text, nullable=False),
    Column("hold", _CODE),
    Column("releasable", Boolean, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("source_policy", String(120)),
    Column("source_version", String(80)),
    Column("source_citation", Text),
    Column("source_verified", Boolean),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("claim_number", "step", "position"),
)

authorization_use = Table(
    "authorization_use",
    metadata,
    Column("authorization_id", _ID, ForeignKey("authorization.id"), primary_key=True),
    Column("claim_number", _CLAIM, ForeignKey("claim.claim_number"), primary_key=True, index=True),
    Column("units", Integer, nullable=False),
    Column("state", String(9), nullable=False),
    Column("reserved_at", Moment, nullable=False),
    Column("moved_at", Moment, nullable=False),
    CheckConstraint("units > 0", name="units"),
    CheckConstraint("state IN ('reserved', 'committed', 'consumed', 'released')", name="state"),
)

authorization_request = Table(
    "authorization_request",
    metadata,
    Column("trace", _CONTROL, primary_key=True),
    _patient(),
    Column("payer_key", _ID, ForeignKey("payer.id"), nullable=False),
    _claim(nullable=False, index=True),
    Column("certification", String(1), nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("content", _DIGEST, nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("file_digest", _DIGEST, ForeignKey("x12_file.digest")),
    Column("asked_at", Moment),
    Column("absent_from", Moment),
    Column("decide_by", Moment),
    Column("next_at", Moment),
    Column("inquiries", Integer, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    _document(),
    CheckConstraint(
        "state IN ('new', 'asking', 'pended', 'certified', 'refused', 'call', 'not_needed', "
        "'unusable')",
        name="state",
    ),
)

# --- on the way to the payers

batch = Table(
    "batch",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("connection_id", _ID, ForeignKey("connection.id"), nullable=False, index=True),
    Column("cut_key", String(200), nullable=False, unique=True),
    Column("interchange_control", String(9), nullable=False),
    Column("group_control", String(9), nullable=False),
    Column("transaction_control", String(9), nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("claims", Integer, nullable=False),
    Column("file_digest", _DIGEST),
    Column("cut_at", Moment, nullable=False),
    Column("send_started_at", Moment),
    Column("sends", Integer, nullable=False),
    Column("sent_at", Moment),
    Column("grace_until", Moment),
    Column("next_at", Moment),
    Column("answer", String(80)),
    UniqueConstraint("connection_id", "interchange_control"),
    UniqueConstraint("connection_id", "group_control"),
    UniqueConstraint("connection_id", "transaction_control"),
    CheckConstraint(
        "state IN ('cut', 'built', 'sending', 'in_doubt', 'accepted', 'refused')", name="state"
    ),
)
ready_claim = Table(
    "ready_claim",
    metadata,
    _claim(primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("control_number", _CONTROL, nullable=False, unique=True),
    Column("connection_id", _ID, ForeignKey("connection.id"), nullable=False, index=True),
    Column("queued_at", Moment, nullable=False),
    Column("withdrawn_at", Moment),
    Column("batch_id", _ID, ForeignKey("batch.id"), index=True),
    ForeignKeyConstraint(
        ["claim_number", "version"], ["claim_version.claim_number", "claim_version.version"]
    ),
    CheckConstraint("batch_id IS NULL OR withdrawn_at IS NULL", name="withdrawn"),
)
batch_claim = Table(
    "batch_claim",
    metadata,
    Column("batch_id", _ID, ForeignKey("batch.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    _claim(nullable=False),
    Column("version", Integer, nullable=False),
    Column("control_number", _CONTROL, nullable=False, unique=True),
    UniqueConstraint("claim_number", "version"),
)
x12_file = Table(
    "x12_file",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("direction", String(8), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("connection_id", _ID, ForeignKey("connection.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("problem", String(200)),
    Column("problem_at", Moment),
    Column("cleared_at", Moment),
    CheckConstraint("direction IN ('inbound', 'outbound')", name="direction"),
)
mailbox_item = Table(
    "mailbox_item",
    metadata,
    Column("connection_id", _ID, ForeignKey("connection.id"), primary_key=True),
    Column("mailbox_id", String(200), primary_key=True),
    Column("digest", _DIGEST, ForeignKey("x12_file.digest"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("fetched_at", Moment, nullable=False),
    Column("acknowledged_at", Moment),
)
acknowledgment = Table(
    "acknowledgment",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("kind", String(5), nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("digest", _DIGEST, ForeignKey("x12_file.digest"), nullable=False),
    Column("batch_id", _ID, ForeignKey("batch.id"), index=True),
    _claim(index=True),
    Column("version", Integer),
    Column("codes", String(200), nullable=False),
    Column("payer_claim_number", String(50)),
    Column("received_at", Moment, nullable=False),
    CheckConstraint("kind IN ('TA1', '999', '277CA')", name="kind"),
)

# --- money

remittance = Table(
    "remittance",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    Column("payer_id", String(80), nullable=False),
    Column("trace", String(50), nullable=False),
    Column("payment_date", Date),
    Column("paid_cents", BigInteger, nullable=False),
    Column("method", String(3), nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("difference_cents", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("content_digest", _DIGEST, nullable=False),
    Column("identity", _DIGEST, unique=True),
    Column("duplicate_of", _Counting, ForeignKey("remittance.id")),
    Column("file_digest", _DIGEST, ForeignKey("x12_file.digest"), nullable=False),
    Column("file_position", Integer, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Column("posted_at", Moment),
    Column("returned_at", Moment),
    UniqueConstraint("file_digest", "file_position"),
    CheckConstraint("state IN ('registered', 'posted', 'suspended', 'duplicate')", name="state"),
    CheckConstraint("(state = 'duplicate') = (duplicate_of IS NOT NULL)", name="duplicate"),
    Index(None, "payer_id", "trace"),
)
remittance_claim = Table(
    "remittance_claim",
    metadata,
    Column("remittance_id", _Counting, ForeignKey("remittance.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("control_number", _CONTROL, nullable=False, index=True),
    _claim(index=True),
    Column("version", Integer),
    Column("payer_sequence", Integer, nullable=False, server_default="1"),
    Column("status", String(2), nullable=False),
    Column("charge_cents", BigInteger, nullable=False),
    Column("paid_cents", BigInteger, nullable=False),
    Column("patient_cents", BigInteger, nullable=False),
    Column("allowed_cents", BigInteger),
    Column("interest_cents", BigInteger),
    Column("payer_claim_number", String(50)),
    Column("remarks", String(200), nullable=False),
    Column("posting", String(12), nullable=False),
    Column("reason", Text, nullable=False),
    Column("reversed_by", String(40)),
    Column("matched_by", String(24)),
    Column("cleared_in", _Counting),
    Column("returned_at", Moment),
    CheckConstraint(
        "posting IN ('applied', 'denied', 'reversal', 'unapplied', 'information', 'suspended')",
        name="posting",
    ),
)
remittance_line = Table(
    "remittance_line",
    metadata,
    Column("remittance_id", _Counting, primary_key=True),
    Column("claim_position", Integer, primary_key=True),
    Column("line_position", Integer, primary_key=True),
    Column("code", String(48), nullable=False),
    Column("modifiers", String(20), nullable=False),
    Column("charge_cents", BigInteger, nullable=False),
    Column("paid_cents", BigInteger, nullable=False),
    Column("allowed_cents", BigInteger),
    Column("line_control_number", String(50), nullable=False),
    Column("service_date", Date),
    Column("units", String(15)),
    Column("submitted_code", String(48)),
    Column("submitted_modifiers", String(20)),
    Column("our_line", String(50)),
    Column("matched_by", String(24)),
    ForeignKeyConstraint(
        ["remittance_id", "claim_position"],
        ["remittance_claim.remittance_id", "remittance_claim.position"],
    ),
)
remittance_adjustment = Table(
    "remittance_adjustment",
    metadata,
    Column("remittance_id", _Counting, primary_key=True),
    Column("claim_position", Integer, primary_key=True),
    Column("line_position", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("group_code", String(2), nullable=False),
    Column("reason_code", String(5), nullable=False),
    Column("cents", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["remittance_id", "claim_position"],
        ["remittance_claim.remittance_id", "remittance_claim.position"],
    ),
)
provider_adjustment = Table(
    "provider_adjustment",
    metadata,
    Column("remittance_id", _Counting, ForeignKey("remittance.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("reason_code", String(5), nullable=False),
    Column("reference", String(50), nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("account", String(20)),
    Column("claim_number", _CLAIM, index=True),
    Column("settled_as", String(20)),
)
bank_deposit = Table(
    "bank_deposit",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    Column("identity", _DIGEST, nullable=False, unique=True),
    Column("deposited_on", Date, nullable=False, index=True),
    Column("cents", BigInteger, nullable=False),
    Column("reference", String(80), nullable=False),
    Column("imported_at", Moment, nullable=False),
    Column("remittance_id", _Counting, ForeignKey("remittance.id"), unique=True),
    Column("matched_by", String(24)),
)
transfer = Table(
    "transfer",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("posted_at", Moment, nullable=False),
    Column("debit", String(20), nullable=False),
    Column("credit", String(20), nullable=False),
    Column("cents", BigInteger, nullable=False),
    _claim(index=True),
    Column("remittance_id", _Counting, ForeignKey("remittance.id")),
    Column("remittance_position", Integer),
    Column("kind", _CODE, nullable=False),
    Index(None, "remittance_id", "remittance_position"),
    CheckConstraint("cents > 0", name="cents"),
    CheckConstraint("debit <> credit", name="two_accounts"),
)

card_charge = Table(
    "card_charge",
    metadata,
    _claim(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("cents", BigInteger, nullable=False),
    Column("state", String(9), nullable=False, index=True),
    Column("begun_at", Moment, nullable=False),
    Column("settled_at", Moment),
    Column("reference", String(80), nullable=False),
    Column("reason", String(80), nullable=False),
    _document(),
    CheckConstraint("cents > 0", name="cents"),
    CheckConstraint("state IN ('begun', 'charged', 'declined', 'abandoned')", name="state"),
)

card_notice = Table(
    "card_notice",
    metadata,
    _claim(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("cents", BigInteger, nullable=False),
    Column("charge_on", Date, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("told_at", Moment),
    Column("told_by", String(80), nullable=False),
    Column("charge_number", Integer),
    CheckConstraint("cents > 0", name="cents"),
)

good_faith_estimate = Table(
    "good_faith_estimate",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    _patient(),
    Column("cents", BigInteger, nullable=False),
    Column("sessions", Integer, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("due_by", Date),
    Column("issued_at", Moment, nullable=False),
    Column("issued_by", String(80), nullable=False),
    Column("work_item_id", _ID, ForeignKey("work_item.id")),
    _document(),
    CheckConstraint("cents >= 0", name="cents"),
)

# --- what payers still owe, or gave too much

dispute_case = Table(
    "dispute_case",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    Column("kind", String(12), nullable=False),
    Column("payer_key", _ID, ForeignKey("payer.id"), nullable=False, index=True),
    Column("code", String(5), nullable=False),
    Column("pattern", _CODE, nullable=False),
    Column("gathers", String(160), unique=True),
    Column("state", String(10), nullable=False, index=True),
    Column("opened_at", Moment, nullable=False),
    Column("told_at", Moment),
    Column("due_at", Moment, index=True),
    Column("follow_ups", Integer, nullable=False),
    Column("outcome", String(16)),
    Column("closed_at", Moment),
    CheckConstraint("kind IN ('underpayment', 'overpayment')", name="kind"),
    CheckConstraint("state IN ('gathering', 'to_approve', 'told', 'closed')", name="state"),
    CheckConstraint("(state = 'closed') = (outcome IS NOT NULL)", name="outcome"),
)
audited_line = Table(
    "audited_line",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    _claim(nullable=False, index=True),
    Column("remittance_id", _Counting, ForeignKey("remittance.id"), nullable=False),
    Column("claim_position", Integer, nullable=False),
    Column("line_position", Integer, nullable=False),
    Column("pattern", _CODE, nullable=False),
    Column("code", String(5), nullable=False),
    Column("charge_cents", BigInteger, nullable=False),
    Column("expected_cents", BigInteger, nullable=False),
    Column("allowed_cents", BigInteger, nullable=False),
    Column("shortfall_cents", BigInteger, nullable=False),
    Column("recovered_cents", BigInteger, nullable=False),
    Column("working", Text, nullable=False),
    Column("received_on", Date),
    Column("paid_on", Date, nullable=False),
    Column("limit_on", Date, nullable=False),
    Column("audited_at", Moment, nullable=False),
    Column("case_id", _Counting, ForeignKey("dispute_case.id"), index=True),
    Column("withdrawn_at", Moment),
    UniqueConstraint(
        "remittance_id",
        "claim_position",
        "line_position",
        "pattern",
        name="uq_audited_line_once",
    ),
)

# --- what people have to do

work_item = Table(
    "work_item",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("subject", String(200), nullable=False, index=True),
    _claim(index=True),
    Column("session_id", _ID, ForeignKey("group_session.id"), index=True),
    Column("payer_key", _ID),
    Column("code", _CODE, nullable=False),
    Column("queue", _CODE, nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("due_at", Moment),
    Column("state", String(8), nullable=False),
    Column("assignee", String(80)),
    Column("pended_until", Moment),
    Column("resolved_at", Moment),
    Column("resolution", String(80)),
    Column("revision", Integer, nullable=False),
    CheckConstraint("state IN ('open', 'pended', 'resolved')", name="state"),
    CheckConstraint("(state = 'pended') = (pended_until IS NOT NULL)", name="pended"),
    CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="resolved"),
    Index(None, "state", "due_at"),
    Index(None, "state", "code"),
)
work_note = Table(
    "work_note",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    Column("work_item_id", _ID, ForeignKey("work_item.id"), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("actor", String(80), nullable=False),
    _document(),
)
work_change = Table(
    "work_change",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    Column("act", _ID, nullable=False),
    Column("work_item_id", _ID, ForeignKey("work_item.id"), nullable=False),
    Column("actor", String(80), nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("assignee", String(80)),
    Column("state", String(8), nullable=False),
    Column("pended_until", Moment),
    Column("revision", Integer, nullable=False),
    Column("undone", Boolean, nullable=False),
    UniqueConstraint("act", "work_item_id", name="uq_work_change_once"),
    Index(None, "actor", "id"),
)

# --- people at the console

console_user = Table(
    "console_user",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name_index", _DIGEST, nullable=False, unique=True),
    Column("subject_index", _DIGEST, unique=True),
    Column("role", String(20), nullable=False),
    Column("password_hash", String(200)),
    Column("must_change", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Moment),
    Column("disabled_at", Moment),
    Column("created_at", Moment, nullable=False),
    _document(),
    CheckConstraint(
        "role IN ('viewer', 'biller', 'clinician', 'supervisor', 'administrator')", name="role"
    ),
)
console_session = Table(
    "console_session",
    metadata,
    Column("token_digest", _DIGEST, primary_key=True),
    Column("user_id", _ID, ForeignKey("console_user.id"), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
)
emergency_access = Table(
    "emergency_access",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("user_id", _ID, ForeignKey("console_user.id"), nullable=False, index=True),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("ended_at", Moment),
    _document(),
)

# --- systems at the API

api_key = Table(
    "api_key",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("token_digest", _DIGEST, nullable=False, unique=True),
    Column("name", String(60), nullable=False, unique=True),
    Column("scopes", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("revoked_at", Moment),
    Column("used_at", Moment),
    _document(),
)
api_answer = Table(
    "api_answer",
    metadata,
    Column("key_id", _ID, ForeignKey("api_key.id"), primary_key=True),
    Column("idempotency_digest", _DIGEST, primary_key=True),
    Column("request_digest", _DIGEST, nullable=False),
    Column("status", Integer, nullable=False),
    Column("at", Moment, nullable=False, index=True),
    _document(),
)

# --- what other systems are told

webhook_subscription = Table(
    "webhook_subscription",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("events", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("removed_at", Moment),
    _document(),
)
webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("id", _ID, primary_key=True),
    Column(
        "subscription_id", _ID, ForeignKey("webhook_subscription.id"), nullable=False, index=True
    ),
    Column("event_id", _ID, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
    Column("next_at", Moment, index=True),
    Column("sent_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("outcome", _CODE),
)

# --- denials

denial_case = Table(
    "denial_case",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("scope", String(13), nullable=False),
    Column("scope_id", String(120), nullable=False),
    Column("payer_key", _ID, nullable=False, index=True),
    Column("cause", _CODE, nullable=False),
    Column("category", String(20), nullable=False),
    Column("prevented_by", _CODE),
    Column("opened_at", Moment, nullable=False),
    CheckConstraint("scope IN ('claim', 'session', 'clinician', 'authorization')", name="scope"),
)
denial = Table(
    "denial",
    metadata,
    _claim(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("case_id", _ID, ForeignKey("denial_case.id"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("cause", _CODE, nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("decided_on", Date, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("rule", String(80), nullable=False),
    Column("playbook", String(12), nullable=False),
    Column("action", _CODE),
    Column("who", String(40), nullable=False),
    Column("done", JSON, nullable=False),
    Column("due_at", Moment, index=True),
    Column("limit_at", Moment),
    Column("limit_working", Text, nullable=False),
    Column("outcome", String(20)),
    Column("correction", _CODE),
    Column("restart", _CODE),
    Column("frequency", String(1)),
    Column("concluded_at", Moment),
    CheckConstraint("(outcome IS NULL) = (concluded_at IS NULL)", name="concluded"),
    CheckConstraint(
        "outcome IN ('corrected', 'written_off', 'patient', 'paid', 'superseded')", name="outcome"
    ),
)
overpayment = Table(
    "overpayment",
    metadata,
    _claim(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("payer_sequence", Integer, nullable=False),
    Column("payer_key", _ID, ForeignKey("payer.id"), nullable=False, index=True),
    Column("reason", _CODE, nullable=False),
    Column("route", String(10), nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("identified_on", Date, nullable=False),
    Column("paid_on", Date),
    Column("refund_by", Moment, index=True),
    Column("working", Text, nullable=False),
    Column("outcome", String(8)),
    Column("receipt", String(80)),
    Column("closed_at", Moment),
    CheckConstraint("route IN ('void_claim', 'refund')", name="route"),
    CheckConstraint("cents > 0", name="cents"),
    CheckConstraint(
        "outcome IN ('reversed', 'kept', 'refunded', 'stands')",
        name="outcome",
    ),
    CheckConstraint("(outcome IS NULL) = (closed_at IS NULL)", name="closed"),
)
denial_letter = Table(
    "denial_letter",
    metadata,
    Column("claim_number", _CLAIM, primary_key=True),
    Column("denial_number", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("kind", String(14), nullable=False),
    Column("level", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("channel", String(6), nullable=False),
    Column("delivery_key", String(64), nullable=False, unique=True),
    Column("digest", _DIGEST, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("drafted_at", Moment, nullable=False),
    Column("approved_by", String(80)),
    Column("approved_at", Moment),
    Column("send_started_at", Moment),
    Column("receipt", String(120)),
    Column("received_at", Moment),
    Column("answered_at", Moment),
    ForeignKeyConstraint(
        ["claim_number", "denial_number"], ["denial.claim_number", "denial.number"]
    ),
    CheckConstraint("kind IN ('appeal', 'send_documents')", name="kind"),
    CheckConstraint(
        "state IN ('drafted', 'approved', 'in_doubt', 'received', 'upheld', 'overturned')",
        name="state",
    ),
    CheckConstraint("(receipt IS NULL) = (received_at IS NULL)", name="receipt"),
)

# --- audit, clock, counting

audit_sample = Table(
    "audit_sample",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("seed", String(80), nullable=False),
    Column("size", Integer, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("frame_digest", _DIGEST, nullable=False),
    Column("frame", Integer, nullable=False),
    Column("drawn_at", Moment, nullable=False),
)
audit_sample_claim = Table(
    "audit_sample_claim",
    metadata,
    Column("sample_id", _ID, ForeignKey("audit_sample.id"), primary_key=True),
    _claim(primary_key=True),
    Column("stratum", String(140), nullable=False),
    Column("part", String(14), nullable=False),
    Column("risks", JSON, nullable=False),
    Column("found", String(5)),
    Column("reviewed_by", String(80)),
    Column("reviewed_at", Moment),
    CheckConstraint("found IN ('ok', 'error')", name="found"),
)

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("id", _Counting, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("action", _CODE, nullable=False),
    Column("subject", String(80), nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("nonce", String(32), nullable=False),
    Column("key_id", String(255), nullable=False),
    Column("code", _DIGEST, nullable=False),
)
audit_seal = Table(
    "audit_seal",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("entries", Text, nullable=False),
    Column("digest", _DIGEST, nullable=False),
    Column("key_id", String(255), nullable=False),
    Column("head", _DIGEST, nullable=False),
    Column("sealed_at", Moment, nullable=False),
)
practice_clock = Table(
    "practice_clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("mode", String(6), nullable=False),
    Column("instant", Moment),
    CheckConstraint("id = 1", name="one_row"),
    CheckConstraint("mode IN ('wall', 'stored')", name="mode"),
    CheckConstraint("(mode = 'stored') = (instant IS NOT NULL)", name="instant"),
)
wakeup = Table(
    "wakeup",
    metadata,
    Column("workflow_id", String(200), primary_key=True),
    Column("due_at", Moment, nullable=False, index=True),
)
counter = Table(
    "counter",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

APPEND_ONLY = ("transfer", "claim_event", "audit_entry", "audit_seal")


def append_only_ddl(table: str, dialect: str) -> list[str]:
    """The statements that make a table refuse every change of a row once written."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{change} BEFORE {change.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for change in ("update", "delete")
        ]
    return [
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()",
    ]


def _net(debit: str, credit: str) -> str:
    """What flowed from ``credit`` into ``debit``, less what flowed back."""
    return (
        f"CASE WHEN t.debit = '{debit}' AND t.credit = '{credit}' THEN t.cents "
        f"WHEN t.debit = '{credit}' AND t.credit = '{debit}' THEN -t.cents ELSE 0 END"
    )


def _balance(account: str) -> str:
    return (
        f"CASE WHEN t.debit = '{account}' THEN t.cents "
        f"WHEN t.credit = '{account}' THEN -t.cents ELSE 0 END"
    )


def _sum(expression: str) -> str:
    return f"CAST(COALESCE(SUM({expression}), 0) AS BIGINT)"


_STANDING_HOLDS = ", ".join(f"'{code}'" for code, kind in HOLDS.items() if kind.redo is None)


def figures_by(column: str, where: str = "") -> str:
    """The query that adds up ``claim_figures`` by one of its columns. Rates are in hundredths of a
    percent, NULL where there is nothing to divide by."""

    def rate(part: str, whole: str) -> str:
        return f"CAST(ROUND(10000.0 * SUM({part}) / NULLIF(SUM({whole}), 0)) AS BIGINT)"

    amounts = (
        "billed", "allowed", "paid", "patient_paid", "contractual", "denied", "underpaid",
        "overpaid", "recovered", "payer_open", "patient_open",
    )  # fmt: skip
    sums = ", ".join(f"CAST(SUM({name}_cents) AS BIGINT) AS {name}_cents" for name in amounts)
    collected, due = "paid_cents + patient_paid_cents", "billed_cents - contractual_cents"
    return (
        f"SELECT {column} AS group_key, COUNT(*) AS claims, {sums}, "  # noqa: S608 - constants only
        f"{rate(collected, due)} AS net_collection_rate, "
        f"{rate('first_pass', 'decided')} AS first_pass_rate, "
        f"{rate('denied', 'decided')} AS denial_rate, "
        f"{rate('clean', '1')} AS clean_claim_rate "
        f"FROM claim_figures {where} GROUP BY {column}"
    )


VIEWS = {
    # One row per roster row ever put on a roster. A hold after billing shows as billed, with the
    # hold as its reason; nothing is the reason of a claim that is closed, or that its payer has. A
    # hold that stands beside whatever else happens, or of a claim that is being taken back, is the
    # claim's stage too. What is being taken back is billed for as long as a payer has it.
    "participant_standing": f"""CREATE VIEW participant_standing AS
SELECT r.session_id, r.patient_id, r.claim_number, r.attendance, r.standing,
  CASE WHEN r.hold_code IS NOT NULL THEN r.hold_code
       WHEN r.reason IS NOT NULL THEN r.reason
       WHEN r.standing = 'billed' OR r.stage = 'closed' THEN ''
       ELSE r.stage END AS reason,
  CASE WHEN r.standing = 'held' OR r.hold_code IN ({_STANDING_HOLDS})
         OR (r.stage = 'void' AND r.hold_code IS NOT NULL) THEN 'held'
       ELSE r.stage END AS stage
FROM (
  SELECT p.session_id, p.patient_id, p.claim_number,
    COALESCE(p.attendance, 'expected') AS attendance, c.hold_code, c.reason, c.stage,
    CASE WHEN c.stage = 'not_billable' THEN 'not_billable'
         WHEN EXISTS (
           SELECT 1 FROM batch_claim b JOIN batch s ON s.id = b.batch_id
           WHERE b.claim_number = c.claim_number AND s.state = 'accepted'
             AND (b.version = c.version OR c.stage = 'void')
             AND NOT EXISTS (
               SELECT 1 FROM acknowledgment a
               WHERE a.claim_number = c.claim_number AND a.version = b.version
                 AND a.accepted = {{false}}
             )
         ) THEN 'billed'
         WHEN c.hold_code IS NOT NULL THEN 'held'
         ELSE 'in_progress' END AS standing
  FROM participant p JOIN claim c ON c.claim_number = p.claim_number
) r""",  # noqa: S608 - constants only
    "claim_money": f"""CREATE VIEW claim_money AS
SELECT c.claim_number,
  {_sum(_net("payer_receivable", "charges"))} AS charge_cents,
  (SELECT CAST(SUM(CASE WHEN r.reversed_by IS NULL THEN r.allowed_cents ELSE 0 END) AS BIGINT)
    FROM remittance_claim r WHERE r.claim_number = c.claim_number AND r.posting = 'applied'
  ) AS allowed_cents,
  {_sum(_net("clearing", "payer_receivable"))}
    + {_sum(_net("payer_refund", "payer_receivable"))}
    + {_sum(_net("takeback", "payer_receivable"))} AS paid_cents,
  {_sum(_net("contractual", "payer_receivable"))}
    + {_sum(_net("sequestration", "payer_receivable"))} AS contractual_cents,
  {_sum(_net("patient_receivable", "payer_receivable"))} AS patient_cents,
  {_sum(_balance("patient_cash"))} AS patient_paid_cents,
  {_sum(_balance("patient_receivable"))} AS patient_open_cents,
  {_sum(_balance("payer_receivable"))} AS payer_open_cents
FROM claim c LEFT JOIN transfer t ON t.claim_number = c.claim_number
GROUP BY c.claim_number""",  # noqa: S608 - constants only
    # One row per claim that was charged, with what the reports add up. `codes` are those billed,
    # with ; between them; `underpaid_cents` and `overpaid_cents` what is off in decisions that
    # stand. `first_pass`: paid as expected by its first decision, which stands. `clean`: neither
    # rejected nor released by a person before it was taken.
    "claim_figures": """CREATE VIEW claim_figures AS
SELECT m.claim_number, g.clinician_id, g.location_id, c.service_date, c.stage,
  COALESCE(p.payer_key, n.payer_key, c.payer_key) AS payer_key,
  COALESCE(p.codes, n.codes, '') AS codes,
  b.first_billed_at,
  m.charge_cents AS billed_cents,
  COALESCE(d.allowed_cents, 0) AS allowed_cents,
  m.paid_cents, m.patient_paid_cents, m.contractual_cents,
  CASE WHEN f.posting = 'denied' THEN m.charge_cents ELSE 0 END AS denied_cents,
  m.payer_open_cents, m.patient_open_cents,
  COALESCE(a.underpaid_cents, 0) AS underpaid_cents,
  COALESCE(a.overpaid_cents, 0) AS overpaid_cents,
  COALESCE(a.recovered_cents, 0) AS recovered_cents,
  CASE WHEN f.posting IS NULL THEN 0 ELSE 1 END AS decided,
  CASE WHEN f.posting = 'denied' THEN 1 ELSE 0 END AS denied,
  CASE WHEN f.posting = 'applied' AND f.reversed_by IS NULL AND NOT EXISTS (
    SELECT 1 FROM audited_line l WHERE l.remittance_id = f.remittance_id
      AND l.claim_position = f.position AND l.shortfall_cents <> 0
  ) THEN 1 ELSE 0 END AS first_pass,
  CASE WHEN EXISTS (
    SELECT 1 FROM acknowledgment k WHERE k.claim_number = m.claim_number AND k.accepted = {false}
  ) OR EXISTS (
    SELECT 1 FROM claim_event e WHERE e.claim_number = m.claim_number AND e.kind = 'decision'
      AND e.at <= t.charged_at
  ) THEN 0 ELSE 1 END AS clean
FROM claim_money m
JOIN claim c ON c.claim_number = m.claim_number
JOIN group_session g ON g.id = c.session_id
JOIN (
  SELECT claim_number, MIN(posted_at) AS charged_at FROM transfer WHERE kind = 'charge'
  GROUP BY claim_number
) t ON t.claim_number = m.claim_number
LEFT JOIN (
  SELECT x.claim_number, MIN(y.sent_at) AS first_billed_at
  FROM batch_claim x JOIN batch y ON y.id = x.batch_id GROUP BY x.claim_number
) b ON b.claim_number = m.claim_number
LEFT JOIN (
  SELECT r.*, ROW_NUMBER() OVER (
    PARTITION BY r.claim_number ORDER BY r.remittance_id, r.position) AS place
  FROM remittance_claim r WHERE r.posting IN ('applied', 'denied')
) f ON f.claim_number = m.claim_number AND f.place = 1
LEFT JOIN (
  SELECT r.claim_number, MIN(r.version) AS version, CAST(SUM(COALESCE(r.allowed_cents,
    r.paid_cents + COALESCE((
      SELECT SUM(j.cents) FROM remittance_adjustment j
      WHERE j.remittance_id = r.remittance_id AND j.claim_position = r.position AND (
        (j.group_code = 'PR' AND j.reason_code IN ('1', '2', '3', '66', '122'))
        OR (j.group_code IN ('CO', 'OA')
            AND j.reason_code IN ('104', '144', '161', '237', '245', '253')))
    ), 0))) AS BIGINT) AS allowed_cents
  FROM remittance_claim r
  WHERE r.posting = 'applied' AND r.reversed_by IS NULL
    AND r.status NOT IN ('2', '3', '20', '21')
  GROUP BY r.claim_number
) d ON d.claim_number = m.claim_number
LEFT JOIN claim_version p ON p.claim_number = m.claim_number AND p.version = d.version
LEFT JOIN claim_version n ON n.claim_number = m.claim_number AND n.version = (
  SELECT MAX(w.version) FROM claim_version w WHERE w.claim_number = m.claim_number
)
LEFT JOIN (
  SELECT l.claim_number,
    CAST(SUM(CASE WHEN r.reversed_by IS NULL AND l.shortfall_cents > 0
      THEN l.shortfall_cents - l.recovered_cents ELSE 0 END) AS BIGINT) AS underpaid_cents,
    CAST(SUM(CASE WHEN r.reversed_by IS NULL AND l.shortfall_cents < 0
      THEN -l.shortfall_cents - l.recovered_cents ELSE 0 END) AS BIGINT) AS overpaid_cents,
    CAST(SUM(CASE WHEN l.shortfall_cents > 0 THEN l.recovered_cents ELSE 0 END) AS BIGINT)
      AS recovered_cents
  FROM audited_line l LEFT JOIN remittance_claim r
    ON r.remittance_id = l.remittance_id AND r.position = l.claim_position
  GROUP BY l.claim_number
) a ON a.claim_number = m.claim_number""",
    # One row per line that a payer underpaid, as long as nothing is known of it but the amount.
    "underpayments": """CREATE VIEW underpayments AS
SELECT l.claim_number, c.service_date, d.payer_key, l.code, l.pattern,
  l.expected_cents, l.allowed_cents, l.shortfall_cents AS underpaid_cents, l.recovered_cents,
  d.id AS dispute_id, d.state
FROM audited_line l
JOIN claim c ON c.claim_number = l.claim_number
JOIN dispute_case d ON d.id = l.case_id
WHERE d.kind = 'underpayment'""",
    # One row per denial. `recovered_cents`: what its claim is paid as things stand, counted with
    # the claim's last denial alone.
    "denial_figures": """CREATE VIEW denial_figures AS
SELECT d.claim_number, d.number, k.payer_key, g.clinician_id, d.cause, k.category, k.prevented_by,
  c.service_date, d.decided_on, d.cents AS denied_cents, d.outcome, d.opened_at, d.concluded_at,
  CASE WHEN d.number = (SELECT MAX(o.number) FROM denial o WHERE o.claim_number = d.claim_number)
    THEN m.paid_cents ELSE 0 END AS recovered_cents
FROM denial d
JOIN denial_case k ON k.id = d.case_id
JOIN claim c ON c.claim_number = d.claim_number
JOIN group_session g ON g.id = c.session_id
JOIN claim_money m ON m.claim_number = d.claim_number""",
} | {
    f"{group}_figures": f"CREATE VIEW {group}_figures AS {figures_by(column)}"
    for group, column in (
        ("payer", "payer_key"),
        ("provider", "clinician_id"),
        ("location", "location_id"),
        ("service_line", "codes"),
    )
}


DASHBOARD_ROLE = "groupclaim_dashboards"
_DASHBOARD_COLUMNS = {
    "payer": "id, payer_id",
    "claim_figures": "clinician_id, location_id, service_date, stage, payer_key, codes, "
    "first_billed_at, billed_cents, allowed_cents, paid_cents, patient_paid_cents, "
    "contractual_cents, denied_cents, payer_open_cents, patient_open_cents, underpaid_cents, "
    "overpaid_cents, recovered_cents, decided, denied, first_pass, clean",
    "denial_figures": "payer_key, clinician_id, cause, category, prevented_by, service_date, "
    "decided_on, denied_cents, outcome, opened_at, concluded_at, recovered_cents",
    "underpayments": "service_date, payer_key, code, pattern, expected_cents, allowed_cents, "
    "underpaid_cents, recovered_cents, dispute_id, state",
}
"""What Grafana may read by SQL: no claim number, no patient, nothing encrypted."""


def dashboard_grants() -> list[str]:
    """The rights of the role that dashboards read PostgreSQL with."""
    return [
        f"GRANT SELECT ({columns}) ON {name} TO {DASHBOARD_ROLE}"
        for name, columns in _DASHBOARD_COLUMNS.items()
    ]


def view_ddl(dialect: str) -> list[str]:
    """The statements that make the views that people, dashboards and the judge read. Rights on a
    view go with it, so the dashboards' role, where there is one, gets its own again."""
    views = [
        text.replace("{false}", "0" if dialect == "sqlite" else "FALSE") for text in VIEWS.values()
    ]
    if dialect == "sqlite":
        return views
    grants = "; ".join(dashboard_grants())
    there = f"to_regrole('{DASHBOARD_ROLE}') IS NOT NULL"
    return [*views, f"DO $$ BEGIN IF {there} THEN {grants}; END IF; END $$"]
