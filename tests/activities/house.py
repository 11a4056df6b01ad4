"""The practice, its payers and every activity in one process: no engine, the clock driven by hand.

Signals are collected instead of sent, and carried out with the pure transition: what workflows do,
in a few lines. So activities are tested together in a second or two, and each on its own.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx2
from pydantic import BaseModel, SecretStr
from sqlalchemy import event
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.testing import ActivityEnvironment

from activities import steps
from activities.notes import JsonNotes
from activities.outside import Outside
from activities.registry import every_activity
from groupclaim.clearinghouse.http import HttpClearinghouse
from groupclaim.delivery.folder import PickUpFolder
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState
from groupclaim.lifecycle.transition import opened, transition
from groupclaim.model.intake import PracticeFile, SessionFile
from groupclaim.model.patient import Authorization
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.edits import CodeEdits
from groupclaim.policy.fee_schedule import FeeSchedule
from groupclaim.policy.payer import PolicyBook
from groupclaim.policy.playbook import Playbook
from groupclaim.simulator.clock import DrivenClock
from groupclaim.simulator.http import create_application
from groupclaim.simulator.world import parse_world
from groupclaim.store import claims, ledger, people, practice
from groupclaim.store.clock import PracticeClock, due_wakeups, next_wakeup
from groupclaim.store.database import Database, Transaction, migrate
from groupclaim.store.keys import Keyring
from groupclaim.store.waiting import clear_wakeup
from tests.faults.invariants import broken

SAMPLES = Path(__file__).parents[2] / "samples" / "small"
KEYRING = Keyring({"k1": bytes(range(32))}, "k1", "k1")
START = datetime.fromisoformat("2026-02-02T08:00:00-06:00")
_URL = "http://clearinghouse"
_POLICIES, _FEES, _CALENDAR = PolicyBook.load(), FeeSchedule.load(), BusinessCalendar()
_EDITS = CodeEdits.load()
_PLAYBOOK = Playbook.load()


class Killed(Exception):
    """The worker died at this moment: whatever was done stays done, nothing more is."""


class Reaper:
    """Kills the worker now and then: before or after a commit, a request, a signal."""

    def __init__(self, seed: int, share: float) -> None:
        self._random = Random(seed)
        self._share = share
        self.kills = 0

    def strike(self) -> None:
        if self._random.random() < self._share:
            self.kills += 1
            raise Killed

    def surround(self, owner: object, name: str) -> None:
        """Strike around each call of an asynchronous method."""
        method = getattr(owner, name)

        async def struck(*args: Any, **options: Any) -> Any:
            self.strike()
            result = await method(*args, **options)
            self.strike()
            return result

        setattr(owner, name, struck)

    def surround_transactions(self, database: Database) -> None:
        transaction = database.transaction

        @asynccontextmanager
        async def struck() -> AsyncIterator[Transaction]:
            async with transaction() as tx:
                yield tx
                self.strike()
            self.strike()

        database.transaction = struck  # type: ignore[method-assign]


class _Handle:
    def __init__(self, board: Switchboard, workflow_id: str) -> None:
        self._board = board
        self._id = workflow_id

    async def signal(self, name: str, what: BaseModel) -> None:
        await self._board.signal(self._id, name, what)

    async def execute_update(self, name: str, what: BaseModel, **options: Any) -> None:
        await self._board.signal(self._id, name, what)


class Switchboard:
    """Stands for Temporal's client: collects what workflows are told, in order."""

    def __init__(self) -> None:
        self.signals: deque[tuple[str, str, BaseModel]] = deque()
        self.started: dict[str, BaseModel] = {}
        self.failed: set[str] = set()

    async def start_workflow(self, name: str, arg: BaseModel, **options: Any) -> None:
        workflow_id = options["id"]
        if (
            options["id_reuse_policy"] is not WorkflowIDReusePolicy.ALLOW_DUPLICATE
            and workflow_id in self.started
            and workflow_id not in self.failed
        ):
            raise WorkflowAlreadyStartedError(workflow_id, name)
        self.started[workflow_id] = arg
        if "start_signal" in options:
            (what,) = options["start_signal_args"]
            self.signals.append((workflow_id, options["start_signal"], what))
        else:
            self.signals.append((workflow_id, "start", arg))

    def get_workflow_handle(self, workflow_id: str) -> _Handle:
        return _Handle(self, workflow_id)

    async def signal(self, workflow_id: str, name: str, what: BaseModel) -> None:
        self.signals.append((workflow_id, name, what))


SMALL = {"S1": ("P01", "P05", "P08"), "S2": ("P18", "P19"), "S3": ("P17", "P21", "P23")}
"""Of each kind of claim one: paid in two copies of one 835, rejected and mended, no-show; denied
and mended, inactive; underpaid, patient pays later, authorization missing."""


PEOPLE = {
    "R. Lee": people.Role.SUPERVISOR,
    "S. Kim": people.Role.SUPERVISOR,
    "front-desk": people.Role.BILLER,
}
"""Who has been let in, and may decide about money by their roles."""

_on_file: dict[bytes, bytes] = {}
"""Databases by the practice that is in them; made once each, since that takes a while."""
_NOBODYS = b""


def connect(url: str) -> Database:
    """A SQLite database that need not outlive the test, so that no disk is waited for."""
    database = Database.connect(url, KEYRING, short=True)

    @event.listens_for(database._engine.sync_engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        connection.cursor().execute("PRAGMA synchronous = OFF")

    return database


async def _practice_on_file(folder: Path, samples: Path) -> bytes:
    """A database that holds the practice and nothing else."""
    content = (samples / "practice.json").read_bytes()
    if content not in _on_file:
        path = folder / "practice.db"
        if _NOBODYS not in _on_file:
            migrate(f"sqlite:///{path}")
            _on_file[_NOBODYS] = path.read_bytes()
        path.write_bytes(_on_file[_NOBODYS])
        database = connect(f"sqlite:///{path}")
        file = PracticeFile.model_validate_json(content)
        async with database.transaction() as tx:
            await practice.load_practice(tx, file)
            for name, role in PEOPLE.items():
                await people.add_user(tx, people.Account(name=name, subject=name), role, START)
        await database.close()
        _on_file[content] = path.read_bytes()
    return _on_file[content]


class House:
    """Everything, loaded with a part of the sample practice, at eight of the first morning."""

    def __init__(
        self,
        folder: Path,
        rosters: Mapping[str, tuple[str, ...]] = SMALL,
        *,
        careless: bool = False,
        samples: Path = SAMPLES,
        payers: bytes | None = None,
        invented_books: bool = False,
    ) -> None:
        """``payers`` stand in for those of the samples. ``invented_books``: the test writes what no
        claim has led to, so the books are not looked over in the end."""
        self._invented_books = invented_books
        self._payers = (samples / "payers.json").read_bytes() if payers is None else payers
        self._folder = folder
        self._samples = samples
        (folder / "letters").mkdir(exist_ok=True)
        self.rosters = rosters
        self._careless = careless
        self.failing = timedelta(0)
        self.switchboard = Switchboard()
        self.states: dict[str, ClaimState] = {}
        self.batch_looks: Counter[str] = Counter()
        self._environment = ActivityEnvironment()
        self.run: Callable[..., Awaitable[Any]] = self._environment.run
        self.acts: Callable[..., Awaitable[Any]] = self._serve
        """How an activity, and what a person asks for, are carried out: whoever has workers die
        puts another in its place."""

    async def __aenter__(self) -> House:
        path = self._folder / "groupclaim.db"
        path.write_bytes(await _practice_on_file(self._folder, self._samples))
        url = f"sqlite:///{path}"
        self.database = connect(url)
        # Those who move the clock, pay or put something on file do not die with a worker.
        self.quietly = self.database.transaction
        self.clock = PracticeClock(connect(url))
        await self.clock.set_stored(START)
        self.log_path = self._folder / "raw.jsonl"
        self.open_clearinghouse(START)
        # Whoever asks finds the clearinghouse that is open then.
        door = httpx2.ASGITransport(lambda *said: self.application(*said))
        self.clearinghouse = HttpClearinghouse(_URL, SecretStr("practice"), transport=door)
        self.outside = Outside(
            database=self.database,
            clearinghouse=self.clearinghouse,
            notes=JsonNotes(self._write_notes()),
            policies=_POLICIES,
            fees=_FEES,
            edits=_EDITS,
            calendar=_CALENDAR,
            playbook=_PLAYBOOK,
            letters=PickUpFolder(self._folder / "letters"),
            client=cast(Client, self.switchboard),
            task_queue="tests",
        )
        self.offered = [
            (getattr(activity, "__temporal_activity_definition").name, activity)
            for activity in every_activity(self.outside)
        ]
        self.activities: dict[str, Callable[..., Any]] = dict(self.offered)
        sessions = SessionFile.model_validate_json(json.dumps(self._scheduled())).root
        async with self.database.transaction() as tx:
            added = await practice.add_sessions(tx, sessions, START)
            self.connection_id = (await practice.connection_ids(tx))[0]
        self.sessions = {
            session.ref: added_one.session_id
            for session, added_one in zip(sessions, added, strict=True)
        }
        self.connection = steps.ConnectionRef(connection_id=self.connection_id)
        return self

    def open_clearinghouse(self, at: datetime) -> None:
        """Open the simulated clearinghouse as its log knows it, with no faults in force."""
        self.payers_clock = DrivenClock(at)
        self.application = create_application(
            parse_world(self._payers),
            self.log_path,
            clock=self.payers_clock,
            token="practice",
            control_token="control",
            accept_everything=self._careless,
        )

    def _scheduled(self) -> list[dict[str, Any]]:
        listed = json.loads((self._samples / "sessions.json").read_text())
        return [
            {
                **session,
                "roster": self.rosters[session["ref"]],
                "other_services": [
                    item
                    for item in session["other_services"]
                    if item["patient"] in self.rosters[session["ref"]]
                ],
            }
            for session in listed
            if session["ref"] in self.rosters
        ]

    def happenings(self) -> list[dict[str, Any]]:
        """What the outside world does to the patients who are on the rosters here."""
        return [
            {
                **item,
                "participants": [
                    entry
                    for entry in item.get("participants", ())
                    if entry["patient"] in self.rosters[item["session"]]
                ],
            }
            for item in json.loads((self._samples / "outside.json").read_text())["events"]
            if item["kind"] == "authorization_recorded"
            or (
                item["session"] in self.rosters
                and item.get("patient", self.rosters[item["session"]][0])
                in self.rosters[item["session"]]
            )
        ]

    def _write_notes(self) -> Path:
        """The notes, with the size that the group has here."""
        notes = json.loads((self._samples / "notes.json").read_text())
        for item in self.happenings():
            if item["kind"] == "attendance":
                size = sum(entry["status"] == "attended" for entry in item["participants"])
                for note in notes[item["session"]].values():
                    note["group_size"] = size
        path = self._folder / "notes.json"
        path.write_text(json.dumps(notes))
        return path

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.clearinghouse.close()
        await self.database.close()
        if kind is None and not self._invented_books:
            # Each test here is a fault or none: what it leaves behind is looked over whole.
            url = f"sqlite:///{self._folder / 'groupclaim.db'}"
            wire = self.log_path if self.log_path.exists() else None
            found = await broken(url, self.database.keyring, wire=wire, moving=False)
            assert not found, found

    # --- one step at a time

    async def perform(
        self,
        step: steps.Step[Any, Any],
        what: BaseModel,
        attempt: str = "1",
        *,
        failing: timedelta | None = None,
    ) -> Any:
        """Run one activity as a worker would, again after each death; ``attempt`` is its id,
        ``failing`` how long it has been tried before."""
        first = ActivityEnvironment.default_info()
        again = first.scheduled_time + (self.failing if failing is None else failing)
        self._environment.info = replace(
            first, activity_id=attempt, current_attempt_scheduled_time=again
        )
        while True:
            try:
                return await self.run(self.activities[step.name], what)
            except Killed:
                continue

    def unleash(self, reaper: Reaper) -> None:
        """From now on workers die."""
        reaper.surround_transactions(self.database)
        for name in ("ask_eligibility", "send_batch", "list_batches", "list_mailbox", "download",
                     "acknowledge"):  # fmt: skip
            reaper.surround(self.clearinghouse, name)
        reaper.surround(self.switchboard, "start_workflow")
        reaper.surround(self.switchboard, "signal")

    async def claim_of(self, session: str, patient: str) -> str:
        async with self.database.reading() as reading:
            return await claims.claim_of(
                reading, self.sessions[session], KEYRING.patient_id(patient)
            )

    async def rows(self, query: Any) -> list[Any]:
        async with self.database.reading() as reading:
            return list(await reading.rows(query))

    async def spoiled(self) -> list[dict[str, Any]]:
        """The faults of the simulated clearinghouse that still have turns."""
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.application), base_url=_URL
        ) as client:
            answer = await client.get(
                "/control/faults", headers={"Authorization": "Bearer control"}
            )
        return list(answer.json()["rules"])

    async def spoil(self, *rules: dict[str, Any]) -> None:
        """Put faults of the simulated clearinghouse in force."""
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.application), base_url=_URL
        ) as client:
            response = await client.put(
                "/control/faults",
                json={"rules": list(rules)},
                headers={"Authorization": "Bearer control"},
            )
            response.raise_for_status()

    def wire(self) -> list[dict[str, Any]]:
        """The simulator's raw log."""
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    async def move_to(self, instant: datetime) -> None:
        await self.clock.move_to(instant)
        self.payers_clock.advance(instant)

    # --- what workflows do

    async def happens(self, claim_number: str, event: events.Event | None = None) -> None:
        """Carry an event through a claim, until it waits again; None opens the claim."""
        state = self.states.get(claim_number) or ClaimState(claim_number=claim_number)
        to_do = deque(opened(state)) if event is None else deque()
        while True:
            if to_do:
                event = await self.perform(
                    steps.CLAIM_STEPS[to_do.popleft()],
                    steps.ClaimStep(
                        claim_number=claim_number,
                        **{
                            name: getattr(state, name)
                            for name in steps.ClaimStep.model_fields
                            if name != "claim_number"
                        },
                    ),
                )
            if event is None:
                break
            state, effects = transition(state, event)
            event = None
            to_do.extend(effects)
        self.states[claim_number] = state
        await self.perform(steps.RECORD_PROGRESS, steps.ClaimProgress(state=state))

    async def open_sessions(self) -> None:
        for session_id in self.sessions.values():
            roster = await self.perform(steps.LOAD_ROSTER, steps.SessionRef(session_id=session_id))
            for entry in roster.entries:
                await self.happens(entry.claim_number)

    def next_signal(self) -> tuple[str, str, BaseModel]:
        """Whose turn it is: theirs who were told first."""
        return self.switchboard.signals.popleft()

    async def settle(self) -> None:
        """Carry out all signals, and what they lead to."""
        while self.switchboard.signals:
            workflow_id, name, what = self.next_signal()
            kind, _, key = workflow_id.partition("/")
            if kind == "claim" and isinstance(what, events.Event):
                await self.happens(key, what)
            elif kind == "batch":
                await self.perform(steps.NEXT_CUTOFF, self.connection)
            elif kind == "inbound" and isinstance(what, steps.FileRef):
                await self.take_in(what)
            elif kind == "dispute":
                await self.perform(steps.LOOK_AT_DISPUTE, steps.DisputeLook(case_id=int(key)))
            else:
                assert (kind, name) == ("837", "acknowledged")

    async def take_in(self, file: steps.FileRef) -> None:
        contents = await self.perform(steps.READ_FILE, file)
        if contents.acknowledgments:
            await self.perform(steps.ROUTE_ACKNOWLEDGMENTS, file)
        if contents.payments:
            payments = await self.perform(steps.REGISTER_REMITTANCES, file)
            for remittance_id in payments.new:
                ref = steps.RemittanceRef(remittance_id=remittance_id)
                posted = await self.perform(steps.POST_REMITTANCE, ref)
                if posted.state == "posted":
                    await self.perform(steps.ANNOUNCE_REMITTANCE, ref)
        if not contents.stays:
            await self.perform(steps.ACKNOWLEDGE_FILE, file)

    async def cut(self, attempt: str) -> steps.BatchRef | None:
        cut = await self.perform(steps.CUT_BATCH, self.connection, attempt)
        return steps.BatchRef(batch_id=cut.batch_id) if cut.batch_id else None

    async def send(self, batch: steps.BatchRef) -> None:
        """Send until it is known what became of it; the clock moves on while it is in doubt."""
        await self.perform(steps.BUILD_BATCH, batch)
        outcome = "absent"
        while outcome != "received":
            if outcome == "absent":
                sent = await self.perform(steps.SEND_BATCH, batch)
                outcome = "received" if sent.outcome == "accepted" else "unknown"
                assert sent.outcome != "refused"
            else:
                await self.move_to(max(sent.next_at, await self.clock.now()))
                sent = await self.perform(steps.RECONCILE_BATCH, batch)
                outcome = sent.outcome
        await self.perform(
            steps.ANNOUNCE_BATCH, steps.Announce(batch_id=batch.batch_id, accepted=True)
        )
        await self.settle()

    async def until_sent(self) -> None:
        """Open the sessions, let everyone come and every note be signed, send the first batch."""
        await self.open_sessions()
        await self.hand_in()
        batch = await self.cut("1")
        assert batch is not None
        await self.send(batch)

    async def hand_in(self, *sessions: str) -> None:
        """Who came to these sessions, or to all of them, and that all their notes are signed."""
        for item in self.happenings():
            if item["kind"] in ("attendance", "note_signed") and (
                not sessions or item.get("session") in sessions
            ):
                at = datetime.fromisoformat(item["at"])
                await self.move_to(max(at, await self.clock.now()))
                await self.from_outside(item)

    async def poll(self) -> None:
        await self.perform(steps.POLL_MAILBOX, self.connection)
        await self.settle()

    async def wake(self, now: datetime) -> None:
        """Tell every workflow whose moment has come."""
        async with self.database.reading() as reading:
            due = await due_wakeups(reading, now)
        for workflow_id, due_at in due:
            async with self.quietly() as tx:
                await clear_wakeup(tx, workflow_id, due_at)
            kind, _, key = workflow_id.partition("/")
            if kind == "claim":
                at = self.states[key].due_at
                if at != due_at:  # what came before in this round has set another
                    continue
                await self.happens(key, events.DeadlinePassed(at=at, key=f"due:{at}"))
            elif kind == "batch":
                batch = await self.cut(now.isoformat())
                if batch is not None:
                    await self.send(batch)
            elif kind == "837":
                self.batch_looks[key] += 1
                alert = steps.BatchAlert(batch_id=key, follow_ups=self.batch_looks[key])
                await self.perform(steps.FOLLOW_UP_BATCH, alert)
            elif kind == "dispute":
                look = steps.DisputeLook(case_id=int(key), follow_ups=1)
                await self.perform(steps.LOOK_AT_DISPUTE, look)
            elif kind == "session":
                await self.perform(
                    steps.FOLLOW_UP_ATTENDANCE, steps.SessionAlert(session_id=key, follow_ups=1)
                )
        await self.settle()

    async def next_delivery(self) -> datetime | None:
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.application), base_url=_URL
        ) as client:
            answer = await client.get("/control/next", headers={"Authorization": "Bearer control"})
        text = answer.json()["next_at"]
        return datetime.fromisoformat(text) if text else None

    async def next_wakeup(self) -> datetime | None:
        async with self.database.reading() as reading:
            return await next_wakeup(reading)

    # --- what people do

    async def _serve(self, act: Callable[..., Awaitable[Any]], *given: Any, **more: Any) -> Any:
        """What a person asks for; once more after each death of whoever serves them."""
        while True:
            try:
                return await act(*given, **more)
            except Killed:
                continue

    async def from_outside(self, item: dict[str, Any]) -> None:
        """One event of samples/outside.json."""
        await getattr(self, f"_{item['kind']}")(item, datetime.fromisoformat(item["at"]))
        await self.settle()

    async def _attendance(self, item: dict[str, Any], at: datetime) -> None:
        await self.perform(
            steps.RECORD_ATTENDANCE,
            steps.RecordAttendance.model_validate(
                {
                    "session_id": self.sessions[item["session"]],
                    "by": "front-desk",
                    "entries": [
                        {
                            "patient_id": KEYRING.patient_id(entry["patient"]),
                            "status": entry["status"],
                            "minutes": entry["minutes"],
                            "copay_cents": entry.get("copay_cents", 0),
                        }
                        for entry in item["participants"]
                    ],
                }
            ),
        )

    async def _note_signed(self, item: dict[str, Any], at: datetime) -> None:
        number = await self.claim_of(item["session"], item["patient"])
        await self.happens(number, events.FactLearned(at=at, fact="note"))

    async def _authorization_recorded(self, item: dict[str, Any], at: datetime) -> None:
        given = Authorization.model_validate_json(json.dumps(item["authorization"]))
        async with self.quietly() as tx:
            loaded = await practice.record_authorization(tx, given)
            numbers = await claims.open_claims(tx, loaded.patients)
        for number in numbers:
            await self.happens(number, events.FactLearned(at=at, fact="authorization"))

    async def _hold_released(self, item: dict[str, Any], at: datetime) -> None:
        number = await self.claim_of(item["session"], item["patient"])
        recorded = await self.perform(
            steps.RECORD_DECISION,
            steps.ClaimDecision(
                claim_number=number,
                code=item["code"],
                by=item["by"],
                reason=item["reason"],
                request=item["at"],
            ),
        )
        await self.happens(
            number,
            events.HoldReleased(at=recorded.at, key=f"release:{item['at']}", code=item["code"]),
        )

    async def _patient_payment(self, item: dict[str, Any], at: datetime) -> None:
        number = await self.claim_of(item["session"], item["patient"])
        async with self.quietly() as tx:
            await ledger.book_patient_payment(tx, number, item["cents"], item["at"], at)
        await self.happens(number, events.PatientPaid(at=at, key=f"paid:{item['at']}"))
