from typing import Any

import pytest

from groupclaim.lifecycle.state import Step
from groupclaim.rules.denials import DenialDecision, decide_denial
from groupclaim.rules.holding import held
from tests.rules.made import authorization, facts, policy

ON_FILE = facts(authorizations=(authorization(),))


def decide(cause: str | None, the_facts: Any = None, name: str = "commercial", **known: Any) -> Any:
    decision = decide_denial(cause, the_facts or facts(), policy(name), **known)
    # a decision is a correction or a hold, and its findings say the same
    found = held(decision.findings)
    assert (decision.correction is None) == (decision.held is not None)
    assert (found.code if found else None) == decision.held
    assert found is None or found.releasable
    return decision


def in_short(decision: DenialDecision) -> tuple[str | None, Step | None, str]:
    return decision.correction, decision.restart, decision.frequency


def test_scenario_14_an_unknown_member_id_is_asked_for_and_sent_anew() -> None:
    decision = decide("277CA:A7:164")
    assert in_short(decision) == ("verify_member_id", Step.CHECK_ELIGIBILITY, "1")


@pytest.mark.parametrize("cause", ["277CA:A7:164", "277CA:A3:33", "277CA:A7:97"])
def test_a_member_problem_is_corrected_once(cause: str) -> None:
    assert decide(cause).correction == "verify_member_id"
    again = decide(cause, corrections_tried=(f"{cause}:verify_member_id",))
    assert again.held == "REJECTED"


@pytest.mark.parametrize(
    "cause", ["277CA:A7:562", "277CA:A3:21", "999:R", "TA1:R", "refused", "277CA", "", None]
)
def test_any_other_rejection_waits_for_a_biller(cause: str | None) -> None:
    assert decide(cause, ON_FILE).held == "REJECTED"


def test_scenario_15_an_authorization_on_file_is_added_to_a_replacement() -> None:
    decision = decide("CO-197", ON_FILE)
    assert in_short(decision) == ("add_authorization", Step.CHECK_AUTHORIZATION, "7")


@pytest.mark.parametrize("cause", ["CO-15", "CO-197", "CO-198", "PI-197", "CO-284", "CO-296"])
def test_authorization_denials_are_cured_by_one_that_fits(cause: str) -> None:
    assert decide(cause, ON_FILE, "texas-medicaid").frequency == "7"
    assert decide(cause).held == "DENIED"
    assert decide(cause, facts(authorizations=(authorization(used=12),))).held == "DENIED"


def test_the_same_authorization_is_not_sent_again() -> None:
    assert decide("CO-197", ON_FILE, sent_authorization="AUTH1").held == "DENIED"
    assert decide("CO-197", ON_FILE, sent_authorization="OLDER").correction == "add_authorization"


def test_no_correction_is_tried_twice() -> None:
    tried = ("CO-197:add_authorization",)
    assert decide("CO-197", ON_FILE, corrections_tried=tried).held == "DENIED"
    # another cause is another matter
    assert decide("CO-15", ON_FILE, corrections_tried=tried).correction == "add_authorization"


def test_medicare_never_takes_a_replacement() -> None:
    assert decide("CO-197", ON_FILE, "medicare-part-b").held == "DENIED"
    unprocessable = decide("CO-197", ON_FILE, "medicare-part-b", remarks=("M62", "MA130"))
    assert in_short(unprocessable) == ("add_authorization", Step.CHECK_AUTHORIZATION, "1")


@pytest.mark.parametrize(
    "cause", ["CO-18", "CO-29", "CO-50", "CO-97", "CO-16", "PR-27", "OA-209", "PI-204", "CO-147"]
)
def test_what_needs_judgement_waits_for_a_person(cause: str) -> None:
    assert decide(cause, ON_FILE).held == "DENIED"


def test_the_patients_own_share_of_a_denial_is_not_corrected() -> None:
    assert decide("PR-197", ON_FILE).held == "DENIED"


def test_the_biller_is_told_what_to_do_first() -> None:
    (finding,) = decide("CO-197").findings
    assert finding.sentence == (
        "The payer denied the claim (CO-197, authorization); the patient owes nothing of it."
    )
    assert finding.fix.startswith("Request an authorization after the fact")
    (finding,) = decide("PR-204").findings
    assert finding.sentence == "The payer denied the claim (PR-204, benefit limit)."
    (finding,) = decide("CO-9999").findings
    assert finding.sentence.startswith("The payer denied the claim (CO-9999);")
