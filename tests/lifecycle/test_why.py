"""Whatever a claim waits for, all five questions have an answer, and a true one."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import ClaimState, Hold, Stage
from groupclaim.lifecycle.why import Suspended, why
from tests.lifecycle.telling import START

DUE = START + timedelta(days=3)
WHO = {
    "front desk", "utilization review", "payer", "contract owner", "clinician", "privacy",
    "supervisor", "credentialing", "coder", "biller", "clearinghouse",
}  # fmt: skip
NOT_YET_SENT = ("eligibility", "authorization", "attendance", "documentation", "coding",
                "claim_build", "ready", "correction")  # fmt: skip


def held(code: str, stage: Stage, **changes: object) -> ClaimState:
    hold = Hold(code=code, redo=HOLDS[code].redo, since=START, releasable=True)
    state = ClaimState(claim_number="GC0000000000X", stage=stage, hold=hold, due_at=DUE)
    return state.model_copy(update=changes)


@pytest.mark.parametrize(("code", "stage"), list(product(sorted(HOLDS), Stage)))
def test_every_hold_at_every_stage_answers_all_five(code: str, stage: Stage) -> None:
    answers = why(held(code, stage))
    assert answers.waiting_for.startswith(f"{code}: ")
    who, _, what = answers.waiting_for.removeprefix(f"{code}: ").partition(": ")
    assert who in WHO
    assert what
    assert answers.since == START
    assert answers.next_at == DUE
    assert answers.next_step.startswith(("a reminder", "the payer is asked again"))
    released_by, _, repair = answers.released_by.partition(". ")
    assert released_by
    assert repair
    runs = "filing limit" in answers.otherwise
    assert runs == (stage in NOT_YET_SENT and code != "REFUND_DUE")


def test_a_silent_payer_that_has_paid_into_suspense_is_not_what_it_waits_for() -> None:
    payment = Suspended(remittance_id=40, trace="T1", paid="78.01")
    answers = why(held("PAYER_SILENT", Stage.ACCEPTED), [payment])
    assert answers.waiting_for.endswith(
        "; a payment that names it stands in suspense: 78.01 under trace T1 (remittance 40)"
    )
    assert answers.released_by.startswith(
        "the payment in suspense, once it is cleared (`groupclaim suspense show 40`); or release to"
    )
    assert answers.since == START


def test_without_a_date_it_says_that_nothing_comes_by_itself() -> None:
    answers = why(held("NO_FEE", Stage.ELIGIBILITY, due_at=None))
    assert (answers.next_step, answers.next_at) == ("none: a person decides", None)


def test_a_denial_that_is_worked_names_its_own_limit() -> None:
    answers = why(held("DENIED", Stage.CORRECTION, denial=2))
    assert answers.next_step == "a reminder before the limit to correct or appeal"
    assert answers.otherwise.endswith("the limit to correct or appeal the denial runs")


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_without_a_hold_answers_all_five(stage: Stage) -> None:
    state = ClaimState(claim_number="GC0000000000X", stage=stage, since=START, due_at=DUE)
    answers = why(state)
    assert all((answers.waiting_for, answers.next_step, answers.released_by, answers.otherwise))
    assert answers.since == START
    if stage is Stage.CROSSOVER:
        assert answers.otherwise.startswith("the claim goes to the next payer")
