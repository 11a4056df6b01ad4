"""The denial engine: scenarios 14 to 16 of the field's worked examples, and what always holds."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.lifecycle.state import Step
from groupclaim.model.claim import ClaimLine, ClaimVersion
from groupclaim.model.money import Cents
from groupclaim.policy.playbook import Evidence, Playbook
from groupclaim.rules.coding import Coded, code_claim
from groupclaim.rules.denials import DenialDecision, Denied, decide_denial
from groupclaim.rules.holding import held
from tests.rules.made import SCHEDULE, authorization, facts, parties, policy

BOOK = Playbook.load()
ON_FILE = facts(authorizations=(authorization(),))


def decide(cause: str | None, the_facts: Any = None, name: str = "commercial", **known: Any) -> Any:
    decision = decide_denial(Denied(cause=cause, **known), the_facts or facts(), policy(name), BOOK)
    # a decision is a correction or a hold, and its findings say the same
    found = held(decision.findings)
    assert (decision.correction is None) == (decision.held is not None)
    assert (found.code if found else None) == decision.held
    assert found is None or found.releasable
    assert decision.playbook == BOOK.version
    return decision


def in_short(decision: DenialDecision) -> tuple[str | None, Step | None, str]:
    return decision.correction, decision.restart, decision.frequency


def coded(**changes: Any) -> Coded:
    return code_claim(facts(**changes), policy(), SCHEDULE, "F331")


def sent(like: Coded, **changes: Any) -> ClaimVersion:
    lines = tuple(
        ClaimLine(line_control_number=f"L{place}", **(dict(line) | changes.pop("line", {})))
        for place, line in enumerate(like.lines, 1)
    )
    values = {
        "claim_number": "GC0000000000X",
        "version": 1,
        "control_number": "GC0000000000XA",
        "parties": parties(),
        "frequency": "1",
        "diagnoses": like.diagnoses,
        "place_of_service": like.place_of_service,
        "lines": lines,
    }
    return ClaimVersion.model_validate(values | changes)


# --- rejections


def test_scenario_14_an_unknown_member_id_is_asked_for_and_sent_anew() -> None:
    """277CA A7, invalid member id: the id is corrected and frequency 1 sent again."""
    decision = decide("277CA:A7:164")
    assert in_short(decision) == ("verify_member_id", Step.CHECK_ELIGIBILITY, "1")


@pytest.mark.parametrize("frequency", ["7", "8"])
def test_a_rejected_replacement_or_void_goes_again_as_what_it_was(frequency: str) -> None:
    """The payer holds the claim that it names: as an original it would be a duplicate (CO-18)."""
    version = sent(coded(), frequency=frequency, original_reference="ICN1")
    decision = decide("277CA:A7:164", sent=version)
    assert in_short(decision) == ("verify_member_id", Step.CHECK_ELIGIBILITY, frequency)


@pytest.mark.parametrize("cause", ["277CA:A7:164", "277CA:A3:33", "277CA:A7:97"])
def test_a_member_problem_is_corrected_once(cause: str) -> None:
    assert decide(cause).correction == "verify_member_id"
    assert decide(cause, tried=(f"{cause}:verify_member_id",)).held == "REJECTED"


@pytest.mark.parametrize(
    "cause", ["277CA:A7:562", "277CA:A3:21", "999:R", "TA1:R", "refused", "277CA", "", None]
)
def test_any_other_rejection_waits_for_a_biller(cause: str | None) -> None:
    assert decide(cause, ON_FILE).held == "REJECTED"


# --- authorization


def test_scenario_15_an_authorization_on_file_is_added_to_a_replacement() -> None:
    """CO-197 with an authorization on file: frequency 7, REF*F8, REF*G1."""
    decision = decide("CO-197", ON_FILE)
    assert in_short(decision) == ("add_authorization", Step.CHECK_AUTHORIZATION, "7")
    assert decision.rule == "denial:197:add_authorization"
    assert decision.findings[0].source.version == BOOK.version


def test_scenario_16_without_one_it_is_asked_for_then_appealed_then_written_off() -> None:
    """CO-197 and no authorization existed: afterwards, appeal, write-off; never the patient."""
    first = decide("CO-197")
    assert (first.action, first.who, first.held) == (
        "ask_authorization", "utilization review", "DENIED",
    )  # fmt: skip
    assert first.offers == ("appeal", "write_off")
    assert first.prevented_by == "AUTH_REQUIRED"
    refused = decide("CO-197", done=("ask_authorization",), days_to_appeal=100)
    assert (refused.action, refused.level, refused.people) == ("appeal", 1, 1)
    assert refused.missing == ("authorization",)
    lost = decide("CO-197", done=("ask_authorization",), appeals=1, cents=Cents(6000))
    assert (lost.action, lost.offers) == ("write_off", ())
    for decision in (first, refused, lost):
        assert "bill_patient" not in (decision.action, *decision.offers)
        assert "the patient owes nothing" in decision.findings[0].sentence


@pytest.mark.parametrize("cause", ["CO-15", "CO-197", "CO-198", "PI-197", "CO-284", "CO-296"])
def test_authorization_denials_are_cured_by_one_that_fits(cause: str) -> None:
    used_up = facts(authorizations=(authorization(used=12),))
    if cause != "CO-198":  # more was given than authorized: more units are asked for first
        assert decide(cause, ON_FILE, "texas-medicaid").frequency == "7"
    assert decide(cause).action == "ask_authorization"
    assert decide(cause, used_up).action == "ask_authorization"


def test_the_same_authorization_is_not_sent_again() -> None:
    version = sent(coded(), prior_authorization="AUTH1")
    assert decide("CO-197", ON_FILE, sent=version).held == "DENIED"
    other = sent(coded(), prior_authorization="OLDER")
    assert decide("CO-197", ON_FILE, sent=other).correction == "add_authorization"


def test_no_correction_is_tried_twice() -> None:
    tried = ("CO-197:add_authorization",)
    assert decide("CO-197", ON_FILE, tried=tried).held == "DENIED"
    # another cause is another matter
    assert decide("CO-15", ON_FILE, tried=tried).correction == "add_authorization"
    # but a claim is mended only so often
    assert decide("CO-15", ON_FILE, tried=("a:b", "c:d", "e:f")).held == "DENIED"


def test_medicare_never_takes_a_replacement() -> None:
    assert decide("CO-197", ON_FILE, "medicare-part-b").held == "DENIED"
    unprocessable = decide("CO-197", ON_FILE, "medicare-part-b", remarks=("M62", "MA130"))
    assert in_short(unprocessable) == ("add_authorization", Step.CHECK_AUTHORIZATION, "1")
    # and what could not be processed has no appeal: only what a person mends
    unmended = decide("CO-4", None, "medicare-part-b", remarks=("MA130",))
    assert (unmended.action, unmended.offers) == ("review_coding", ("write_off",))


def test_what_medicare_has_decided_is_not_sent_again_as_if_it_were_new() -> None:
    """T8: a finalized claim is reopened or appealed; sent again it is a duplicate. So nobody is
    asked whether to send it, unless the payer could not process it or takes replacements."""
    decided = decide("CO-4", None, "medicare-part-b")
    assert (decided.action, decided.restart) == ("review_coding", None)
    unprocessable = decide("CO-4", None, "medicare-part-b", remarks=("MA130",))
    assert (unprocessable.restart, unprocessable.frequency) == (Step.CHECK_CODING, "1")
    replaced = decide("CO-4", None)
    assert (replaced.restart, replaced.frequency) == (Step.CHECK_CODING, "7")


def test_a_person_is_not_asked_to_send_again_what_the_claim_would_refuse() -> None:
    """The same way for the same cause, or a fourth time: the claim would only be held again."""
    assert decide("CO-4", None, tried=("CO-4:review_coding",)).restart is None
    assert decide("CO-4", None, tried=("a:b", "c:d", "e:f")).restart is None
    assert decide("CO-4", None, tried=("CO-5:review_coding",)).restart == Step.CHECK_CODING


def test_a_correction_that_comes_too_late_is_not_sent() -> None:
    assert decide("CO-197", ON_FILE, days_to_correct=0).correction == "add_authorization"
    late = decide("CO-197", ON_FILE, days_to_correct=-1)
    assert late.held == "DENIED"
    assert "The time to correct it has passed." in late.findings[0].sentence


# --- coding, place, payer, member


def test_a_modifier_is_corrected_when_coding_gives_another_by_now() -> None:
    now = coded()
    before = sent(now, line={"modifiers": ("59",)})
    decision = decide("CO-4", sent=before, recoded=now)
    assert in_short(decision) == ("correct_modifier", Step.CHECK_CODING, "7")
    same = decide("CO-4", sent=sent(now), recoded=now)
    assert (same.action, same.who) == ("review_coding", "coder")


def test_a_place_of_service_is_corrected_when_coding_gives_another_by_now() -> None:
    now = coded()
    before = sent(now, place_of_service="02")
    assert in_short(decide("CO-5", sent=before, recoded=now)) == (
        "correct_place_of_service", Step.CHECK_CODING, "7",
    )  # fmt: skip
    assert decide("CO-5", sent=sent(now), recoded=now).action == "review_coding"


def test_a_diagnosis_that_was_corrected_goes_with_the_claim() -> None:
    now = coded()
    before = sent(now, diagnoses=("F320",))
    assert decide("CO-11", sent=before, recoded=now).correction == "correct_codes"
    assert decide("CO-11", sent=sent(now), recoded=now).action == "ask_clinician"


def test_the_remark_says_what_a_general_reason_means() -> None:
    assert decide("CO-16", ON_FILE, remarks=("N999", "M62")).correction == "add_authorization"
    assert decide("CO-16", remarks=("N290",)).action == "settle_enrolment"
    assert decide("CO-16").action == "review_coding"
    # a reason that says enough is not turned by a remark
    assert decide("CO-50", remarks=("M62",)).action == "appeal"


def test_another_payer_on_file_by_now_gets_a_claim_of_its_own() -> None:
    before = sent(coded())
    decision = decide("CO-109", sent=before, payer_now="another-payer")
    assert in_short(decision) == ("correct_payer", Step.CHECK_ELIGIBILITY, "1")
    assert decide("CO-109", sent=before, payer_now="the-payer").action == "find_other_payer"
    assert decide("CO-109", sent=before).action == "find_other_payer"


def test_another_member_id_on_file_by_now_goes_with_the_claim() -> None:
    before = sent(coded())
    assert decide("CO-31", sent=before, member_now="NEW1").correction == "verify_member_id"
    assert decide("CO-31", sent=before, member_now="MEMBER1").action == "find_coverage"


# --- letters


def test_letters_say_what_evidence_is_missing() -> None:
    letter = decide("CO-50", evidence=("note", "plan"))
    assert (letter.action, letter.level, letter.missing) == ("appeal", 1, ("attendance",))
    assert "Not on file yet: attendance." in letter.findings[0].fix
    assert decide("CO-50", evidence=("note", "plan", "attendance")).missing == ()


def test_appeals_go_up_to_the_last_level_that_takes_the_amount() -> None:
    """Medicare: redetermination, reconsideration, then a hearing only from 200 dollars."""
    medicare = {"name": "medicare-part-b", "cents": Cents(6000)}
    assert decide("CO-50", **medicare).level == 1
    assert decide("CO-50", **medicare, appeals=1).level == 2
    assert decide("CO-50", **medicare, appeals=2).action == "write_off"
    enough = medicare | {"cents": Cents(20_000)}
    assert decide("CO-50", **enough, appeals=2).level == 3
    assert decide("CO-50", **medicare, days_to_appeal=-1).action == "write_off"


def test_a_supervisor_looks_when_time_is_short_or_much_was_tried() -> None:
    assert decide("CO-50", days_to_appeal=10).who == "biller"
    short = decide("CO-50", days_to_appeal=9)
    assert (short.who, short.escalated) == ("supervisor", True)
    assert "9 days are left" in short.findings[0].sentence
    assert decide("CO-50", tried=("a:b", "c:d")).escalated


# --- what always holds


@pytest.mark.parametrize(
    "cause", ["CO-18", "CO-29", "CO-50", "CO-97", "CO-16", "PR-27", "OA-209", "PI-204", "CO-147"]
)
def test_what_needs_judgement_waits_for_a_person(cause: str) -> None:
    assert decide(cause, ON_FILE).held == "DENIED"


def test_the_biller_is_told_what_to_do_first() -> None:
    (finding,) = decide("CO-197").findings
    assert finding.sentence == (
        "The payer denied the claim (CO-197, authorization); the patient owes nothing."
    )
    assert "AUTH_REQUIRED stops such a claim before it is sent." in finding.fix
    (finding,) = decide("PR-204").findings
    assert finding.sentence == "The payer denied the claim (PR-204, benefit limit)."
    (finding,) = decide("CO-9999").findings
    assert finding.sentence.startswith("The payer denied the claim (CO-9999);")


def test_the_patient_is_asked_only_for_pr_and_where_nothing_protects_them() -> None:
    assert decide("PR-204").action == "bill_patient"
    assert decide("CO-204").action == "appeal"
    assert "bill_patient" not in decide("PR-204", remarks=("N781",)).offers
    assert decide("PR-204", remarks=("MA13",)).action == "appeal"
    medicaid = facts()
    payer = medicaid.payer.model_copy(update={"filing_indicator": "MC"})
    assert decide("PR-204", medicaid.model_copy(update={"payer": payer})).action == "appeal"


CODES = st.sampled_from([item.code for item in BOOK.reasons] + ["P12", "9999"])
ACTIONS = tuple(sorted({name for item in BOOK.reasons for name in item.actions}))


@given(
    group=st.sampled_from(["CO", "PR", "OA", "PI", "CR"]),
    code=CODES,
    remarks=st.lists(st.sampled_from([item.code for item in BOOK.remarks]), max_size=3),
    payer=st.sampled_from(["commercial", "texas-medicaid", "medicare-part-b", "virginia-medicaid"]),
    cents=st.integers(1, 200_000),
    appeals=st.integers(0, 6),
    done=st.sets(st.sampled_from(ACTIONS)),
    left=st.none() | st.integers(-5, 400),
    evidence=st.sets(st.sampled_from(get_args(Evidence))),
)
def test_any_denial_ends_within_bounds_and_co_never_reaches_the_patient(
    group: str, code: str, remarks: list[str], payer: str, cents: int, appeals: int,
    done: set[str], left: int | None, evidence: set[str],
) -> None:  # fmt: skip
    """Whatever is on file: a correction that was tried never comes again, a ladder that is climbed
    rung by rung ends at the last one, and only PR is ever asked of the patient."""
    cause = f"{group}-{code}"
    tried: tuple[str, ...] = ()
    taken = set(done)
    for _ in range(40):
        decision = decide(
            cause, ON_FILE, payer, remarks=tuple(remarks), cents=Cents(cents), appeals=appeals,
            done=tuple(sorted(taken)), tried=tried, days_to_appeal=left, days_to_correct=left,
            evidence=tuple(sorted(evidence)), sent=sent(coded()), recoded=coded(),
            payer_now="another", member_now="ANOTHER1",
        )  # fmt: skip
        if group != "PR":
            assert "bill_patient" not in (decision.action, *decision.offers)
        if decision.correction is not None:
            key = f"{cause}:{decision.correction}"
            assert key not in tried
            tried = (*tried, key)
            assert len(tried) <= BOOK.most_corrections
            continue
        if decision.action == "write_off" or BOOK.action(decision.action).kind == "end":
            return
        if decision.action == "appeal":
            assert decision.level == appeals + 1
            appeals += 1
        else:
            assert decision.action not in taken
            taken.add(decision.action)
    raise AssertionError("the ladder has no end")
