import pytest

from groupclaim.policy.denial_reasons import denial_reason


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("197", "authorization"),
        ("296", "authorization"),
        ("18", "duplicate"),
        ("29", "filing time"),
        ("50", "necessity"),
        ("97", "coding"),
        ("109", "other payer"),
        ("27", "coverage"),
        ("B7", "enrolment"),
        ("151", "necessity"),
        ("252", "records"),
        ("119", "benefit limit"),
        ("45", "pricing"),
    ],
)
def test_a_code_has_its_category_and_advice(code: str, category: str) -> None:
    reason = denial_reason(code)
    assert reason is not None
    assert (reason.code, reason.category) == (code, category)
    assert reason.action.endswith(".")


def test_an_unknown_code_has_no_reason() -> None:
    assert denial_reason("9999") is None
