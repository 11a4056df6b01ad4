"""The transition table, version 1, written out by hand: what is not in it changes nothing.

A claim under way keeps the table it was started with. So a change here needs a new table version,
not only a new line: see ``TABLE_VERSION``.
"""

from __future__ import annotations

from typing import Any

import pytest

from groupclaim.lifecycle import events
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import ENDED, TABLE_VERSION, ClaimState, Hold, Stage, Step
from groupclaim.lifecycle.transition import transition
from groupclaim.model.session import Attendance
from tests.lifecycle.telling import DAY, START

WAITING = [
    Stage.ATTENDANCE,
    Stage.READY,
    Stage.SUBMITTED,
    Stage.ACKNOWLEDGED,
    Stage.ACCEPTED,
    Stage.CROSSOVER,
    Stage.PATIENT_BALANCE,
    Stage.VOID,
    Stage.CLOSED,
    Stage.NOT_BILLABLE,
]

HELD_AT = {
    "COVERAGE_INACTIVE": Stage.ELIGIBILITY,
    "COVERAGE_UNKNOWN": Stage.ELIGIBILITY,
    "AUTH_REQUIRED": Stage.AUTHORIZATION,
    "AUTH_EXHAUSTED": Stage.AUTHORIZATION,
    "AUTH_PENDED": Stage.AUTHORIZATION,
    "DUPLICATE_BLOCK": Stage.CLAIM_BUILD,
    "INFORMATION_REQUESTED": Stage.ACCEPTED,
    "NOT_ON_FILE": Stage.SUBMITTED,
    "PAYER_SILENT": Stage.ACCEPTED,
    "AUTH_REFUSED": Stage.AUTHORIZATION,
    "CARVE_OUT": Stage.ELIGIBILITY,
    "MEDICARE_ADVANTAGE": Stage.ELIGIBILITY,
    "NOT_COVERED": Stage.ELIGIBILITY,
    "NO_FEE": Stage.ELIGIBILITY,
    "VISITS_EXHAUSTED": Stage.ELIGIBILITY,
    "REFERRAL_REQUIRED": Stage.ELIGIBILITY,
    "DIAGNOSIS_NOT_COVERED": Stage.ELIGIBILITY,
    "FREQUENCY_EXCEEDED": Stage.ELIGIBILITY,
    "PART2_CONSENT": Stage.ELIGIBILITY,
    "NO_POLICY": Stage.ELIGIBILITY,
    "PAYER_UNREACHABLE": Stage.ELIGIBILITY,
    "AUTH_MISMATCH": Stage.AUTHORIZATION,
    "PLAN_INVALID": Stage.DOCUMENTATION,
    "CLONED_NOTE": Stage.DOCUMENTATION,
    "MEMBER_NAMED": Stage.DOCUMENTATION,
    "EXCLUDED_ACTIVITY": Stage.DOCUMENTATION,
    "GROUP_OF_ONE": Stage.CODING,
    "RENDERING_NOT_PAYABLE": Stage.CODING,
    "NOT_DISTINCT": Stage.CODING,
    "MAC_COVERAGE_REVIEW": Stage.CODING,
    "TELEHEALTH_TABLE_CHECK": Stage.CODING,
    "DUPLICATE": Stage.CODING,
    "CONTRACT_CHECK": Stage.CODING,
    "TIMELY_FILING": Stage.CLAIM_BUILD,
    "PAYMENT_UNPRICED": Stage.PAYMENT_AUDIT,
    "NOTE_UNSIGNED": Stage.DOCUMENTATION,
    "NOTE_INCOMPLETE": Stage.DOCUMENTATION,
    "PROCESS_NOTE": Stage.DOCUMENTATION,
    "CLONE_REVIEW": Stage.ACCEPTED,
    "SESSION_CONFLICT": Stage.CODING,
    "GROUP_SIZE_REVIEW": Stage.CODING,
    "GROUP_SIZE_EXCEEDED": Stage.CODING,
    "LICENCE_NOT_ACCEPTED": Stage.CODING,
    "NO_RATE": Stage.CODING,
    "SAME_DAY_SERVICE": Stage.CODING,
    "CLAIM_REFUSED": Stage.CLAIM_BUILD,
    "REJECTED": Stage.CORRECTION,
    "DENIED": Stage.CORRECTION,
    "APPEALED": Stage.CORRECTION,
    "ATTENDANCE_CHANGED": Stage.VOID,
    "DOCUMENTATION_CHANGED": Stage.VOID,
    "VOID_WAITS": Stage.VOID,
    "VOID_REFUSED": Stage.VOID,
    "VOID_SILENT": Stage.VOID,
    "PAYER_REFUND_DUE": Stage.VOID,
    "UNDERPAYMENT_REVIEW": Stage.UNDERPAYMENT_REVIEW,
    "OVERPAYMENT_REVIEW": Stage.UNDERPAYMENT_REVIEW,
    "COORDINATION_REVIEW": Stage.CROSSOVER,
    "PAYER_ORDER": Stage.CROSSOVER,
    "REFUND_DUE": Stage.PATIENT_BALANCE,
}

OUTSIDE: dict[str, events.Event] = {
    "attended": events.AttendanceRecorded(at=START, attendance="attended"),
    "no show": events.AttendanceRecorded(at=START, attendance="no_show", not_billable="NO_SHOW"),
    "no show, copay paid": events.AttendanceRecorded(
        at=START, attendance="no_show", not_billable="NO_SHOW", prepaid=1500
    ),
    "no show, sent": events.AttendanceRecorded(
        at=START, attendance="no_show", not_billable="NO_SHOW", sent=True
    ),
    "coverage": events.FactLearned(at=START, fact="coverage"),
    "authorization": events.FactLearned(at=START, fact="authorization"),
    "note": events.FactLearned(at=START, fact="note"),
    "attendance": events.FactLearned(at=START, fact="attendance"),
    "note copied": events.FactLearned(at=START, fact="note_copied"),
    "left behind": events.FactLearned(at=START, fact="left_behind"),
    "note withdrawn": events.FactLearned(at=START, fact="note_withdrawn"),
    "note withdrawn, sent": events.FactLearned(at=START, fact="note_withdrawn", sent=True),
    "refund": events.FactLearned(at=START, fact="refund"),
    "submitted": events.Submitted(at=START, version=1),
    "999": events.Acknowledged(at=START, by="999", version=1, accepted=True),
    "999 refused": events.Acknowledged(at=START, by="999", version=1, accepted=False),
    "277CA": events.Acknowledged(at=START, by="277CA", version=1, accepted=True),
    "277CA refused": events.Acknowledged(at=START, by="277CA", version=1, accepted=False),
    "other version refused": events.Acknowledged(at=START, by="277CA", version=2, accepted=False),
    "paid": events.RemittancePosted(at=START, version=1, denied=False),
    "denied": events.RemittancePosted(at=START, version=1, denied=True),
    "patient paid": events.PatientPaid(at=START),
    "deadline": events.DeadlinePassed(at=START),
}

# An outcome is written: stage [-> step] [HOLD].

EVERYWHERE = {
    "no show": "void -> plan_void",
    "no show, copay paid": "void -> plan_void",
    "no show, sent": "void -> plan_void",
    "note withdrawn, sent": "void -> plan_void",
    "note copied": "{stage} [CLONE_REVIEW]",
    "paid": "payment_audit -> audit_payment",
    "deadline": "{stage} -> follow_up",
}
ON_THE_WIRE = {
    "999": "acknowledged",
    "999 refused": "correction -> decide_denial",
    "277CA": "accepted",
    "277CA refused": "correction -> decide_denial",
    "denied": "correction -> decide_denial",
}
ASKED = {**ON_THE_WIRE, "deadline": "{stage} -> ask_status"}
TAKEN_BACK = {"denied": "payment_audit -> audit_payment"}
LOOKED_AT_AGAIN = (
    "attended", "no show", "no show, copay paid", "no show, sent", "note", "note withdrawn, sent",
    "refund", "left behind", "999 refused", "277CA", "277CA refused", "other version refused",
    "paid", "denied", "deadline",
)  # fmt: skip
"""What may change what the payers have of a claim that is taken back."""

AT_STAGE: dict[Stage, dict[str, str]] = {
    Stage.VOID: {**dict.fromkeys(LOOKED_AT_AGAIN, "void -> plan_void"), "note copied": "void"},
    Stage.ATTENDANCE: {"attended": "documentation -> check_documentation"},
    Stage.READY: {
        **ON_THE_WIRE,
        "submitted": "submitted",
        "left behind": "eligibility -> check_eligibility",
    },
    Stage.SUBMITTED: ASKED,
    Stage.ACKNOWLEDGED: ASKED,
    Stage.ACCEPTED: {**ASKED, "999": "accepted"},
    Stage.CROSSOVER: {
        "denied": "correction -> decide_denial",
        "deadline": "crossover -> settle_balance",
    },
    Stage.PATIENT_BALANCE: {**TAKEN_BACK, "patient paid": "patient_balance -> settle_balance"},
    Stage.CLOSED: {**TAKEN_BACK, "patient paid": "closed -> settle_balance", "deadline": "closed"},
    Stage.NOT_BILLABLE: {
        "attended": "eligibility -> check_eligibility",
        "patient paid": "not_billable -> settle_balance",
        "note copied": "not_billable",
        "note withdrawn, sent": "not_billable",
        "paid": "void -> plan_void",
        "denied": "void -> plan_void",
        "deadline": "not_billable",
    },
}
CORRECTED_ATTENDANCE = {
    **{
        stage: {"attended": "documentation -> check_documentation"}
        for stage in (Stage.DOCUMENTATION, Stage.CODING, Stage.CLAIM_BUILD, Stage.READY)
    },
    **{
        stage: {"attended": "{stage} -> settle_balance"}
        for stage in (Stage.PATIENT_BALANCE, Stage.UNDERPAYMENT_REVIEW, Stage.CLOSED)
    },
}
NOTE_WITHDRAWN = {
    stage: {"note withdrawn": "documentation -> check_documentation"}
    for stage in (Stage.DOCUMENTATION, Stage.CODING, Stage.CLAIM_BUILD, Stage.READY)
}
OTHER_COVERAGE = (
    {
        stage: {"coverage": "eligibility -> check_eligibility"}
        for stage in (Stage.AUTHORIZATION, Stage.ATTENDANCE, Stage.DOCUMENTATION, Stage.CODING)
    }
    | {
        stage: {"coverage": "{stage} -> settle_balance"}
        for stage in (Stage.CROSSOVER, Stage.PATIENT_BALANCE, Stage.CLOSED)
    }
    | {
        Stage.READY: {
            "coverage": "ready -> queue_claim",
            "authorization": "ready -> queue_claim",
        }
    }
)
AGAIN = {
    Step.CHECK_ELIGIBILITY: "eligibility -> check_eligibility",
    Step.CHECK_AUTHORIZATION: "authorization -> check_authorization",
    Step.CHECK_DOCUMENTATION: "documentation -> check_documentation",
    Step.CHECK_CODING: "coding -> check_coding",
    Step.BUILD_CLAIM: "claim_build -> build_claim",
    Step.DECIDE_DENIAL: "correction -> decide_denial",
    Step.AUDIT_PAYMENT: "payment_audit -> audit_payment",
    Step.SETTLE_BALANCE: "underpayment_review -> settle_balance",
}
UNDER_HOLD: dict[str, dict[str, str]] = {
    "DUPLICATE_BLOCK": {"deadline": "claim_build -> build_claim [DUPLICATE_BLOCK]"},
    "INFORMATION_REQUESTED": {**ON_THE_WIRE, "999": "accepted [INFORMATION_REQUESTED]"},
    "PAYER_SILENT": {**ON_THE_WIRE, "999": "accepted [PAYER_SILENT]"},
    "NOT_ON_FILE": ON_THE_WIRE,
    "COVERAGE_INACTIVE": {"coverage": "eligibility -> check_eligibility"},
    "COVERAGE_UNKNOWN": {"coverage": "eligibility -> check_eligibility"},
    "AUTH_REQUIRED": {"authorization": "authorization -> check_authorization"},
    "AUTH_EXHAUSTED": {"authorization": "authorization -> check_authorization"},
    "AUTH_REFUSED": {"authorization": "authorization -> check_authorization"},
    "AUTH_PENDED": {
        "authorization": "authorization -> check_authorization",
        "deadline": "authorization -> check_authorization [AUTH_PENDED]",
    },
    "NOTE_UNSIGNED": {"note": "documentation -> check_documentation"},
    "NOTE_INCOMPLETE": {"note": "documentation -> check_documentation"},
    "PROCESS_NOTE": {"note": "documentation -> check_documentation"},
    "SESSION_CONFLICT": {"attendance": "coding -> check_coding"},
    "GROUP_SIZE_REVIEW": {"attendance": "coding -> check_coding"},
    "GROUP_SIZE_EXCEEDED": {"attendance": "coding -> check_coding"},
    **{
        code: {"coverage": "eligibility -> check_eligibility"}
        for code in (
            "CARVE_OUT",
            "MEDICARE_ADVANTAGE",
            "NOT_COVERED",
            "VISITS_EXHAUSTED",
            "REFERRAL_REQUIRED",
            "DIAGNOSIS_NOT_COVERED",
            "PART2_CONSENT",
            "NO_POLICY",
            "PAYER_UNREACHABLE",
        )
    },
    "FREQUENCY_EXCEEDED": {"authorization": "eligibility -> check_eligibility"},
    "AUTH_MISMATCH": {"authorization": "authorization -> check_authorization"},
    **{
        code: {"note": "documentation -> check_documentation"}
        for code in ("PLAN_INVALID", "MEMBER_NAMED", "EXCLUDED_ACTIVITY")
    },
    "CLONED_NOTE": {
        "note": "documentation -> check_documentation",
        "note copied": "documentation [CLONED_NOTE]",
    },
    "CLONE_REVIEW": {
        "paid": "payment_audit -> audit_payment [CLONE_REVIEW]",
        "999 refused": "correction -> decide_denial [CLONE_REVIEW]",
        "277CA refused": "correction -> decide_denial [CLONE_REVIEW]",
        "denied": "correction -> decide_denial [CLONE_REVIEW]",
    },
    "GROUP_OF_ONE": {"attendance": "coding -> check_coding"},
    "NOT_DISTINCT": {"note": "coding -> check_coding"},
    "RENDERING_NOT_PAYABLE": {},
    "NO_FEE": {},
    "MAC_COVERAGE_REVIEW": {},
    "TELEHEALTH_TABLE_CHECK": {},
    "DUPLICATE": {},
    "CONTRACT_CHECK": {},
    "TIMELY_FILING": {},
    "PAYMENT_UNPRICED": TAKEN_BACK,
    "LICENCE_NOT_ACCEPTED": {},
    "NO_RATE": {},
    "SAME_DAY_SERVICE": {},
    "CLAIM_REFUSED": {},
    "REJECTED": {},
    "DENIED": {"authorization": "correction -> decide_denial"},
    "APPEALED": {"authorization": "correction -> decide_denial"},
    **{
        code: {
            **dict.fromkeys(LOOKED_AT_AGAIN, f"void -> plan_void [{code}]"),
            "note copied": f"void [{code}]",
        }
        for code, kind in HOLDS.items()
        if kind.redo is Step.PLAN_VOID
    },
    "UNDERPAYMENT_REVIEW": TAKEN_BACK,
    "OVERPAYMENT_REVIEW": TAKEN_BACK,
    **{
        code: {
            "denied": "correction -> decide_denial",
            "coverage": f"crossover [{code}]",
        }
        for code in ("COORDINATION_REVIEW", "PAYER_ORDER")
    },
    "REFUND_DUE": {
        **TAKEN_BACK,
        "patient paid": "patient_balance -> settle_balance",
        "coverage": "patient_balance [REFUND_DUE]",
    },
}
RELEASED = {
    "DUPLICATE_BLOCK": AGAIN[Step.BUILD_CLAIM],
    "NOT_ON_FILE": AGAIN[Step.BUILD_CLAIM],
    "INFORMATION_REQUESTED": "accepted -> ask_status",
    "PAYER_SILENT": "accepted -> ask_status",
    **dict.fromkeys(
        (
            "CARVE_OUT",
            "MEDICARE_ADVANTAGE",
            "NOT_COVERED",
            "VISITS_EXHAUSTED",
            "REFERRAL_REQUIRED",
            "DIAGNOSIS_NOT_COVERED",
            "FREQUENCY_EXCEEDED",
            "PART2_CONSENT",
            "NO_POLICY",
            "PAYER_UNREACHABLE",
        ),
        AGAIN[Step.CHECK_ELIGIBILITY],
    ),
    "AUTH_MISMATCH": AGAIN[Step.CHECK_AUTHORIZATION],
    "NO_FEE": AGAIN[Step.CHECK_ELIGIBILITY],
    **dict.fromkeys(
        ("PLAN_INVALID", "CLONED_NOTE", "MEMBER_NAMED", "EXCLUDED_ACTIVITY"),
        AGAIN[Step.CHECK_DOCUMENTATION],
    ),
    **dict.fromkeys(
        (
            "GROUP_OF_ONE",
            "RENDERING_NOT_PAYABLE",
            "NOT_DISTINCT",
            "MAC_COVERAGE_REVIEW",
            "TELEHEALTH_TABLE_CHECK",
            "DUPLICATE",
            "CONTRACT_CHECK",
        ),
        AGAIN[Step.CHECK_CODING],
    ),
    "TIMELY_FILING": AGAIN[Step.BUILD_CLAIM],
    "PAYMENT_UNPRICED": AGAIN[Step.AUDIT_PAYMENT],
    "COVERAGE_INACTIVE": AGAIN[Step.CHECK_ELIGIBILITY],
    "COVERAGE_UNKNOWN": AGAIN[Step.CHECK_ELIGIBILITY],
    "AUTH_REQUIRED": AGAIN[Step.CHECK_AUTHORIZATION],
    "AUTH_EXHAUSTED": AGAIN[Step.CHECK_AUTHORIZATION],
    "AUTH_PENDED": AGAIN[Step.CHECK_AUTHORIZATION],
    "AUTH_REFUSED": AGAIN[Step.CHECK_AUTHORIZATION],
    "NOTE_UNSIGNED": AGAIN[Step.CHECK_DOCUMENTATION],
    "NOTE_INCOMPLETE": AGAIN[Step.CHECK_DOCUMENTATION],
    "PROCESS_NOTE": AGAIN[Step.CHECK_DOCUMENTATION],
    "CLONE_REVIEW": "accepted",
    "SESSION_CONFLICT": AGAIN[Step.CHECK_CODING],
    "GROUP_SIZE_REVIEW": AGAIN[Step.CHECK_CODING],
    "GROUP_SIZE_EXCEEDED": AGAIN[Step.CHECK_CODING],
    "LICENCE_NOT_ACCEPTED": AGAIN[Step.CHECK_CODING],
    "NO_RATE": AGAIN[Step.CHECK_CODING],
    "SAME_DAY_SERVICE": AGAIN[Step.CHECK_CODING],
    "CLAIM_REFUSED": AGAIN[Step.BUILD_CLAIM],
    "REJECTED": AGAIN[Step.CHECK_ELIGIBILITY],
    "DENIED": AGAIN[Step.DECIDE_DENIAL],
    "APPEALED": AGAIN[Step.DECIDE_DENIAL],
    **dict.fromkeys(
        (
            "ATTENDANCE_CHANGED",
            "DOCUMENTATION_CHANGED",
            "VOID_WAITS",
            "VOID_REFUSED",
            "VOID_SILENT",
            "PAYER_REFUND_DUE",
        ),
        "void -> plan_void",
    ),
    "UNDERPAYMENT_REVIEW": AGAIN[Step.SETTLE_BALANCE],
    "OVERPAYMENT_REVIEW": AGAIN[Step.SETTLE_BALANCE],
    "COORDINATION_REVIEW": AGAIN[Step.BUILD_CLAIM],
    "PAYER_ORDER": AGAIN[Step.CHECK_ELIGIBILITY],
    "REFUND_DUE": "patient_balance -> settle_balance",
}

HELD = events.Held(code="NO_RATE", releasable=True)
RESULTS: list[tuple[Step, Stage, events.Event, str]] = [
    (Step.CHECK_ELIGIBILITY, Stage.ELIGIBILITY, events.EligibilityChecked(at=START),
     "authorization -> check_authorization"),
    (Step.CHECK_ELIGIBILITY, Stage.ELIGIBILITY, events.EligibilityChecked(at=START, self_pay=True),
     "attendance"),
    (Step.CHECK_ELIGIBILITY, Stage.ELIGIBILITY, events.EligibilityChecked(at=START, held=HELD),
     "eligibility [NO_RATE]"),
    (Step.CHECK_AUTHORIZATION, Stage.AUTHORIZATION, events.AuthorizationChecked(at=START),
     "attendance"),
    (Step.CHECK_AUTHORIZATION, Stage.AUTHORIZATION,
     events.AuthorizationChecked(at=START, held=HELD), "authorization [NO_RATE]"),
    (Step.CHECK_DOCUMENTATION, Stage.DOCUMENTATION, events.DocumentationChecked(at=START),
     "coding -> check_coding"),
    (Step.CHECK_DOCUMENTATION, Stage.DOCUMENTATION,
     events.DocumentationChecked(at=START, held=HELD), "documentation [NO_RATE]"),
    (Step.CHECK_CODING, Stage.CODING, events.CodingChecked(at=START), "claim_build -> build_claim"),
    (Step.CHECK_CODING, Stage.CODING, events.CodingChecked(at=START, held=HELD),
     "coding [NO_RATE]"),
    (Step.BUILD_CLAIM, Stage.CLAIM_BUILD, events.ClaimBuilt(at=START, version=1),
     "ready -> queue_claim"),
    (Step.BUILD_CLAIM, Stage.CLAIM_BUILD, events.ClaimBuilt(at=START, held=HELD),
     "claim_build [NO_RATE]"),
    (Step.QUEUE_CLAIM, Stage.READY, events.ClaimQueued(at=START), "ready"),
    (Step.QUEUE_CLAIM, Stage.READY, events.ClaimQueued(at=START, stale=True),
     "eligibility -> check_eligibility"),
    (Step.DECIDE_DENIAL, Stage.CORRECTION, events.DenialDecided(at=START), "correction [DENIED]"),
    (Step.DECIDE_DENIAL, Stage.CORRECTION, events.DenialDecided(at=START, held=HELD),
     "correction [NO_RATE]"),
    (Step.DECIDE_DENIAL, Stage.CORRECTION,
     events.DenialDecided(at=START, correction="x", restart=Step.CHECK_ELIGIBILITY),
     "eligibility -> check_eligibility"),
    (Step.DECIDE_DENIAL, Stage.CORRECTION,
     events.DenialDecided(at=START, correction="x", restart=Step.CHECK_CODING, frequency="7"),
     "coding -> check_coding"),
    (Step.AUDIT_PAYMENT, Stage.PAYMENT_AUDIT,
     events.PaymentAudited(at=START, outcome="as_expected"), "payment_audit -> settle_balance"),
    (Step.AUDIT_PAYMENT, Stage.PAYMENT_AUDIT,
     events.PaymentAudited(at=START, outcome="underpaid"), "payment_audit -> settle_balance"),
    (Step.AUDIT_PAYMENT, Stage.PAYMENT_AUDIT,
     events.PaymentAudited(at=START, outcome="overpaid"), "payment_audit [OVERPAYMENT_REVIEW]"),
    (Step.AUDIT_PAYMENT, Stage.PAYMENT_AUDIT,
     events.PaymentAudited(at=START, outcome="unpriced"), "payment_audit [PAYMENT_UNPRICED]"),
    (Step.AUDIT_PAYMENT, Stage.PAYMENT_AUDIT,
     events.PaymentAudited(at=START, outcome="reversed", due_at=START), "accepted"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=0, patient_open=0), "closed"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=0, patient_open=1), "patient_balance"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=1, patient_open=1),
     "underpayment_review [UNDERPAYMENT_REVIEW]"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=-1, patient_open=1),
     "underpayment_review [OVERPAYMENT_REVIEW]"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=0, patient_open=-1),
     "patient_balance [REFUND_DUE]"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=0, patient_open=1, charge_card=True),
     "patient_balance -> charge_card"),
    (Step.CHARGE_CARD, Stage.PATIENT_BALANCE, events.CardCharged(at=START, outcome="charged"),
     "patient_balance -> settle_balance"),
    (Step.CHARGE_CARD, Stage.PATIENT_BALANCE, events.CardCharged(at=START, outcome="declined"),
     "patient_balance"),
    (Step.CHARGE_CARD, Stage.PATIENT_BALANCE, events.CardCharged(at=START, outcome="not_charged"),
     "patient_balance"),
    (Step.CHARGE_CARD, Stage.PATIENT_BALANCE, events.CardCharged(at=START, outcome="announced"),
     "patient_balance"),
    (Step.SETTLE_BALANCE, Stage.NOT_BILLABLE,
     events.BalanceSettled(at=START, payer_open=0, patient_open=-1), "not_billable [REFUND_DUE]"),
    (Step.SETTLE_BALANCE, Stage.NOT_BILLABLE,
     events.BalanceSettled(at=START, payer_open=0, patient_open=0), "not_billable"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=0, patient_open=1, next_payer="bill", payer=2),
     "claim_build -> build_claim"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=0, patient_open=1, next_payer="crossover", payer=2),
     "crossover"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=0, patient_open=1, next_payer="await", payer=2),
     "accepted"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=0, patient_open=1, next_payer="changed", payer=2),
     "crossover [COORDINATION_REVIEW]"),
    (Step.SETTLE_BALANCE, Stage.PAYMENT_AUDIT,
     events.BalanceSettled(at=START, payer_open=0, patient_open=1, next_payer="wrong_order"),
     "crossover [PAYER_ORDER]"),
    (Step.SETTLE_BALANCE, Stage.NOT_BILLABLE,
     events.BalanceSettled(at=START, payer_open=1, patient_open=0),
     "not_billable [UNDERPAYMENT_REVIEW]"),
    (Step.PLAN_VOID, Stage.VOID, events.VoidPlanned(at=START, next="hold", held=HELD),
     "void [NO_RATE]"),
    (Step.PLAN_VOID, Stage.VOID, events.VoidPlanned(at=START, next="wait", due_at=START), "void"),
    (Step.PLAN_VOID, Stage.VOID, events.VoidPlanned(at=START, next="send"),
     "void -> build_claim"),
    (Step.BUILD_CLAIM, Stage.VOID, events.ClaimBuilt(at=START, version=2), "void -> queue_claim"),
    (Step.BUILD_CLAIM, Stage.VOID, events.ClaimBuilt(at=START, held=HELD), "void [NO_RATE]"),
    (Step.QUEUE_CLAIM, Stage.VOID, events.ClaimQueued(at=START), "void"),
    (Step.PLAN_VOID, Stage.VOID, events.VoidPlanned(at=START, next="done", reason="NO_SHOW"),
     "not_billable -> settle_balance"),
    (Step.PLAN_VOID, Stage.VOID, events.VoidPlanned(at=START, next="done", rebill=True),
     "eligibility -> check_eligibility"),
    (Step.PLAN_VOID, Stage.VOID,
     events.VoidPlanned(at=START, next="stands", restart=Step.AUDIT_PAYMENT),
     "payment_audit -> audit_payment"),
    (Step.PLAN_VOID, Stage.VOID,
     events.VoidPlanned(at=START, next="stands", stage=Stage.SUBMITTED), "submitted"),
    (Step.FOLLOW_UP, Stage.ACCEPTED, events.FollowedUp(at=START), "accepted"),
    (Step.ASK_STATUS, Stage.ACCEPTED, events.StatusAsked(at=START), "accepted"),
    (Step.ASK_STATUS, Stage.SUBMITTED, events.StatusAsked(at=START, held=HELD),
     "submitted [NO_RATE]"),
]  # fmt: skip


def written(state: ClaimState, effects: tuple[Step, ...]) -> str:
    parts = [state.stage.value]
    parts += [f"-> {step.value}" for step in effects]
    parts += [f"[{state.hold.code}]"] if state.hold else []
    return " ".join(parts)


def at(stage: Stage) -> ClaimState:
    return ClaimState(
        claim_number="GC0000000000X",
        sequence=9,
        version=1,
        stage=stage,
        since=START - DAY,
        due_at=None if stage in ENDED else START,
    )


def under(code: str, releasable: bool = True) -> ClaimState:
    hold = Hold(code=code, redo=HOLDS[code].redo, since=START - DAY, releasable=releasable)
    return at(HELD_AT[code]).model_copy(update={"hold": hold})


def test_the_table_is_version_1() -> None:
    assert TABLE_VERSION == 1


@pytest.mark.parametrize("stage", WAITING)
def test_what_happens_at_a_stage(stage: Stage) -> None:
    expected = {
        **dict.fromkeys(OUTSIDE, "{stage}"),
        **EVERYWHERE,
        **AT_STAGE[stage],
        **CORRECTED_ATTENDANCE.get(stage, {}),
        **OTHER_COVERAGE.get(stage, {}),
        **NOTE_WITHDRAWN.get(stage, {}),
    }
    assert {told: written(*transition(at(stage), event)) for told, event in OUTSIDE.items()} == {
        told: outcome.format(stage=stage.value) for told, outcome in expected.items()
    }


@pytest.mark.parametrize("code", list(HOLDS))
def test_what_happens_under_a_hold(code: str) -> None:
    stage = HELD_AT[code]
    expected = {
        **dict.fromkeys(OUTSIDE, f"{{stage}} [{code}]"),
        **{told: f"{to} [{code}]" for told, to in AT_STAGE.get(stage, {}).items()},
        **EVERYWHERE,
        "deadline": f"{{stage}} -> follow_up [{code}]",
        **CORRECTED_ATTENDANCE.get(stage, {}),
        **OTHER_COVERAGE.get(stage, {}),
        **NOTE_WITHDRAWN.get(stage, {}),
        **UNDER_HOLD[code],
    }
    assert {told: written(*transition(under(code), event)) for told, event in OUTSIDE.items()} == {
        told: outcome.format(stage=stage.value) for told, outcome in expected.items()
    }


@pytest.mark.parametrize("code", list(HOLDS))
def test_a_release(code: str) -> None:
    release = events.HoldReleased(at=START, code=code)
    assert written(*transition(under(code), release)) == RELEASED[code]
    standing = f"{HELD_AT[code]} [{code}]"
    assert written(*transition(under(code, releasable=False), release)) == standing
    other = next(other for other in HOLDS if other != code)
    wrong = events.HoldReleased(at=START, code=other)
    assert written(*transition(under(code), wrong)) == standing


@pytest.mark.parametrize(("step", "stage", "result", "outcome"), RESULTS)
def test_what_follows_a_step(step: Step, stage: Stage, result: events.Event, outcome: str) -> None:
    under_way = at(stage).model_copy(update={"resume": step, "due_at": None})
    assert written(*transition(under_way, result)) == outcome


def test_a_pended_authorization_keeps_the_day_since_when_it_is_awaited() -> None:
    pended = events.Held(code="AUTH_PENDED", releasable=False)
    held, _ = transition(
        at(Stage.AUTHORIZATION).model_copy(
            update={"resume": Step.CHECK_AUTHORIZATION, "due_at": None}
        ),
        events.AuthorizationChecked(at=START, held=pended, due_at=START + DAY),
    )
    asked, effects = transition(held, events.DeadlinePassed(at=START + DAY))
    assert effects == (Step.CHECK_AUTHORIZATION,)
    again, _ = transition(
        asked,
        events.AuthorizationChecked(at=START + DAY, held=pended, due_at=START + 2 * DAY),
    )
    assert again.hold is not None
    assert (again.hold.since, again.follow_ups, again.due_at) == (START, 1, START + 2 * DAY)
    granted, _ = transition(
        again.model_copy(update={"resume": Step.CHECK_AUTHORIZATION}),
        events.AuthorizationChecked(at=START + 2 * DAY),
    )
    assert written(granted, ()) == "attendance"


def test_after_the_authorization_comes_the_note_when_attendance_is_known() -> None:
    under_way = at(Stage.AUTHORIZATION).model_copy(
        update={"resume": Step.CHECK_AUTHORIZATION, "attendance": Attendance.ATTENDED}
    )
    checked = events.AuthorizationChecked(at=START)
    assert written(*transition(under_way, checked)) == "documentation -> check_documentation"


def test_every_step_and_every_stage_is_in_the_table() -> None:
    assert {step for step, *_ in RESULTS} == set(Step)
    assert {*WAITING, *HELD_AT.values(), *(stage for _, stage, *_ in RESULTS)} == set(Stage)


# --- a denial that is being worked under a number


def denied(number: int = 2, **changes: Any) -> ClaimState:
    return under("DENIED").model_copy(
        update={"denial": number, "cause": "CO-197", "version": 1} | changes
    )


WORKED: list[tuple[events.DenialAdvanced, str, int]] = [
    (events.DenialAdvanced(at=START, denial=2, held=events.Held(code="APPEALED", releasable=True)),
     "correction [APPEALED]", 2),
    (events.DenialAdvanced(at=START, denial=2, correction="review_coding",
                           restart=Step.CHECK_CODING, frequency="7"), "coding -> check_coding", 0),
    (events.DenialAdvanced(at=START, denial=2, settled=True), "correction -> settle_balance", 0),
    (events.DenialAdvanced(at=START, denial=1, settled=True), "correction [DENIED]", 2),
    (events.DenialAdvanced(at=START, denial=0, settled=True), "correction [DENIED]", 2),
]  # fmt: skip


@pytest.mark.parametrize(("event", "expected", "number"), WORKED)
def test_what_becomes_of_a_denial(event: events.DenialAdvanced, expected: str, number: int) -> None:
    state, effects = transition(denied(), event)
    assert written(state, effects) == expected
    assert state.denial == number


def test_a_persons_correction_of_a_denial_is_not_sent_twice() -> None:
    before = denied(corrections=("CO-197:review_coding",))
    state, effects = transition(before, WORKED[1][0])
    assert written(state, effects) == "correction [DENIED]"


def test_a_payers_next_decision_on_a_denied_claim_is_decided_and_a_payment_ends_it() -> None:
    again = events.RemittancePosted(at=START, version=1, denied=True, cause="CO-193")
    state, effects = transition(denied(), again)
    assert written(state, effects) == "correction -> decide_denial"
    assert (state.denial, state.cause) == (2, "CO-193")
    other, effects = transition(denied(0), again)
    assert written(other, effects) == "correction [DENIED]"
    paid, effects = transition(denied(), again.model_copy(update={"denied": False}))
    assert written(paid, effects) == "payment_audit -> audit_payment"
    assert paid.denial == 0
