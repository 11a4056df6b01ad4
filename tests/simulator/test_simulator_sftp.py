"""The clearinghouse over SFTP, used by clients that others wrote; and the real process."""

from __future__ import annotations

import json
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import httpx2
import pytest

from groupclaim.simulator import sftp
from groupclaim.simulator.clearinghouse import Clearinghouse
from groupclaim.simulator.clock import DrivenClock
from groupclaim.simulator.faults import FaultRules, Faults
from groupclaim.simulator.raw_log import RawLog
from groupclaim.simulator.world import World
from tests.temporal import PATIENCE_SECONDS

START = datetime(2026, 2, 2, 15, tzinfo=UTC)
CONTROL = {"Authorization": "Bearer control-token"}


@asynccontextmanager
async def connected(
    port: int, host_key: Path, **login: Any
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    options = {"username": "practice", "password": "practice-token", "client_keys": None, **login}
    known = (asyncssh.read_public_key_list(str(host_key)), [], [])
    connection = await asyncssh.connect(
        "127.0.0.1", port, known_hosts=known, config=None, agent_path=None, **options
    )
    async with connection:
        yield connection


@pytest.fixture
async def connection(
    world: World, tmp_path: Path
) -> AsyncIterator[tuple[asyncssh.SSHClientConnection, DrivenClock, Faults]]:
    log = RawLog(tmp_path / "raw.jsonl")
    clock, faults = DrivenClock(START), Faults()
    listener = socket.create_server(("127.0.0.1", 0))
    key = sftp.load_or_generate_host_key(tmp_path / "host_key")
    async with (
        sftp.serving(
            Clearinghouse(world, log, clock),
            faults,
            listener=listener,
            host_key=key,
            password="practice-token",
        ),
        connected(listener.getsockname()[1], tmp_path / "host_key.pub") as connection,
    ):
        yield connection, clock, faults
    log.close()


def test_no_request_reaches_the_files_of_this_machine() -> None:
    """asyncssh's own server answers from the real file system whatever is not overridden."""
    harmless = {
        "channel", "connection", "env", "logger", "convert_attrs", "format_user", "format_group",
        "format_longname", "reverse_map_path", "exit",
    }  # fmt: skip
    answered = {name for name in vars(asyncssh.SFTPServer) if not name.startswith("_")}
    assert answered - harmless == {name for name in vars(sftp._Session) if name in answered}


async def test_a_batch_goes_up_and_its_acknowledgments_come_down(
    connection: Any, practice: Any, tmp_path: Path
) -> None:
    ssh, clock, _ = connection
    content = practice.batch(1, practice.claim("C1A"))
    (tmp_path / "b1.edi").write_bytes(content)
    async with ssh.start_sftp_client() as client:
        assert sorted(await client.listdir("/")) == [".", "..", "inbound", "outbound", "taken"]
        await client.put(str(tmp_path / "b1.edi"), "/inbound/b1.edi.part", preserve=True)
        assert (await client.stat("inbound/b1.edi.part")).size == len(content)
        await client.rename("/inbound/b1.edi.part", "/inbound/b1.edi")
        assert await client.exists("/inbound/b1.edi")
        clock.advance(datetime(2026, 2, 2, 15, 15, tzinfo=UTC))
        assert not await client.exists("/inbound/b1.edi")
        async with client.open("/taken/b1.edi", "rb") as taken:
            assert await taken.read() == content
        assert int((await client.stat("/taken/b1.edi")).mtime) == START.timestamp()
        await client.mget("/outbound/*", str(tmp_path))
        (ta1,) = (name for name in await client.listdir("outbound") if name.startswith("TA1-"))
        assert (tmp_path / ta1).read_bytes().startswith(b"ISA*")
        await client.remove(f"/outbound/{ta1}")
        left = [name for name in await client.listdir("/outbound") if not name.startswith(".")]
        assert [name[:4] for name in left] == ["999-"]
    log = [json.loads(line) for line in (tmp_path / "raw.jsonl").read_text().splitlines()]
    assert [(line["channel"], line["outcome"]) for line in log] == [
        ("batch", "accepted"),
        ("mailbox", "delivered"),
        ("mailbox", "delivered"),
        ("mailbox", "accepted"),
    ]


async def test_what_is_not_the_practice_s_to_change_is_refused(
    connection: Any, practice: Any
) -> None:
    ssh, _, _ = connection
    async with ssh.start_sftp_client() as client:
        async with client.open("inbound/b1.edi.part", "wb") as upload:
            await upload.write(practice.batch(1, practice.claim("C1A")))
        await client.rename("inbound/b1.edi.part", "inbound/b1.edi")
        for refused in (
            client.open("inbound/final.edi", "wb"),
            client.open("outbound/x.part", "wb"),
            client.remove("inbound/b1.edi"),
            client.mkdir("inbound/folder"),
            client.rmdir("outbound"),
            client.chmod("inbound/b1.edi", 0o777),
        ):
            with pytest.raises(asyncssh.SFTPPermissionDenied):
                await refused
        for missing in ("/etc/passwd", "../../etc/passwd", "inbound/../../etc/passwd"):
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await client.open(missing, "rb")
        async with client.open("inbound/b1.edi.part", "wb") as upload:
            await upload.write(b"something else")
        with pytest.raises(asyncssh.SFTPFailure, match="exists"):
            await client.rename("inbound/b1.edi.part", "inbound/b1.edi")
        with pytest.raises(asyncssh.SFTPFailure, match="UnreadableInterchange"):
            await client.rename("inbound/b1.edi.part", "inbound/b2.edi")
        assert await client.exists("inbound/b1.edi.part")


async def test_nothing_but_sftp_is_behind_the_door(connection: Any) -> None:
    ssh, _, _ = connection
    with pytest.raises(asyncssh.ChannelOpenError):
        await ssh.run("id", check=True)
    with pytest.raises(asyncssh.ChannelOpenError):
        await ssh.open_connection("127.0.0.1", 22)


async def test_the_disk_has_an_end(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh, _, _ = connection
    monkeypatch.setattr(sftp, "_DISK_BYTES", 100_000)
    async with ssh.start_sftp_client() as client:
        with pytest.raises(asyncssh.SFTPFailure, match="no space"):
            async with client.open("inbound/b1.edi.part", "wb") as upload:
                await upload.write(bytes(100_001))
        await client.remove("inbound/b1.edi.part")
        async with client.open("inbound/b1.edi.part", "wb") as upload:
            await upload.write(bytes(100_000))


async def test_the_mailbox_in_disorder(connection: Any, practice: Any) -> None:
    ssh, clock, faults = connection
    async with ssh.start_sftp_client() as client:
        async with client.open("inbound/b1.edi.part", "wb") as upload:
            await upload.write(practice.batch(1, practice.claim("C1A")))
        await client.rename("inbound/b1.edi.part", "inbound/b1.edi")
        clock.advance(datetime(2026, 2, 2, 15, 15, tzinfo=UTC))

        async def looked(kind: str) -> list[str]:
            rule = {"on": "mailbox", "kind": kind, "times": 1}
            faults.replace(FaultRules.model_validate({"rules": [rule]}))
            return [name for name in await client.listdir("outbound") if name[0] != "."]

        in_order = await looked("slow")
        assert await looked("out_of_order") == in_order[::-1]
        assert len(await looked("duplicate")) == 3
        assert any(name.startswith("garbage") for name in await looked("malformed"))


def test_the_host_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "host_key"
    made = sftp.load_or_generate_host_key(path)
    assert sftp.load_or_generate_host_key(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert asyncssh.read_public_key(str(tmp_path / "host_key.pub")) == made.convert_to_public()


# --- the process


@contextmanager
def process(folder: Path, world: dict[str, Any], *options: str) -> Iterator[dict[str, int]]:
    files = {
        "payers.json": json.dumps(world),
        "token": "practice-token\n",
        "control-token": "control-token\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "groupclaim.simulator", "--clock", START.isoformat()]
    command += ["--payers", str(folder / "payers.json"), "--log", str(folder / "raw.jsonl")]
    command += ["--token-file", str(folder / "token")]
    command += ["--control-token-file", str(folder / "control-token")]
    command += ["--sftp-port", "0", "--sftp-host-key", str(folder / "host_key"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        try:
            yield json.loads(running.stdout.readline())
            running.terminate()
            _, errors = running.communicate(timeout=PATIENCE_SECONDS)
            assert (running.returncode, errors) == (0, b"")
        finally:
            running.kill()


async def test_both_ways_lead_to_one_clearinghouse_that_remembers(
    tmp_path: Path, world_facts: dict[str, Any], practice: Any
) -> None:
    content = practice.batch(1, practice.claim("C1A"))
    with process(tmp_path, world_facts) as ports:
        async with (
            connected(ports["sftp_port"], tmp_path / "host_key.pub") as ssh,
            ssh.start_sftp_client() as client,
        ):
            async with client.open("inbound/b1.edi.part", "wb") as upload:
                await upload.write(content)
            await client.rename("inbound/b1.edi.part", "inbound/b1.edi")
            async with client.open("inbound/b2.edi.part", "wb") as upload:
                await upload.write(content)
            with pytest.raises(asyncssh.SFTPFailure, match="DuplicateInterchange"):
                await client.rename("inbound/b2.edi.part", "inbound/b2.edi")
        address = f"http://127.0.0.1:{ports['port']}"
        async with httpx2.AsyncClient(base_url=address, timeout=PATIENCE_SECONDS) as http:
            token = {"Authorization": "Bearer practice-token"}
            listed = (await http.get("/batches", headers=token)).json()["interchanges"]
            assert [one["name"] for one in listed] == ["b1.edi"]
            now = {"now": "2026-02-02T15:15:00+00:00"}
            await http.put("/control/clock", json=now, headers=CONTROL)
    with (
        process(tmp_path, world_facts) as ports,
    ):
        async with (
            connected(ports["sftp_port"], tmp_path / "host_key.pub") as ssh,
            ssh.start_sftp_client() as client,
        ):
            assert await client.exists("inbound/b1.edi")


@pytest.mark.skipif(shutil.which("sftp") is None, reason="OpenSSH's sftp is not installed")
def test_openssh_s_sftp_can_use_it(
    tmp_path: Path, world_facts: dict[str, Any], practice: Any
) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "id").touch(mode=0o600)
    (tmp_path / "id").write_bytes(key.export_private_key())
    (tmp_path / "authorized").write_bytes(key.export_public_key())
    (tmp_path / "b1.edi").write_bytes(practice.batch(1, practice.claim("C1A")))
    (tmp_path / "script").write_text(
        f"put {tmp_path}/b1.edi /inbound/b1.edi.part\n"
        "cd inbound\nrename b1.edi.part b1.edi\nls -l\npwd\n"
        f"get b1.edi {tmp_path}/back.edi\n-rm b1.edi\n-put {tmp_path}/b1.edi straight.edi\n"
    )
    with process(
        tmp_path, world_facts, "--sftp-authorized-keys", str(tmp_path / "authorized")
    ) as ports:
        known = (tmp_path / "host_key.pub").read_text()
        (tmp_path / "known").write_text(f"[127.0.0.1]:{ports['sftp_port']} {known}")
        ended = subprocess.run(
            [
                "sftp", "-F", "none", "-b", str(tmp_path / "script"), "-i", str(tmp_path / "id"),
                "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes",
                "-o", f"UserKnownHostsFile={tmp_path / 'known'}",
                "-P", str(ports["sftp_port"]), "practice@127.0.0.1",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "Remote working directory: /inbound" in ended.stdout
    assert (tmp_path / "back.edi").read_bytes() == (tmp_path / "b1.edi").read_bytes()
    assert ended.stderr.lower().count("permission denied") == 2


@pytest.mark.parametrize("broken", ["host key", "authorized", "nowhere"])
def test_the_command_line_refuses_what_it_cannot_use(
    tmp_path: Path, world_facts: dict[str, Any], capfd: Any, broken: str
) -> None:
    from groupclaim.simulator.__main__ import main

    (tmp_path / "payers.json").write_text(json.dumps(world_facts))
    (tmp_path / "token").write_text("practice-token")
    (tmp_path / "host_key").write_text("no key")
    token = str(tmp_path / "token")
    arguments = ["--payers", str(tmp_path / "payers.json"), "--log", str(tmp_path / "raw.jsonl")]
    arguments += ["--token-file", token, "--control-token-file", token, "--wall-clock"]
    arguments += ["--sftp-port", "0"]
    if broken == "nowhere":
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2
        assert "--sftp-host-key" in capfd.readouterr().err
        return
    key, authorized = tmp_path / "fresh", tmp_path / "missing"
    if broken == "host key":
        key = tmp_path / "host_key"
    else:
        arguments += ["--sftp-authorized-keys", str(authorized)]
    assert main([*arguments, "--sftp-host-key", str(key)]) == 2
    said = {"host key": "private key", "authorized": "No such file"}
    assert said[broken] in capfd.readouterr().err


async def test_a_key_logs_in_and_another_does_not(
    tmp_path: Path, world_facts: dict[str, Any]
) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "authorized").write_bytes(key.export_public_key())
    options = ("--sftp-authorized-keys", str(tmp_path / "authorized"))
    with process(tmp_path, world_facts, *options) as ports:
        where = ports["sftp_port"], tmp_path / "host_key.pub"
        async with connected(*where, client_keys=[key], password=None) as ssh:
            assert ssh.get_extra_info("username") == "practice"
        other = asyncssh.generate_private_key("ssh-ed25519")
        with pytest.raises(asyncssh.PermissionDenied):
            async with connected(*where, client_keys=[other], password=None):
                pass
