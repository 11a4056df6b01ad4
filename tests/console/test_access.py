"""Nobody comes in who does not belong: every route, every role, every way around the door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from groupclaim.console import app as application
from groupclaim.console.access import ROLES, Allow, Permission, Public, guard_of
from groupclaim.store import people
from groupclaim.store.people import Role
from tests.console.visitor import ORIGIN, PASSWORD, Practice, practice_at


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Practice]:
    async with practice_at(tmp_path) as made:
        yield made


PUBLIC = {"/health", "/sign-in", "/sign-in/provider", "/sign-in/answer"}


def routes(practice: Practice) -> list[tuple[str, str, Allow | Public]]:
    """Method, path and guard of every route."""
    found = []
    for route in practice.app.routes:
        if isinstance(route, APIRoute):
            guard = guard_of(route)
            assert guard is not None
            found += [(method, route.path, guard) for method in sorted(route.methods)]
    return found


async def test_only_signing_in_is_open_to_everyone(practice: Practice) -> None:
    open_paths = {path for _, path, guard in routes(practice) if isinstance(guard, Public)}
    assert open_paths == PUBLIC


async def test_whoever_is_not_signed_in_gets_nothing(practice: Practice) -> None:
    stranger = practice.browser()
    walked = 0
    for method, path, guard in routes(practice):
        if isinstance(guard, Allow):
            address = path.replace("{number}", "GC0000000000X")
            answer = await stranger.http.request(method, address, headers={"origin": ORIGIN})
            assert answer.status_code == 303, (method, path)
            assert answer.headers["location"].startswith("/sign-in"), (method, path)
            walked += 1
    assert walked > 5


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_gets_exactly_what_it_includes(practice: Practice, role: Role) -> None:
    browser = await practice.signed_in(role.value)
    token = {"x-csrf-token": "not the token", "origin": ORIGIN}
    for method, path, guard in routes(practice):
        if isinstance(guard, Public):
            continue
        address = path.replace("{number}", "GC0000000000X")
        answer = await browser.http.request(method, address, headers=token)
        allowed = guard.permission in ROLES[role]
        if not allowed:
            assert (answer.status_code, "role does not include" in answer.text) == (403, True), path
        elif method != "GET":
            assert "earlier sign-in" in answer.text, f"{path}: a change without the page's token"
        else:
            assert answer.status_code in (200, 404), path


def test_the_roles_are_as_the_readme_tells() -> None:
    assert ROLES[Role.VIEWER] == {Permission.VIEW}
    assert Permission.REVEAL not in ROLES[Role.ADMINISTRATOR]
    assert Permission.APPROVE not in ROLES[Role.BILLER]
    assert Permission.RELEASE not in ROLES[Role.CLINICIAN]
    assert all(Permission.VIEW in rights for rights in ROLES.values())


def test_an_application_with_an_unguarded_route_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    careless = APIRouter()

    @careless.get("/everything")
    async def everything() -> str:
        return "open"

    monkeypatch.setattr(application.today, "router", careless)
    with pytest.raises(application.UnguardedRoute, match="/everything"):
        application.create_app(None)  # type: ignore[arg-type] - it never comes to use


# --- signing in


async def test_a_wrong_password_and_an_unknown_name_read_alike(practice: Practice) -> None:
    browser = practice.browser()
    wrong = await browser.sign_in("biller", "not this one at all")
    unknown = await browser.sign_in("nobody by this name", "not this one at all")
    assert wrong.status_code == unknown.status_code == 403
    assert wrong.text == unknown.text


async def test_five_wrong_passwords_lock_for_a_quarter_of_an_hour(practice: Practice) -> None:
    browser = practice.browser()
    for _ in range(5):
        await browser.sign_in("biller", "not this one at all")
    locked = await browser.sign_in("biller")
    assert (locked.status_code, "Locked" in locked.text) == (403, True)
    practice.wall.pass_(timedelta(minutes=15))
    assert (await browser.sign_in("biller")).status_code == 303


async def test_a_session_ends_when_idle_and_after_twelve_hours_even_in_use(
    practice: Practice,
) -> None:
    browser = await practice.signed_in("biller")
    practice.wall.pass_(timedelta(minutes=14, seconds=59))
    assert (await browser.get("/")).status_code == 200
    practice.wall.pass_(timedelta(minutes=15))
    assert (await browser.get("/")).status_code == 303

    busy = await practice.signed_in("biller")
    for _ in range(12 * 6 - 1):
        practice.wall.pass_(timedelta(minutes=10))
        assert (await busy.get("/")).status_code == 200
    practice.wall.pass_(timedelta(minutes=10))
    assert (await busy.get("/")).status_code == 303


async def test_a_page_that_looks_for_news_by_itself_keeps_nobody_signed_in(
    practice: Practice,
) -> None:
    browser = await practice.signed_in("biller")
    for _ in range(3):
        practice.wall.pass_(timedelta(minutes=5))
        last = await browser.get("/", headers={"x-poll": "1", "hx-request": "true"})
    assert last.status_code == 401
    assert last.headers["hx-redirect"].startswith("/sign-in")


async def test_after_signing_out_the_old_cookie_opens_nothing(practice: Practice) -> None:
    browser = await practice.signed_in("biller")
    kept = dict(browser.http.cookies)
    assert (await browser.post("/sign-out")).status_code == 303
    browser.http.cookies.update(kept)
    assert (await browser.get("/")).status_code == 303


async def test_the_first_password_must_be_changed_before_anything_else(practice: Practice) -> None:
    async with practice.house.database.transaction() as tx:
        user = await people.find(tx, "viewer")
        assert user is not None
        once = await people.reset_password(tx, user.id)
    browser = practice.browser()
    await browser.sign_in("viewer", once)
    assert (await browser.get("/")).headers["location"] == "/password"
    await browser.get("/password")
    for new, said in (("short", "12 to 200"), (once, "another than"), (PASSWORD + "!", "")):
        answer = await browser.post("/password", current=once, new=new, again=new)
        assert said in answer.text
    assert answer.status_code == 303
    assert (await browser.get("/")).status_code == 200


async def test_one_who_is_disabled_is_out_at_once(practice: Practice) -> None:
    browser = await practice.signed_in("biller")
    async with practice.house.database.transaction() as tx:
        user = await people.find(tx, "biller")
        assert user is not None
        await people.disable(tx, user.id, practice.wall())
    assert (await browser.get("/")).status_code == 303
    assert (await browser.sign_in("biller")).status_code == 403


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/\\evil.example"])
async def test_signing_in_never_leads_to_another_site(practice: Practice, back: str) -> None:
    answer = await practice.browser().post("/sign-in", name="biller", password=PASSWORD, next=back)
    assert answer.headers["location"] == "/"


# --- requests from elsewhere


async def test_changes_from_another_site_are_refused(practice: Practice) -> None:
    browser = await practice.signed_in("biller")
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = await browser.http.post("/sign-out", headers=headers)
        assert (answer.status_code, "another site" in answer.text) == (403, True)
    assert (await browser.get("/")).status_code == 200


async def test_every_answer_carries_the_security_headers(practice: Practice) -> None:
    browser = await practice.signed_in("biller")
    for path in ("/", "/sign-in", "/static/console.css", "/no-such-page", "/claims/GC0000000000X"):
        answer = await browser.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        if not path.startswith("/static"):
            assert answer.headers["cache-control"] == "no-store"


async def test_too_many_requests_and_too_large_ones_are_refused(tmp_path: Path) -> None:
    async with practice_at(tmp_path, requests_a_minute=3) as practice:
        browser = practice.browser()
        large = await browser.http.post("/sign-in", headers={"content-length": "10000001"})
        assert large.status_code == 413
        assert [(await browser.get("/sign-in")).status_code for _ in range(3)] == [200, 200, 429]


# --- how far one sees


async def test_a_clinician_sees_their_own_sessions_only(practice: Practice) -> None:
    biller, clinician = [await practice.signed_in(name) for name in ("biller", "clinician")]
    own = other = 0
    for session, roster in practice.house.rosters.items():
        for patient in roster:
            number = await practice.house.claim_of(session, patient)
            assert (await biller.get(f"/claims/{number}")).status_code == 200
            status = (await clinician.get(f"/claims/{number}")).status_code
            own, other = own + (status == 200), other + (status == 404)
    assert own > 0
    assert other > 0


async def test_a_limit_to_a_location_hides_the_claims_of_others(practice: Practice) -> None:
    await practice.let_in(Role.BILLER, name="elsewhere", locations=("no-such-place",))
    browser = await practice.signed_in("elsewhere")
    number = await practice.house.claim_of("S1", "P01")
    assert (await browser.get(f"/claims/{number}")).status_code == 404
    assert "Nothing here waits" in (await browser.get("/")).text


async def test_emergency_access_shows_more_is_noted_and_ends_by_itself(practice: Practice) -> None:
    await practice.let_in(Role.VIEWER, name="night", locations=("no-such-place",))
    browser = await practice.signed_in("night")
    number = await practice.house.claim_of("S1", "P01")
    await browser.get(f"/claims/{number}")
    assert (await browser.post("/emergency", reason="now")).status_code == 422
    await browser.get("/")
    begun = await browser.post("/emergency", reason="A payer calls about a patient in danger.")
    assert begun.status_code == 303
    assert "Emergency access is on" in (await browser.get(f"/claims/{number}")).text
    shown = await browser.post(f"/claims/{number}/reveal")
    assert (shown.status_code, "This look has been noted" in shown.text) == (200, True)
    async with practice.house.database.reading() as reading:
        assert await people.emergencies(reading, practice.wall()) == 1
    for _ in range(24):
        practice.wall.pass_(timedelta(minutes=10))
        await browser.get("/")
    assert (await browser.get(f"/claims/{number}")).status_code == 404
    async with practice.house.database.reading() as reading:
        assert await people.emergencies(reading, practice.wall()) == 0


async def test_emergency_access_lets_nobody_act_where_they_never_may(practice: Practice) -> None:
    """A biller of another place: everything may be looked at then, and nothing done to it."""
    await practice.let_in(Role.BILLER, name="away", locations=("no-such-place",))
    browser = await practice.signed_in("away")
    number = await practice.house.claim_of("S1", "P01")
    begun = await browser.post("/emergency", reason="A payer calls about a patient in danger.")
    assert begun.status_code == 303
    assert (await browser.get(f"/claims/{number}")).status_code == 200
    assert (await browser.post(f"/claims/{number}/reveal")).status_code == 200
    for path, fields in (
        (f"/claims/{number}/payment", {"amount": "20.00", "receipt": "R-1"}),
        (f"/claims/{number}/release", {"code": "X", "reason": "because"}),
        (f"/claims/{number}/look-again", {"what": "rules"}),
        ("/unapplied/return", {"item": "1/1", "reason": "because"}),
        ("/remittances/1/return", {"reason": "because"}),
    ):
        assert (await browser.post(path, **fields)).status_code == 404, path


async def test_one_address_may_try_to_sign_in_twenty_times_a_minute(practice: Practice) -> None:
    browser = practice.browser()
    answers = [await browser.sign_in(f"name {number}", "wrong") for number in range(21)]
    assert [answer.status_code for answer in answers] == [403] * 20 + [429]
    practice.wall.pass_(timedelta(minutes=1))
    assert (await browser.sign_in("biller")).status_code == 303
