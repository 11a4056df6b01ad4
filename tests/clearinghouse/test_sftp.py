"""The SFTP adapter against the simulator's server: what each failure lets one know afterwards."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from groupclaim.clearinghouse import sftp as adapter
from groupclaim.clearinghouse.port import NoAnswer, NotTaken, Unreachable
from groupclaim.clearinghouse.sftp import LoginRefused, SftpFiles, SftpLogin
from groupclaim.simulator import sftp as simulated
from groupclaim.simulator.clearinghouse import Clearinghouse
from groupclaim.simulator.clock import DrivenClock
from groupclaim.simulator.faults import FaultRules, Faults
from groupclaim.simulator.raw_log import RawLog
from groupclaim.simulator.world import parse_world
from tests.simulator.conftest import WORLD, Practice
from tests.temporal import PATIENCE_SECONDS

START = datetime(2026, 2, 2, 15, tzinfo=UTC)
PASSWORD = "a-token"


@dataclass
class House:
    """A simulated clearinghouse that listens, and the adapter that talks to it."""

    clock: DrivenClock
    house: Clearinghouse
    faults: Faults
    log: Path
    login: SftpLogin
    files: SftpFiles

    def spoil(self, on: str, kind: str, times: int = 1, seconds: float = 1.0) -> None:
        rule = {"on": on, "kind": kind, "times": times, "seconds": seconds}
        self.faults.replace(FaultRules.model_validate({"rules": [rule]}))

    def received(self) -> list[tuple[str, str]]:
        """Name and outcome of every batch that reached the clearinghouse."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [(line["name"], line["outcome"]) for line in lines if line["channel"] == "batch"]

    async def left_over(self) -> list[str]:
        async with _Client(self.login) as sftp:
            names = [str(name) for name in await sftp.listdir("inbound")]
        return [name for name in names if name.endswith(".part")]


class _Client:
    """asyncssh's own client, as anybody would use it."""

    def __init__(self, login: SftpLogin) -> None:
        self._login = login

    async def __aenter__(self) -> asyncssh.SFTPClient:
        self._connection = await asyncssh.connect(
            self._login.host,
            self._login.port,
            username=self._login.user,
            password=self._login.password,
            known_hosts=(list(self._login.host_keys), [], []),
            config=None,
            agent_path=None,
            client_keys=None,
        )
        return await self._connection.start_sftp_client()

    async def __aexit__(self, *_: object) -> None:
        self._connection.close()
        await self._connection.wait_closed()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    log = RawLog(tmp_path / "raw.jsonl")
    clock = DrivenClock(START)
    clearinghouse = Clearinghouse(parse_world(json.dumps(WORLD).encode()), log, clock)
    faults = Faults()
    listener = socket.create_server(("127.0.0.1", 0))
    host_key = simulated.load_or_generate_host_key(tmp_path / "host_key")
    (tmp_path / "login").write_text(PASSWORD + "\n")
    login = SftpLogin.read(
        f"sftp://practice@127.0.0.1:{listener.getsockname()[1]}",
        tmp_path / "host_key.pub",
        tmp_path / "login",
    )
    serving = simulated.serving(
        clearinghouse, faults, listener=listener, host_key=host_key, password=PASSWORD
    )
    async with serving, SftpFiles(login) as files:
        yield House(clock, clearinghouse, faults, tmp_path / "raw.jsonl", login, files)
    log.close()


@pytest.fixture(scope="module")
def batch() -> bytes:
    practice = Practice()
    return practice.batch(7, practice.claim("C1"), practice.claim("C2", "COMM1", "CI0002"))


# --- without faults


async def test_a_batch_is_taken_once_it_bears_its_name(house: House, batch: bytes) -> None:
    receipt = await house.files.send_batch("837P-7.edi", batch)
    digest = sha256(batch).hexdigest()
    assert receipt.sha256 == digest
    assert house.received() == [(f"837P-7-{digest[:12]}.edi", "accepted")]
    assert await house.left_over() == []


async def test_the_listing_shows_a_batch_before_and_after_it_was_moved(
    house: House, batch: bytes
) -> None:
    assert (await house.files.list_batches()).interchanges == ()
    await house.files.send_batch("837P-7.edi", batch)
    for minutes in (0, 14, 15, 600):
        house.clock.advance(START + timedelta(minutes=minutes))
        listing = await house.files.list_batches()
        assert listing.taken_at == START + timedelta(minutes=minutes)
        (listed,) = listing.interchanges
        assert (listed.sender_id, int(listed.control_number)) == ("PRACTICE1", 7)
        assert listed.sha256 == sha256(batch).hexdigest()
        assert listed.received_at == START
    assert await house.left_over() == []


async def test_the_same_bytes_are_not_sent_twice(house: House, batch: bytes) -> None:
    await house.files.send_batch("837P-7.edi", batch)
    for minutes in (0, 15):
        house.clock.advance(START + timedelta(minutes=minutes))
        with pytest.raises(NotTaken) as caught:
            await house.files.send_batch("837P-7.edi", batch)
        assert caught.value.reason == "duplicate"
    assert len(house.received()) == 1


async def test_the_mailbox_is_listed_fetched_and_acknowledged(house: House, batch: bytes) -> None:
    await house.files.send_batch("837P-7.edi", batch)
    assert await house.files.list_mailbox() == ()
    house.clock.advance(START + timedelta(minutes=15))
    listed = await house.files.list_mailbox()
    assert {file.name[:4] for file in listed} == {"TA1-", "999-"}
    assert all(file.created_at == START + timedelta(minutes=15) for file in listed)
    for file in listed:
        content = await house.files.download(file)
        assert content is not None
        assert sha256(content).hexdigest() == file.sha256
        # Another process does not know what this one has listed.
        async with SftpFiles(house.login) as another:
            assert await another.list_mailbox() == await house.files.list_mailbox()
            await another.acknowledge(file.id)
        assert await house.files.download(file) is None
        await house.files.acknowledge(file.id)
    assert await house.files.list_mailbox() == ()


async def test_a_listing_reads_a_file_only_once(
    house: House, batch: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.files.send_batch("837P-7.edi", batch)
    house.clock.advance(START + timedelta(minutes=15))
    first = await house.files.list_mailbox(), await house.files.list_batches()
    delivered = house.log.read_text().count('"delivered"')
    assert (await house.files.list_mailbox(), await house.files.list_batches()) == first
    assert house.log.read_text().count('"delivered"') == delivered == 2


# --- a file that is still being written by the clearinghouse


async def test_a_file_that_grows_is_another_file(
    house: House, batch: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched too early is kept beside the whole file, never instead of it."""
    shown = {"999-1.edi": simulated._File(b"ISA*00*half", START, "x")}
    monkeypatch.setattr(simulated, "_shown", lambda _: shown)
    monkeypatch.setattr(house.house, "download", lambda _: b"")
    gone: list[str] = []
    monkeypatch.setattr(house.house, "acknowledge", gone.append)
    (half,) = await house.files.list_mailbox()
    shown["999-1.edi"] = simulated._File(b"ISA*00*half and half", START, "x")
    with pytest.raises(Unreachable, match="other_bytes_than_listed"):
        await house.files.download(half)
    await house.files.acknowledge(half.id)
    assert gone == []
    (whole,) = await house.files.list_mailbox()
    assert whole.id != half.id
    assert await house.files.download(whole) == b"ISA*00*half and half"
    await house.files.acknowledge(whole.id)
    assert gone == ["x"]


async def test_unfinished_and_empty_files_are_left_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {"a.edi.part": b"ISA", ".hidden": b"ISA", "empty.edi": b""}
    shown = {name: simulated._File(content, START) for name, content in contents.items()}
    monkeypatch.setattr(simulated, "_shown", lambda _: shown)
    assert await house.files.list_mailbox() == ()


async def test_a_file_that_cannot_be_read_keeps_no_other_waiting(
    house: House, batch: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.files.send_batch("837P-7.edi", batch)
    house.clock.advance(START + timedelta(minutes=15))
    may_open = simulated._Session.open

    async def only_some(self: Any, path: bytes, *more: Any) -> object:
        if b"TA1-" in path:
            raise asyncssh.SFTPPermissionDenied("not yours")
        return await may_open(self, path, *more)

    monkeypatch.setattr(simulated._Session, "open", only_some)
    by_kind = {file.name[:3]: file for file in await house.files.list_mailbox()}
    assert await house.files.download(by_kind["999"])
    with pytest.raises(Unreachable, match="permission_denied"):
        await house.files.download(by_kind["TA1"])
    monkeypatch.setattr(simulated._Session, "open", may_open)
    (good,) = (file for file in await house.files.list_mailbox() if file.name[:3] == "TA1")
    assert await house.files.download(good)
    assert good.id != by_kind["TA1"].id


async def test_a_file_without_end_is_not_fetched_and_keeps_no_other_waiting(
    house: House, batch: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.files.send_batch("837P-7.edi", batch)
    house.clock.advance(START + timedelta(minutes=15))
    short, *_, long = sorted(await house.files.list_mailbox(), key=lambda file: file.size)
    assert short.size < long.size
    house.files._read.clear()
    monkeypatch.setattr(adapter, "_LONGEST_FILE", short.size)
    by_name = {file.name: file for file in await house.files.list_mailbox()}
    assert len(await house.files.download(by_name[short.name]) or b"") == short.size
    with pytest.raises(Unreachable, match="file_too_long"):
        await house.files.download(by_name[long.name])


# --- a sending that goes wrong


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("drop_before", "connection_lost"),
        ("partial_upload", "connection_lost"),
        ("permission_denied", "permission_denied"),
        ("disk_full", "server_failure"),
        # Asked to rename: the temporary file could be removed, so it never will be.
        ("server_error", "server_failure"),
        ("rename_undone", "connection_lost"),
    ],
)
async def test_what_cannot_have_been_taken_may_go_again(
    house: House, batch: bytes, kind: str, reason: str
) -> None:
    house.spoil("batch", kind)
    with pytest.raises(NotTaken) as caught:
        await house.files.send_batch("837P-7.edi", batch)
    assert (caught.value.reason, caught.value.final) == (reason, False)
    assert house.faults.left().rules == ()
    assert house.received() == []
    assert (await house.files.list_batches()).interchanges == ()
    await house.files.send_batch("837P-7.edi", batch)
    assert [outcome for _, outcome in house.received()] == ["accepted"]
    assert await house.left_over() == []


async def test_a_lost_rename_leaves_it_in_doubt_until_a_listing_shows_it(
    house: House, batch: bytes
) -> None:
    house.spoil("batch", "lose_answer")
    with pytest.raises(NoAnswer):
        await house.files.send_batch("837P-7.edi", batch)
    assert [outcome for _, outcome in house.received()] == ["accepted_answer_lost"]
    (listed,) = (await house.files.list_batches()).interchanges
    assert listed.sha256 == sha256(batch).hexdigest()


async def test_an_undone_rename_that_cannot_be_proved_leaves_it_in_doubt(
    house: House, batch: bytes
) -> None:
    """The proof needs the server, and it is out of reach."""
    rules = [
        {"on": "batch", "kind": "rename_undone", "times": 1},
        {"on": "connection", "kind": "changed_host_key", "times": 1},
    ]

    async def undone(self: Any, *more: Any) -> None:
        house.faults.replace(FaultRules.model_validate({"rules": rules[1:]}))
        self._cut()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated._Session, "rename", undone)
        with pytest.raises(NoAnswer):
            await house.files.send_batch("837P-7.edi", batch)
    assert house.received() == []
    assert len(await house.left_over()) == 1
    # Sent again after its absence was proved: what was left over is removed first.
    await house.files.send_batch("837P-7.edi", batch)
    assert await house.left_over() == []


async def test_a_rename_by_second_name_that_was_not_finished_leaves_it_in_doubt(
    house: House, batch: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSH renames by linking the new name and removing the old one."""

    async def half(self: Any, old: bytes, new: bytes) -> None:
        upload = self._shared.unfinished[old.decode().split("/")[-1]]
        house.house.receive(new.decode().split("/")[-1], bytes(upload.content))
        self._cut()

    monkeypatch.setattr(simulated._Session, "rename", half)
    with pytest.raises(NoAnswer):
        await house.files.send_batch("837P-7.edi", batch)


async def test_a_slow_rename_is_in_doubt_and_a_slow_enough_one_is_not(
    house: House, batch: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.spoil("batch", "slow", seconds=0.3)
    await house.files.send_batch("837P-7.edi", batch)
    house.spoil("batch", "slow", seconds=10 * PATIENCE_SECONDS)
    patience = 0.5
    while (reason := await _gave_up(house, patience, monkeypatch)) is not None:
        # It never came to renaming: this machine takes more time for what is before it.
        assert (reason, patience < PATIENCE_SECONDS) == ("timed_out", True)
        patience *= 4
    assert [outcome for _, outcome in house.received()] == ["accepted", "accepted"]


async def _gave_up(house: House, seconds: float, patch: pytest.MonkeyPatch) -> str | None:
    """None where the sending that was given up is in doubt, else why nothing was taken."""
    patch.setattr(adapter, "_SEND_SECONDS", seconds)
    with pytest.raises((NoAnswer, NotTaken)) as caught:
        await house.files.send_batch("837P-8.edi", Practice().batch(8, Practice().claim("C3")))
    return caught.value.reason if isinstance(caught.value, NotTaken) else None


async def test_other_bytes_than_sent_are_not_renamed(
    house: House, batch: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many bytes, one of them wrong, and the server says that all is well."""

    async def flips(self: Any, file_obj: Any, offset: int, data: bytes) -> int:
        file_obj.content[offset : offset + len(data)] = data[:-1] + b"?"
        return len(data)

    monkeypatch.setattr(simulated._Session, "write", flips)
    with pytest.raises(NotTaken) as caught:
        await house.files.send_batch("837P-7.edi", batch)
    assert caught.value.reason == "other_bytes_than_sent"
    assert house.received() == []


async def test_what_the_clearinghouse_refuses_is_not_taken(house: House) -> None:
    with pytest.raises(NotTaken) as caught:
        await house.files.send_batch("837P-7.edi", b"no X12")
    assert caught.value.reason == "server_failure"
    assert [outcome for _, outcome in house.received()] == ["refused"]
    assert await house.left_over() == []


# --- whom one talks to


async def test_a_changed_host_key_is_never_believed(house: House, batch: bytes) -> None:
    house.spoil("connection", "changed_host_key", times=3)
    with pytest.raises(NotTaken) as caught:
        await house.files.send_batch("837P-7.edi", batch)
    assert caught.value.reason == "host_key_changed"
    for ask in (house.files.list_mailbox, house.files.list_batches):
        with pytest.raises(Unreachable, match="host_key_changed"):
            await ask()
    assert house.received() == []
    await house.files.send_batch("837P-7.edi", batch)


async def test_a_host_key_of_another_kind_is_a_changed_one(house: House, batch: bytes) -> None:
    known = asyncssh.generate_private_key("ecdsa-sha2-nistp256").convert_to_public()
    async with SftpFiles(replace(house.login, host_keys=(known,))) as files:
        with pytest.raises(NotTaken, match="host_key_changed"):
            await files.send_batch("837P-7.edi", batch)


async def test_a_refused_login_says_so(house: House, batch: bytes) -> None:
    for change in ({"password": "wrong"}, {"user": "somebody"}):
        async with SftpFiles(replace(house.login, **change)) as files:
            with pytest.raises(NotTaken, match="login_refused"):
                await files.send_batch("837P-7.edi", batch)
            with pytest.raises(Unreachable, match="login_refused"):
                await files.list_mailbox()


async def test_a_server_that_is_not_there_has_taken_nothing(house: House, batch: bytes) -> None:
    async with SftpFiles(replace(house.login, port=1)) as files:
        with pytest.raises(NotTaken):
            await files.send_batch("837P-7.edi", batch)
        with pytest.raises(Unreachable):
            await files.list_batches()


async def test_a_server_that_says_nothing_is_given_up(
    house: House, batch: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    otherwise = adapter._CONNECT_SECONDS
    monkeypatch.setattr(adapter, "_CONNECT_SECONDS", 0.3)
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with SftpFiles(replace(house.login, port=silent.getsockname()[1])) as files:
            with pytest.raises(NotTaken, match="timed_out"):
                await files.send_batch("837P-7.edi", batch)
            with pytest.raises(Unreachable, match="timed_out"):
                await files.list_mailbox()
    assert time.monotonic() - began < otherwise


# --- questions that go wrong


@pytest.mark.parametrize("kind", ["drop_before", "lose_answer", "server_error"])
async def test_a_question_without_an_answer_is_unreachable_and_the_next_one_works(
    house: House, batch: bytes, kind: str
) -> None:
    await house.files.send_batch("837P-7.edi", batch)
    house.clock.advance(START + timedelta(minutes=15))
    house.spoil("mailbox", kind)
    with pytest.raises(Unreachable):
        await house.files.list_mailbox()
    file, *_ = await house.files.list_mailbox()
    house.spoil("mailbox", kind)
    with pytest.raises(Unreachable):
        await house.files.download(file)
    assert await house.files.download(file)


@pytest.mark.parametrize("kind", ["lose_answer", "drop_before"])
async def test_an_acknowledgment_may_be_repeated(house: House, batch: bytes, kind: str) -> None:
    await house.files.send_batch("837P-7.edi", batch)
    house.clock.advance(START + timedelta(minutes=15))
    files = await house.files.list_mailbox()
    listing = simulated.look_into_mailbox

    async def only_the_removal_fails(*given: Any) -> Any:
        left = house.faults.left()
        house.faults.replace(FaultRules(rules=()))
        shown = await listing(*given)
        house.faults.replace(left)
        return shown

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated, "look_into_mailbox", only_the_removal_fails)
        house.spoil("mailbox", kind)
        with pytest.raises(Unreachable):
            await house.files.acknowledge(files[0].id)
    await house.files.acknowledge(files[0].id)
    assert await house.files.list_mailbox() == files[1:]


async def test_a_slow_question_is_given_up_and_the_connection_with_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.spoil("mailbox", "slow", seconds=10 * PATIENCE_SECONDS)
    with monkeypatch.context() as patched:
        patched.setattr(adapter, "_READ_SECONDS", 0.5)
        with pytest.raises(Unreachable, match="timed_out"):
            await house.files.list_mailbox()
    assert await house.files.list_mailbox() == ()


async def test_an_unreadable_interchange_makes_no_listing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing without it would prove the absence of what may be there."""

    async def finished(self: Any, folder: str) -> dict[str, simulated._File]:
        return {"837P-7.edi": simulated._File(b"ISA*00", START)} if folder == "/taken" else {}

    monkeypatch.setattr(simulated.SftpHouse, "finished", finished)
    with pytest.raises(Unreachable, match="unreadable_interchange"):
        await house.files.list_batches()


# --- the login


def test_a_login_names_everything_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    (tmp_path / "login").write_text("two\nlines")
    with pytest.raises(LoginRefused) as caught:
        SftpLogin.read("sftp://u:secret@host", tmp_path / "keys", tmp_path / "login")
    text = str(caught.value)
    assert [part.split(":")[0] for part in text.split("; ")] == ["address", "host key", "login"]
    assert "secret" not in text
    assert "two" not in text


@pytest.mark.parametrize(
    "address", ["ftp://u@h", "sftp://h", "sftp://u@h/folder", "sftp://u@h:99999", "sftp://u@", ""]
)
def test_an_address_has_user_and_host_and_nothing_else(address: str, tmp_path: Path) -> None:
    (tmp_path / "login").write_text("p")
    simulated.load_or_generate_host_key(tmp_path / "k")
    with pytest.raises(LoginRefused, match=r"^address: [^;]*$"):
        SftpLogin.read(address, tmp_path / "k.pub", tmp_path / "login")


def test_a_private_key_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    simulated.load_or_generate_host_key(tmp_path / "k")
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "login").write_bytes(key.export_private_key("pkcs8-pem", passphrase="secret"))
    with pytest.raises(LoginRefused, match="passphrase"):
        SftpLogin.read("sftp://u@h", tmp_path / "k.pub", tmp_path / "login")


def test_a_password_shows_in_no_text(house: House) -> None:
    assert PASSWORD not in repr(house.login)
