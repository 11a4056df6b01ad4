"""The API over a small practice: who is refused, what is taken once, how refusals read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from activities import steps
from groupclaim.console.access import Permission
from groupclaim.console.api.door import scope_of
from groupclaim.store import api_keys, audit, work
from tests.activities.house import SAMPLES, House
from tests.console.test_claim_page import held_as, held_by_two
from tests.console.visitor import ORIGIN, Practice, acted, practice_at
from tests.model.test_fhir import appointment, bundle

API = "/api/v1"
ALL = tuple(item.value for item in Permission)


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Practice]:
    async with practice_at(tmp_path, client=Written) as made:
        yield made


class Written:
    """Stands for Temporal's client: what workflows are told is written down, attendance taken."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.start_workflow = house.switchboard.start_workflow

    def get_workflow_handle(self, workflow_id: str) -> _Written:
        return _Written(self._house, workflow_id)

    async def execute_update_with_start_workflow(self, name: str, what: Any, **_: Any) -> Any:
        assert name == "record_attendance"
        return await self._house.perform(steps.RECORD_ATTENDANCE, what)


class _Written:
    def __init__(self, house: House, workflow_id: str) -> None:
        self._house = house
        self._told = house.switchboard.get_workflow_handle(workflow_id)
        self.signal = self._told.signal

    async def execute_update(self, name: str, what: Any, **options: Any) -> Any:
        if isinstance(what, steps.ItemAct):
            return await acted(self._house, what)
        return await self._told.execute_update(name, what, **options)


class System:
    """Another system of the practice, with a key."""

    def __init__(self, app: FastAPI, token: str | None) -> None:
        shown = {"authorization": f"Bearer {token}"} if token else {}
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, raise_app_exceptions=False),
            base_url=ORIGIN,
            headers=shown,
        )
        self._sent = 0

    async def get(self, path: str, **query: Any) -> httpx2.Response:
        return await self.http.get(API + path, params=query)

    async def post(self, path: str, body: Any, name: str | None = None) -> httpx2.Response:
        self._sent += 1
        headers = {"idempotency-key": name or f"request-{self._sent}"}
        return await self.http.post(API + path, json=body, headers=headers)


async def system(
    practice: Practice,
    scopes: Sequence[str] = ALL,
    *,
    name: str = "ehr",
    days: int = 365,
    **limits: tuple[str, ...],
) -> System:
    now = practice.wall()
    async with practice.house.database.transaction() as tx:
        token = await api_keys.add_key(
            tx, name, scopes, api_keys.Limits(**limits), now, now + timedelta(days=days)
        )
    return System(practice.app, token)


def routes(practice: Practice) -> list[tuple[str, str, Permission]]:
    """Method, path and scope of every route of the API."""
    (mounted,) = [route for route in practice.app.routes if getattr(route, "path", "") == API]
    found = []
    for route in mounted.app.routes:  # type: ignore[attr-defined]
        if isinstance(route, APIRoute):
            scope = scope_of(route)
            assert scope is not None
            found += [(method, route.path, scope.permission) for method in route.methods]
    return found


async def walk(practice: Practice, caller: System, *, scopes: set[Permission]) -> set[int]:
    """The answers of every route that asks for one of ``scopes``, with an empty change."""
    answers = set()
    for method, path, scope in routes(practice):
        if scope in scopes:
            path = path.replace("{number}", "GC0000000000X")
            path = path.replace("{session_id}", "s0").replace("{item_id}", "w0")
            if method == "GET":
                answer = await caller.get(path)
            else:
                answer = await caller.post(path, {}, name="walk " + path)
            assert answer.headers["cache-control"] == "no-store"
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json", path
            answers.add(answer.status_code)
    return answers


# --- who is refused


async def test_an_address_that_is_none_is_told_as_a_problem(practice: Practice) -> None:
    """A line break in it too, which no router takes."""
    caller = await system(practice)
    for path in ("/nothing", "/claims/%0A/release"):
        answer = await caller.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json", path


async def test_every_route_refuses_whoever_has_no_good_key(practice: Practice) -> None:
    everything = set(Permission)
    assert len(routes(practice)) == 17
    assert await walk(practice, System(practice.app, None), scopes=everything) == {401}
    assert await walk(practice, System(practice.app, "gck_nobody"), scopes=everything) == {401}

    revoked = await system(practice, name="revoked")
    async with practice.house.database.transaction() as tx:
        await api_keys.revoke(tx, "revoked", practice.wall())
    expired = await system(practice, name="expired", days=1)
    practice.wall.pass_(timedelta(days=1))
    for caller in (revoked, expired):
        assert await walk(practice, caller, scopes=everything) == {401}


async def test_every_route_refuses_a_key_without_its_scope(practice: Practice) -> None:
    for scope in {scope for _, _, scope in routes(practice)}:
        others = [item.value for item in Permission if item is not scope]
        without = await system(practice, others, name=f"not {scope}")
        assert await walk(practice, without, scopes={scope}) == {403}
        only = await system(practice, [scope.value], name=f"only {scope}")
        assert 403 not in await walk(practice, only, scopes={scope})


async def test_a_browsers_session_opens_nothing_here_and_a_key_no_page(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    assert (await biller.http.get(f"{API}/claims")).status_code == 401
    caller = await system(practice)
    page = await caller.http.get("/")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=/")


@pytest.mark.parametrize("limits", [{"practices": ("other",)}, {"locations": ("other",)}])
async def test_a_key_of_another_place_sees_and_changes_nothing(
    practice: Practice, limits: dict[str, tuple[str, ...]]
) -> None:
    mine, other = await system(practice), await system(practice, name="other", **limits)
    claim = (await mine.get("/claims", limit=1)).json()["claims"][0]
    item = (await mine.get("/work-items", limit=1)).json()["items"][0]
    assert (await other.get("/claims")).json() == {"claims": [], "next": None}
    assert (await other.get("/sessions")).json() == {"sessions": [], "next": None}
    assert (await other.get("/work-items")).json() == {"items": [], "more": False}
    for path in (
        f"/claims/{claim['claim_number']}",
        f"/sessions/{claim['session_id']}",
        f"/work-items/{item['id']}",
    ):
        assert (await mine.get(path)).status_code == 200
        assert (await other.get(path)).status_code == 404, path
    act = {"kind": "assign", "to": "other", "revision": item["revision"]}
    refused = await other.post(f"/work-items/{item['id']}/acts", act)
    assert refused.status_code == 404
    whole = json.loads((SAMPLES / "practice.json").read_text())
    assert (await other.post("/practice", whole)).status_code == 403
    session = json.loads((SAMPLES / "sessions.json").read_text())[0]
    assert (await other.post("/sessions", [session])).status_code == 403
    assert (await other.post("/attendance", attendance())).status_code == 404
    assert (await other.post("/coverages", whole["coverages"][0])).status_code == 403


async def test_a_key_of_another_location_learns_nobody_of_a_session_by_naming_it(
    practice: Practice,
) -> None:
    """As if it were held where the key may: what is on file is not told, nor what differs."""
    other = await system(practice, name="other", locations=("richmond",))
    held = json.loads((SAMPLES / "sessions.json").read_text())[0]
    assert (held["ref"], held["location"]) == ("S1", "austin")
    named = await other.post("/sessions", [{**held, "location": "richmond"}])
    assert (named.status_code, "GC" in named.text) == (403, False)
    actors = ("Practitioner/C1", "Location/richmond", "Patient/P01", "Patient/P02")
    asked = appointment(
        id="S1",
        participant=[{"actor": {"reference": one}, "status": "accepted"} for one in actors],
    )
    for tried in ("/fhir?dry_run=true", "/fhir?only_valid=true", "/fhir"):
        named = await other.post(tried, json.loads(bundle(asked)))
        assert (named.status_code, "roster" in named.text) == (403, False), tried
    new = {**held, "ref": "S9", "location": "richmond"}
    assert (await other.post("/sessions", [new])).status_code == 200


async def test_too_many_requests_are_refused_by_key_and_by_stranger(tmp_path: Path) -> None:
    async with practice_at(tmp_path, requests_a_minute=2) as practice:
        one, two = await system(practice), await system(practice, name="two")
        assert [(await one.get("/claims")).status_code for _ in range(3)] == [200, 200, 429]
        assert (await two.get("/claims")).status_code == 200
        stranger = System(practice.app, "gck_guess")
        answers = [(await stranger.get("/claims")).status_code for _ in range(61)]
        assert answers == [401] * 60 + [429]
        practice.wall.pass_(timedelta(minutes=1))
        assert (await one.get("/claims")).status_code == 200


# --- what is taken


def attendance() -> dict[str, Any]:
    return {
        "session": "S1",
        "participants": [
            {"patient": "P01", "status": "attended", "minutes": 60, "copay_cents": 2000},
            {"patient": "P05", "status": "attended", "minutes": 60},
            {"patient": "P08", "status": "no_show"},
        ],
    }


async def test_a_practice_is_loaded_again_without_a_change(practice: Practice) -> None:
    caller = await system(practice)
    whole = json.loads((SAMPLES / "practice.json").read_text())

    records = sum(len(part) for part in whole.values() if isinstance(part, list)) + 1
    answer = await caller.post("/practice", whole)
    assert answer.json() == {"added": 0, "changed": 0, "unchanged": records}


async def test_attendance_is_taken_once_and_noted_with_the_systems_name(
    practice: Practice,
) -> None:
    caller = await system(practice, ["intake"])
    first = await caller.post("/attendance", attendance(), name="one")
    assert first.json() == {"group_size": 2, "claims_changed": 3}
    again = await caller.post("/attendance", attendance(), name="one")
    assert (again.status_code, again.text) == (200, first.text)
    # Under another name it is a request of its own, which finds nothing changed.
    new = await caller.post("/attendance", attendance(), name="two")
    assert new.json() == {"group_size": 2, "claims_changed": 0}
    other = {**attendance(), "participants": attendance()["participants"][:2]}
    refused = await caller.post("/attendance", other, name="one")
    assert (refused.status_code, refused.json()["type"]) == (
        422,
        "urn:groupclaim:problem:idempotency-key",
    )
    async with practice.house.database.reading() as reading:
        noted = await audit.entries(reading, practice.house.sessions["S1"])
    assert ("api:ehr", "record_attendance") in {(one.actor, one.action) for one in noted}


async def test_a_kept_answer_is_forgotten_after_a_week_and_is_each_keys_own(
    practice: Practice,
) -> None:
    caller, other = await system(practice), await system(practice, name="other")
    call = {"session": "S1", "patient": "P01", "signed_at": "2026-02-03T19:00:00-06:00"}
    first = await caller.post("/notes/signed", call, name="note")
    assert first.json()["new"] is True
    assert (await caller.post("/notes/signed", call, name="note")).json()["new"] is True
    assert (await other.post("/notes/signed", call, name="note")).json()["new"] is False
    practice.wall.pass_(timedelta(days=7, seconds=1))
    await other.post("/notes/signed", call, name="later")
    assert (await caller.post("/notes/signed", call, name="note")).json()["new"] is False


async def test_a_note_that_is_not_valid_is_withdrawn_once_with_a_reason(
    practice: Practice,
) -> None:
    caller = await system(practice)
    call = {"session": "S1", "patient": "P01", "reason": "of another patient"}
    assert (await caller.post("/notes/withdrawn", call, name="early")).status_code == 409
    signed = {"session": "S1", "patient": "P01", "signed_at": "2026-02-03T19:00:00-06:00"}
    await caller.post("/notes/signed", signed, name="signed")
    for wrong, code in (
        ({"reason": " "}, 422),
        ({"reason": "x" * 2001}, 422),
        ({"session": "S9"}, 404),
    ):
        answer = await caller.post(
            "/notes/withdrawn", call | wrong, name=f"wrong {code}{len(str(wrong))}"
        )
        assert answer.status_code == code
    first = (await caller.post("/notes/withdrawn", call, name="note")).json()
    assert first == {"claim_number": await practice.house.claim_of("S1", "P01"), "new": True}
    assert (await caller.post("/notes/withdrawn", call, name="again")).json()["new"] is False


async def test_what_is_refused_is_not_kept(practice: Practice) -> None:
    caller = await system(practice)
    missing = {"session": "S9", "patient": "P01", "signed_at": "2026-02-03T19:00:00-06:00"}
    assert (await caller.post("/notes/signed", missing, name="n")).status_code == 404
    right = {**missing, "session": "S1"}
    assert (await caller.post("/notes/signed", right, name="n")).status_code == 200


async def test_sessions_come_back_with_the_claims_of_their_roster(practice: Practice) -> None:
    caller = await system(practice)
    session = json.loads((SAMPLES / "sessions.json").read_text())[0]
    new = {**session, "ref": "S77", "roster": ["P05", "P01"], "other_services": []}
    (taken,) = (await caller.post("/sessions", [new])).json()
    assert taken["new"] is True
    keys = practice.house.database.keyring
    assert [item["patient_id"] for item in taken["participants"]] == [
        keys.patient_id("P05"),
        keys.patient_id("P01"),
    ]
    shown = (await caller.get(f"/sessions/{taken['session_id']}")).json()
    assert {item["claim_number"] for item in shown["participants"]} == {
        item["claim_number"] for item in taken["participants"]
    }
    (again,) = (await caller.post("/sessions", [new])).json()
    assert again == {**taken, "new": False}
    assert f"session/{taken['session_id']}" in practice.house.switchboard.started


async def test_coverage_that_overlaps_is_refused_and_its_end_is_taken(practice: Practice) -> None:
    caller = await system(practice)
    whole = json.loads((SAMPLES / "practice.json").read_text())
    held = next(item for item in whole["coverages"] if item["patient"] == "P01")
    other = next(item["ref"] for item in whole["payers"] if item["ref"] != held["payer"])
    second = {**held, "payer": other, "from": "2026-07-01"}
    refused = await caller.post("/coverages", second)
    assert refused.json()["problems"] == [
        "coverage.priority: another coverage of the patient has it on the same days "
        "(`groupclaim coverage record --insert` moves it down)"
    ]
    ended = await caller.post("/coverages", {**held, "to": "2026-06-30"})
    assert ended.json() == {"claims_told": 1}
    assert (await caller.post("/coverages", second)).status_code == 200


async def test_a_work_item_is_taken_by_the_first_who_saw_it(practice: Practice) -> None:
    caller = await system(practice, ["view", "work"])
    item = (await caller.get("/work-items", code="COVERAGE_INACTIVE")).json()["items"][0]
    act = {"kind": "assign", "to": "front desk", "revision": item["revision"]}
    taken = await caller.post(f"/work-items/{item['id']}/acts", act)
    assert (taken.json()["assignee"], taken.json()["revision"]) == ("front desk", 1)
    late = await caller.post(f"/work-items/{item['id']}/acts", {**act, "to": "another"})
    assert (late.status_code, late.json()["problems"]) == (
        409,
        ["changed meanwhile: it is open now, given to front desk"],
    )
    async with practice.house.database.reading() as reading:
        assert (await work.read_item(reading, item["id"])).assignee == "front desk"


# --- what is told


async def test_a_claim_says_why_it_waits_and_names_nobody(practice: Practice) -> None:
    caller = await system(practice, ["view"])
    held = (await caller.get("/claims", hold="COVERAGE_INACTIVE")).json()["claims"]
    assert len(held) == 1
    shown = await caller.get(f"/claims/{held[0]['claim_number']}")
    assert shown.json()["why"]["waiting_for"].startswith("COVERAGE_INACTIVE: front desk")
    assert "COVERAGE_INACTIVE" in [item["hold"] for item in shown.json()["findings"]]
    assert shown.json()["money"]["charge_cents"] == 0
    patients = json.loads((SAMPLES / "practice.json").read_text())["patients"]
    for person in patients:
        assert person["last_name"] not in shown.text
        assert person["birth_date"] not in shown.text


async def test_lists_come_in_parts_that_hold_each_claim_once(practice: Practice) -> None:
    caller = await system(practice, ["view"])
    whole = (await caller.get("/claims", limit=200)).json()["claims"]
    assert len(whole) == 8
    found, after = [], ""
    while True:
        part = (await caller.get("/claims", limit=3, after=after)).json()
        found += part["claims"]
        if part["next"] is None:
            break
        after = part["next"]
    assert found == whole


async def test_refusals_name_every_field_and_never_the_value(practice: Practice) -> None:
    caller = await system(practice)
    wrong = {
        "session": "S1",
        "participants": [
            {"patient": "P01", "status": "Jane Doe came", "minutes": -4},
            {"patient": "P05", "status": "attended", "minutes": "Jane Doe"},
            {"patient": "P08", "status": "no_show"},
        ],
    }
    answer = await caller.post("/attendance", wrong)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [item.split(":")[0] for item in answer.json()["problems"]] == [
        "body.participants[0].status",
        "body.participants[0].minutes",
        "body.participants[1].minutes",
    ]
    assert "Jane" not in answer.text


async def test_a_change_without_a_name_a_length_or_of_too_much_is_refused(
    practice: Practice,
) -> None:
    caller = await system(practice)
    bare = await caller.http.post(f"{API}/attendance", json=attendance())
    assert (bare.status_code, bare.json()["type"]) == (
        400,
        "urn:groupclaim:problem:idempotency-key",
    )

    async def endless() -> AsyncIterator[bytes]:
        yield b"{}"

    named = {"idempotency-key": "x"}
    chunked = await caller.http.post(f"{API}/attendance", content=endless(), headers=named)
    assert chunked.status_code == 411
    both = {**named, "content-length": "2", "transfer-encoding": "chunked"}
    lying = await caller.http.post(f"{API}/attendance", content=b"{}", headers=both)
    assert lying.status_code == 411
    large = {**named, "content-length": "10000001"}
    assert (await caller.http.post(f"{API}/attendance", headers=large)).status_code == 413


async def test_the_description_is_open_to_everyone_and_names_every_refusal(
    practice: Practice,
) -> None:
    answer = await System(practice.app, None).get("/openapi.json")
    document = answer.json()
    assert answer.status_code == 200
    assert document["servers"] == [{"url": API}]
    assert "Problem" in document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert {"401", "403", "429", "503"} <= set(operation["responses"]), (method, path)
            assert operation["security"] == [{"HTTPBearer": []}], (method, path)


async def test_a_key_is_noted_as_used(practice: Practice) -> None:
    caller = await system(practice)
    await caller.get("/claims")
    async with practice.house.database.reading() as reading:
        (key,) = await api_keys.keys(reading)
    assert key.used_at == practice.wall()


async def test_a_fhir_bundle_starts_its_sessions_once(practice: Practice) -> None:
    ehr = await system(practice)
    made = json.loads(
        bundle(
            appointment(
                participant=[
                    {"actor": {"reference": actor}, "status": "accepted"}
                    for actor in (
                        "Practitioner/C1",
                        "Location/austin",
                        "Patient/P01",
                        "Patient/P05",
                    )
                ]
            )
        )
    )
    tried = await ehr.post("/fhir?dry_run=true", made)
    assert tried.status_code == 200, tried.text
    assert (tried.json()["taken"], tried.json()["sessions"]) == (False, 1)
    assert [row["outcome"] for row in tried.json()["rows"]] == ["start", "start"]
    taken = (await ehr.post("/fhir", made)).json()
    assert (taken["taken"], [row["outcome"] for row in taken["rows"]]) == (True, ["start"] * 2)
    again = (await ehr.post("/fhir", made)).json()
    assert [row["outcome"] for row in again["rows"]] == ["known", "known"]
    shown = await ehr.get(f"/sessions/{taken['rows'][0]['session_id']}")
    assert len(shown.json()["participants"]) == 2
    wrong = await ehr.post("/fhir", json.loads(bundle(appointment(start="soon"))))
    assert (wrong.status_code, wrong.json()["type"]) == (422, "urn:groupclaim:problem:input")
    elsewhere = await system(practice, name="elsewhere", locations=("no-such-place",))
    assert (await elsewhere.post("/fhir", made)).status_code == 403


async def test_a_hold_is_released_once_by_a_key_that_may(tmp_path: Path) -> None:
    async with practice_at(tmp_path) as practice:
        code = "GROUP_SIZE_REVIEW"
        number = await held_as(practice, code, two_people=False)
        asked = {"code": code, "reason": "two rooms joined"}
        only_looks = await system(practice, ["view"], name="looks")
        refused = await only_looks.post(f"/claims/{number}/release", asked)
        assert refused.status_code == 403
        ehr = await system(practice)
        wrong = await ehr.post(f"/claims/{number}/release", {**asked, "reason": ""})
        assert wrong.status_code == 422
        for _ in range(2):
            done = await ehr.post(f"/claims/{number}/release", asked, name="release-1")
            assert done.status_code == 200, done.text
        assert done.json()["hold"] != code
        async with practice.house.database.reading() as reading:
            noted = [item.actor for item in await audit.entries(reading, number)]
        assert noted.count("api:ehr") == 1
        two = await held_by_two(practice)
        answer = await ehr.post(f"/claims/{two}/release", {**asked, "code": "NOT_COVERED"})
        assert (answer.status_code, "two people" in answer.text) == (409, True)
