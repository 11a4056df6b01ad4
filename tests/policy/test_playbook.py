"""The denial playbook: complete for the codes of the field, and refused when it is not sound."""

from importlib import resources
from pathlib import Path

import pytest

from groupclaim.lifecycle.holds import HOLDS
from groupclaim.model.base import InputRefused
from groupclaim.policy.playbook import Playbook

BOOK = Playbook.load()


def listed(text: str) -> list[str]:
    return text.split()


CARC = listed("""
    1 2 3 4 5 6 7 8 9 10 11 12 13 15 16 18 19 20 21 22 23 24 26 27 29 31 32 35 149 39 40 44 45 49 96
    50 51 54 55 56 58 59 60 66 89 90 95 97 100 104 107 109 110 112 115 116 117 119 122 125 129 131
    133 136 137 138 286 140 142 178 144 146 167 147 148 150 151 152 163 164 165 288 166 169 170 171
    172 173 177 181 182 183 184 185 187 189 193 194 195 197 198 199 200 204 206 207 208 209 210 302
    216 219 222 223 225 226 227 231 234 236 237 242 243 279 246 250 251 252 253 256 272 273 275 276
    284 296 287 299 A1 A8 B1 B4 B7 B8 B9 B11 B12 B13 B14 B15 B16 B20 P12
""")
RARC = listed("""
    MA01 MA130 MA04 N4 N479 MA07 MA18 N519 N822 N823 MA13 N517 MA61 N522 MA63 M76 M64 M81 MA92 M56
    M77 M15 M80 M20 M51 M52 M53 M62 M86 M127 N29 N706 M25 N115 N386 N19 N20 N390 N122 N30 N216 N32
    N56 N657 N58 N95 N570 N574 N575 N130 N198 N257 N290 N286 N297 N362 N435 N382 N432 N469 N598
    N781 N782 N783 N807 N699 N700 N701 N702 N830
""")


@pytest.mark.parametrize(
    ("code", "category", "first"),
    [
        ("197", "authorization", "add_authorization"),
        ("296", "authorization", "add_authorization"),
        ("198", "authorization", "ask_authorization"),
        ("18", "duplicate", "reconcile"),
        ("29", "filing time", "appeal"),
        ("50", "necessity", "appeal"),
        ("97", "coding", "correct_modifier"),
        ("5", "coding", "correct_place_of_service"),
        ("109", "other payer", "correct_payer"),
        ("31", "coverage", "verify_member_id"),
        ("B7", "enrolment", "settle_enrolment"),
        ("252", "records", "send_documents"),
        ("119", "benefit limit", "bill_patient"),
        ("45", "pricing", "review_contract"),
    ],
)
def test_a_code_has_its_category_and_first_action(code: str, category: str, first: str) -> None:
    reason = BOOK.reason(code)
    assert reason is not None
    assert (reason.category, reason.actions[0]) == (category, first)


@pytest.mark.parametrize("code", CARC)
def test_every_adjustment_reason_of_the_field_leads_to_an_end(code: str) -> None:
    reason = BOOK.reason(code)
    assert reason is not None
    assert reason.advice.endswith(".")
    kinds = [BOOK.action(name).kind for name in reason.actions]
    assert kinds[-1] in ("write_off", "end", "work")
    assert reason.prevented_by is None or reason.prevented_by in HOLDS


def test_every_remark_code_of_the_field_is_known() -> None:
    assert [code for code in RARC if BOOK.remark(code) is None] == []
    assert len(BOOK.reasons) >= 120
    protecting = {item.code for item in BOOK.remarks if item.protects_patient}
    assert protecting == {"MA13", "N781", "N782", "N783", "N830"}


def test_an_unknown_code_has_no_reason() -> None:
    assert BOOK.reason("9999") is None
    assert BOOK.reason("P") == BOOK.reason("P7")  # the row of the series answers for all of it
    assert BOOK.remark("Z999") is None


# --- refused


def texts() -> dict[str, str]:
    place = resources.files("groupclaim.policy")
    return {
        "settings": (place / "playbook.toml").read_text(),
        "reasons": (place / "tables" / "adjustment_reasons.csv").read_text(),
        "remarks": (place / "tables" / "remark_codes.csv").read_text(),
    }


def problems(**changes: str) -> list[str]:
    with pytest.raises(InputRefused) as refused:
        Playbook.read(**(texts() | changes))
    return refused.value.problems


def test_a_code_without_an_action_is_refused() -> None:
    bare = texts()["reasons"].replace(
        "\n29,filing time,filed too late,appeal;write_off,", "\n29,filing time,filed too late,,"
    )
    (problem,) = problems(reasons=bare)
    assert problem.startswith("tables/adjustment_reasons.csv:")
    assert problem.endswith("actions: Field required")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("999,coding,x,review_code;write_off,,,claim,,Do.", "999: there is no action review_code"),
        ("999,coding,x,appeal;,,,claim,,Do.", "999: there is no action without a name"),
        ("999,coding,x,write_off;write_off,,,claim,,Do.", "999: an action stands there twice"),
        ("999,coding,x,appeal,,,claim,,Do.", "999: nothing follows the last appeal"),
        ("29,coding,x,write_off,,,claim,,Do.", "29: stated twice"),
        ("999,colour,x,write_off,,,claim,,Do.", "category: Input should be"),
        ("999,coding,x,write_off,,smell,claim,,Do.", "evidence[0]: Input should be"),
        ("999,coding,x,write_off,,,town,,Do.", "scope: Input should be"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(row: str, told: str) -> None:
    assert any(told in problem for problem in problems(reasons=f"{texts()['reasons']}{row}\n"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("most_corrections = 3", "most_corrections = 0", "most_corrections: Input should be"),
        ('kind = "work"', 'kind = "guess"', "action.ask_authorization.kind: Input should be"),
        ("restart = \"check_eligibility\"\nwhat = \"The payer is asked", "what = \"The payer is",
         "restart: needed by an action that sends the claim again"),
        ("most_corrections = 3", "most_corrections 3", "not TOML"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(old: str, new: str, told: str) -> None:
    changed = texts()["settings"].replace(old, new, 1)
    assert changed != texts()["settings"]
    assert any(told in problem for problem in problems(settings=changed))


def test_a_folder_of_ones_own_stands_in_and_changes_the_version(tmp_path: Path) -> None:
    (tmp_path / "playbook.toml").write_text(
        texts()["settings"].replace("most_corrections = 3", "most_corrections = 2")
    )
    own = Playbook.load(tmp_path)
    assert own.most_corrections == 2
    assert own.version != BOOK.version
    assert Playbook.load().version == BOOK.version
