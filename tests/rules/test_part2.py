from datetime import date
from typing import Any

import pytest

from groupclaim.model.patient import Part2Consent
from groupclaim.rules.holding import held
from groupclaim.rules.part2 import NOTICE, check_consent, is_part2, notice_for
from tests.rules.made import DAY, facts, location


def consent(**changes: Any) -> Part2Consent:
    values = {"ref": "consent", "scope": "payment", "signed_on": date(2026, 1, 5)}
    return Part2Consent.model_validate(values | changes)


def flagged(*consents: Part2Consent, **changes: Any) -> Any:
    patient = facts().patient.model_copy(update={"part2": True, "part2_consents": consents})
    return facts(patient=patient, **changes)


def code(given: Any, day: date = DAY) -> str | None:
    hold = held(check_consent(given, day))
    return hold.code if hold else None


def test_without_consent_nothing_is_disclosed_and_nobody_may_waive_it() -> None:
    hold = held(check_consent(flagged(), DAY))
    assert hold is not None
    assert (hold.code, hold.releasable) == ("PART2_CONSENT", False)


def test_other_records_need_no_consent() -> None:
    assert check_consent(facts(), DAY) == ()
    assert notice_for(facts()) is None


def test_a_programme_is_flagged_by_place_or_session_too() -> None:
    by_place = facts(location=location().model_copy(update={"part2_programme": True}))
    by_session = facts(session=facts().session.model_copy(update={"part2_programme": True}))
    for given in (by_place, by_session):
        assert is_part2(given)
        assert code(given) == "PART2_CONSENT"
        assert notice_for(given) == NOTICE


@pytest.mark.parametrize("scope", ["payment", "treatment_payment_operations"])
def test_a_consent_that_reaches_the_payer_is_enough(scope: str) -> None:
    assert code(flagged(consent(scope=scope))) is None
    assert code(flagged(consent(scope=scope, payers=("other", "the-payer")))) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scope": "treatment"}, "reaches this payer"),
        ({"payers": ("other",)}, "reaches this payer"),
        ({"until": date(2026, 2, 2)}, "has ended"),
        ({"revoked_on": DAY}, "revoked"),
        ({"signed_on": date(2026, 2, 4)}, "not begun"),
    ],
)
def test_what_is_no_consent_on_the_day(changes: dict[str, Any], told: str) -> None:
    findings = check_consent(flagged(consent(**changes)), DAY)
    assert held(findings).code == "PART2_CONSENT"
    assert told in findings[0].sentence


def test_the_days_at_the_ends_count() -> None:
    assert code(flagged(consent(until=DAY, signed_on=DAY))) is None
    assert code(flagged(consent(revoked_on=date(2026, 2, 4)))) is None


def test_it_is_the_day_of_disclosure_that_counts() -> None:
    ended = flagged(consent(until=date(2026, 2, 10)))
    assert code(ended, date(2026, 2, 10)) is None
    assert code(ended, date(2026, 2, 11)) == "PART2_CONSENT"


def test_a_consent_cannot_end_before_it_was_signed() -> None:
    with pytest.raises(ValueError, match="before it was signed"):
        consent(until=date(2026, 1, 4))


def test_the_notice_fits_a_claim_note() -> None:
    assert 0 < len(NOTICE.text) <= 80
