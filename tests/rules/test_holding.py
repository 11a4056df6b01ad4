import pytest

from groupclaim.lifecycle.holds import HOLDS
from groupclaim.model.finding import Finding, Severity
from groupclaim.rules.holding import held


def finding(hold: str | None, severity: Severity = Severity.BLOCK, **values: bool) -> Finding:
    return Finding(rule="a_rule", severity=severity, sentence="A sentence.", hold=hold, **values)


def test_the_first_blocking_finding_holds() -> None:
    findings = (
        finding(None, Severity.WARN),
        finding("NOTE_UNSIGNED"),
        finding("PLAN_INVALID"),
    )
    hold = held(findings)
    assert hold is not None
    assert (hold.code, hold.releasable) == ("NOTE_UNSIGNED", False)


def test_nothing_blocking_holds_nothing() -> None:
    assert held(()) is None
    assert held((finding(None, Severity.INFO), finding(None, Severity.WARN))) is None


def test_a_waived_finding_gives_way_to_the_next() -> None:
    findings = (finding("GROUP_SIZE_REVIEW", releasable=True), finding("NO_RATE"))
    hold = held(findings, ("GROUP_SIZE_REVIEW",))
    assert hold is not None
    assert hold.code == "NO_RATE"


def test_a_finding_that_cannot_be_waived_holds_again() -> None:
    assert held((finding("NO_RATE"),), ("NO_RATE",)) is not None


@pytest.mark.parametrize("code", list(HOLDS))
def test_every_hold_has_a_way_out(code: str) -> None:
    """A fact that clears it, or a person who may ask for another look."""
    hold = held((finding(code),))
    assert hold is not None
    assert hold.releasable == (HOLDS[code].cleared_by is None)


def test_a_blocking_finding_without_a_hold_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="a_rule names no hold"):
        held((finding(None),))
