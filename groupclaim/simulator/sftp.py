"""The clearinghouse over SFTP: three folders that are views of its state, and no real file.

`/inbound` takes uploads whose name ends in `.part`; renaming one to another name hands it over. A
batch lies there until its acknowledgment is due, then in `/taken`; both are read-only. `/outbound`
is the mailbox: reading a file is logged as its delivery, removing it acknowledges it. Times of
files are those of the simulator's clock, in whole seconds.
"""

import asyncio
import errno
import hmac
import os
import posixpath
import re
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import asyncssh
from asyncssh import (
    FILEXFER_TYPE_DIRECTORY,
    FILEXFER_TYPE_REGULAR,
    FXF_CREAT,
    FXF_EXCL,
    FXF_TRUNC,
    FXF_WRITE,
    SFTPAttrs,
    SFTPConnectionLost,
    SFTPFailure,
    SFTPFileAlreadyExists,
    SFTPName,
    SFTPNoSpaceOnFilesystem,
    SFTPNoSuchFile,
    SFTPOpUnsupported,
    SFTPPermissionDenied,
)

from groupclaim.simulator.clearinghouse import (
    Clearinghouse,
    DuplicateInterchange,
    MailboxFile,
    UnknownFile,
    UnreadableInterchange,
)
from groupclaim.simulator.faults import FaultRule, Faults, Kind, look_into_mailbox

USER = "practice"
"""The name under which the practice logs in."""

_ROOT, _INBOUND, _TAKEN, _OUTBOUND = "/", "/inbound", "/taken", "/outbound"
_FOLDERS = (_ROOT, _INBOUND, _TAKEN, _OUTBOUND)
_UNFINISHED = ".part"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOVED_AFTER = timedelta(minutes=15)
_DISK_BYTES = 64 * 1024 * 1024
_LOGIN_SECONDS = 10.0

_ASKED: frozenset[Kind] = frozenset(
    {"slow", "lose_answer", "drop_before", "server_error", "permission_denied"}
)


class _Whole:
    """A file without holes, which is what asyncssh's client asks before it fetches one."""

    __slots__ = ()
    content: bytes | bytearray

    def seek(self, offset: int, whence: int) -> int:
        if offset >= len(self.content):
            raise OSError(errno.ENXIO, "no data behind the end")
        return len(self.content) if whence == os.SEEK_HOLE else offset


@dataclass(slots=True)
class _Unfinished(_Whole):
    """An upload that is not handed over yet."""

    content: bytearray
    at: datetime


@dataclass(frozen=True, slots=True)
class _File(_Whole):
    """A finished file as it is shown; only those of the mailbox have an id."""

    content: bytes
    at: datetime
    mailbox_id: str = ""


class SftpHouse:
    """What all SFTP connections of one simulator share."""

    def __init__(self, house: Clearinghouse, faults: Faults) -> None:
        self.house = house
        self.faults = faults
        self.unfinished: dict[str, _Unfinished] = {}

    @property
    def used_bytes(self) -> int:
        """What the uploads that are not handed over take of the disk."""
        return sum(len(upload.content) for upload in self.unfinished.values())

    async def now(self) -> datetime:
        """The simulator's clock."""
        now, _ = await asyncio.to_thread(self.house.interchanges)
        return now

    async def finished(self, folder: str) -> dict[str, _File]:
        """The finished files of a folder by name, without any fault."""
        if folder == _OUTBOUND:
            return _shown(await asyncio.to_thread(self.house.mailbox))
        now, received = await asyncio.to_thread(self.house.interchanges)
        return {
            one.name: _File(one.content, one.received_at)
            for one in received
            if (now - one.received_at >= _MOVED_AFTER) == (folder == _TAKEN)
        }


def _shown(files: tuple[MailboxFile, ...]) -> dict[str, _File]:
    return {file.name: _File(file.content, file.created_at, file.id) for file in files}


@asynccontextmanager
async def serving(
    house: Clearinghouse,
    faults: Faults,
    *,
    listener: socket.socket,
    host_key: asyncssh.SSHKey,
    password: str,
    authorized_keys: asyncssh.SSHAuthorizedKeys | None = None,
) -> AsyncIterator[None]:
    """Take SFTP connections on `listener` until left. `practice` logs in by password or key."""
    shared = SftpHouse(house, faults)
    changed_key = asyncssh.generate_private_key("ssh-ed25519")
    connections: set[asyncio.Task[None]] = set()

    async def connection(client: socket.socket) -> None:
        rule = faults.take("connection", frozenset({"changed_host_key"}))
        try:
            served = await asyncssh.run_server(
                client,
                server_factory=lambda: _Door(password),
                server_host_keys=[host_key if rule is None else changed_key],
                authorized_client_keys=authorized_keys,
                sftp_factory=lambda channel: _Session(channel, shared),
                sftp_version=3,
                allow_scp=False,
                agent_forwarding=False,
                login_timeout=_LOGIN_SECONDS,
                connect_timeout=_LOGIN_SECONDS,
            )
        except (asyncssh.Error, OSError, TimeoutError):
            return
        try:
            await served.wait_closed()
        finally:
            served.abort()

    async def take_connections() -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(connection(client))
            connections.add(task)
            task.add_done_callback(connections.discard)

    listener.setblocking(False)
    accepting = asyncio.create_task(take_connections())
    try:
        yield
    finally:
        tasks = [accepting, *connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listener.close()


def load_or_generate_host_key(path: Path) -> asyncssh.SSHKey:
    """The private key at `path`, made if there is none; its public half lies beside it, as `.pub`.

    Raises OSError, or asyncssh.KeyImportError when the file holds no key.
    """
    if not path.exists():
        key = asyncssh.generate_private_key("ssh-ed25519")
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(key.export_private_key())
    key = asyncssh.read_private_key(str(path))
    path.with_name(f"{path.name}.pub").write_bytes(key.export_public_key())
    return key


class _Door(asyncssh.SSHServer):
    """Who may come in. There is nothing behind it but SFTP."""

    def __init__(self, password: str) -> None:
        self._password = password

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == USER and hmac.compare_digest(password.encode(), self._password.encode())


class _Session(asyncssh.SFTPServer):
    """One client's session. Every request is answered here: none reaches this machine's files."""

    def __init__(self, channel: "asyncssh.SSHServerChannel[bytes]", shared: SftpHouse) -> None:
        super().__init__(channel)
        self._shared = shared
        self._faults = shared.faults

    # --- looking

    def map_path(self, path: bytes) -> bytes:
        raise SFTPPermissionDenied("no real files here")

    def realpath(self, path: bytes) -> bytes:
        return _normal(path).encode()

    async def stat(self, path: bytes) -> SFTPAttrs:
        normal = _normal(path)
        if normal in _FOLDERS:
            return _folder_attributes(await self._shared.now())
        folder, name = posixpath.split(normal)
        if folder == _INBOUND and name in self._shared.unfinished:
            upload = self._shared.unfinished[name]
            return _file_attributes(len(upload.content), upload.at)
        file = await self._finished(folder, name)
        return _file_attributes(len(file.content), file.at)

    async def lstat(self, path: bytes) -> SFTPAttrs:
        return await self.stat(path)

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        folder = _normal(path)
        now = await self._shared.now()
        for name in (".", ".."):
            yield SFTPName(name.encode(), attrs=_folder_attributes(now))
        if folder == _ROOT:
            for one in _FOLDERS[1:]:
                yield SFTPName(one[1:].encode(), attrs=_folder_attributes(now))
            return
        if folder == _OUTBOUND:
            shown, rule = await look_into_mailbox(self._shared.house, self._faults, _ASKED)
            await self._spoil(rule)
            files = _shown(shown)
        elif folder in _FOLDERS:
            files = await self._shared.finished(folder)
        else:
            raise SFTPNoSuchFile("no such folder")
        for name, file in files.items():
            yield SFTPName(name.encode(), attrs=_file_attributes(len(file.content), file.at))
        if folder == _INBOUND:
            for name, upload in list(self._shared.unfinished.items()):
                attributes = _file_attributes(len(upload.content), upload.at)
                yield SFTPName(name.encode(), attrs=attributes)

    # --- reading and writing

    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        folder, name = posixpath.split(_normal(path))
        if pflags & FXF_WRITE:
            return await self._open_upload(folder, name, pflags)
        if folder == _INBOUND and name in self._shared.unfinished:
            return self._shared.unfinished[name]
        file = await self._finished(folder, name)
        if folder == _OUTBOUND:
            await self._spoil(self._faults.take("mailbox", _ASKED))
            try:
                await asyncio.to_thread(self._shared.house.download, file.mailbox_id)
            except UnknownFile:
                raise SFTPNoSuchFile("no such file") from None
        return file

    async def _open_upload(self, folder: str, name: str, flags: int) -> object:
        if folder != _INBOUND or not _NAME.fullmatch(name) or not name.endswith(_UNFINISHED):
            raise SFTPPermissionDenied(f"uploads go to {_INBOUND} and end in {_UNFINISHED}")
        await self._spoil(
            self._faults.take("batch", frozenset({"drop_before", "permission_denied"}))
        )
        uploads = self._shared.unfinished
        if name in uploads and flags & FXF_EXCL:
            raise SFTPFileAlreadyExists("the file exists")
        if name not in uploads and not flags & FXF_CREAT:
            raise SFTPNoSuchFile("no such file")
        if name not in uploads or flags & FXF_TRUNC:
            uploads[name] = _Unfinished(bytearray(), await self._shared.now())
        return uploads[name]

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        assert isinstance(file_obj, _File | _Unfinished)
        return bytes(file_obj.content[offset : offset + size])

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        if not isinstance(file_obj, _Unfinished):
            raise SFTPPermissionDenied("not opened for writing")
        content = file_obj.content
        rule = self._faults.take("batch", frozenset({"partial_upload", "disk_full"}))
        full = self._shared.used_bytes + max(0, offset + len(data) - len(content)) > _DISK_BYTES
        written = data[: len(data) // 2] if rule is not None else b"" if full else data
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(written)] = written
        if rule is not None and rule.kind == "partial_upload":
            self._cut()
        if rule is not None or full:
            raise SFTPNoSpaceOnFilesystem("no space left")
        file_obj.at = await self._shared.now()
        return len(data)

    def close(self, file_obj: object) -> None:
        """Nothing happens: an upload is handed over by its renaming."""

    async def fstat(self, file_obj: object) -> SFTPAttrs:
        assert isinstance(file_obj, _File | _Unfinished)
        return _file_attributes(len(file_obj.content), file_obj.at)

    async def setstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Clients set modes and times of what they upload; both are ours, and stay as they are."""
        if posixpath.split(_normal(path))[1] not in self._shared.unfinished:
            raise SFTPPermissionDenied("read only")

    async def lsetstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        await self.setstat(path, attrs)

    async def fsetstat(self, file_obj: object, attrs: SFTPAttrs) -> None:
        if not isinstance(file_obj, _Unfinished):
            raise SFTPPermissionDenied("read only")

    def fsync(self, file_obj: object) -> None:
        """Nothing happens: an upload that is not handed over may be lost."""

    # --- handing over and acknowledging

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        (old_folder, old), (folder, name) = map(posixpath.split, map(_normal, (oldpath, newpath)))
        if old_folder != _INBOUND or old not in self._shared.unfinished:
            raise SFTPNoSuchFile("no such upload")
        if folder != _INBOUND or not _NAME.fullmatch(name) or name.endswith(_UNFINISHED):
            raise SFTPPermissionDenied("not a name for a batch")
        if not self._shared.house.accept_everything and await self._taken(name):
            raise SFTPFileAlreadyExists("the file exists")
        rule = self._faults.take(
            "batch", frozenset({"slow", "lose_answer", "rename_undone", "server_error"})
        )
        kind = None if rule is None else rule.kind
        if kind == "rename_undone":
            self._cut()
        if kind == "server_error":
            raise SFTPFailure("server error")
        upload = self._shared.unfinished.pop(old)
        try:
            await asyncio.to_thread(
                self._shared.house.receive,
                name,
                bytes(upload.content),
                answer_lost=kind == "lose_answer",
            )
        except (UnreadableInterchange, DuplicateInterchange) as error:
            self._shared.unfinished[old] = upload
            raise SFTPFailure(f"refused: {type(error).__name__}") from None
        if rule is not None and kind == "slow":
            await asyncio.sleep(rule.seconds)
        if kind == "lose_answer":
            self._cut()

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self.rename(oldpath, newpath)

    async def remove(self, path: bytes) -> None:
        folder, name = posixpath.split(_normal(path))
        if folder == _INBOUND and name in self._shared.unfinished:
            del self._shared.unfinished[name]
            return
        file = await self._finished(folder, name)
        if folder != _OUTBOUND:
            raise SFTPPermissionDenied("read only")
        rule = self._faults.take("mailbox", _ASKED)
        lost = rule is not None and rule.kind == "lose_answer"
        if not lost:
            await self._spoil(rule)
        try:
            await asyncio.to_thread(self._shared.house.acknowledge, file.mailbox_id)
        except UnknownFile:
            raise SFTPNoSuchFile("no such file") from None
        if lost:
            self._cut()

    # --- refused

    def open56(self, path: bytes, desired_access: int, flags: int, attrs: SFTPAttrs) -> object:
        raise SFTPOpUnsupported("SFTP version 3 only")

    def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:
        raise SFTPPermissionDenied("the folders are fixed")

    def rmdir(self, path: bytes) -> None:
        raise SFTPPermissionDenied("the folders are fixed")

    def readlink(self, path: bytes) -> bytes:
        raise SFTPOpUnsupported("no links")

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise SFTPOpUnsupported("no links")

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise SFTPOpUnsupported("no links")

    def lock(self, file_obj: object, offset: int, length: int, flags: int) -> None:
        raise SFTPOpUnsupported("no locks")

    def unlock(self, file_obj: object, offset: int, length: int) -> None:
        raise SFTPOpUnsupported("no locks")

    def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        raise SFTPOpUnsupported("no file system")

    def fstatvfs(self, file_obj: object) -> asyncssh.SFTPVFSAttrs:
        raise SFTPOpUnsupported("no file system")

    # --- helpers

    async def _finished(self, folder: str, name: str) -> _File:
        if folder in _FOLDERS[1:]:
            files = await self._shared.finished(folder)
            if name in files:
                return files[name]
        raise SFTPNoSuchFile("no such file")

    async def _taken(self, name: str) -> bool:
        return any([name in await self._shared.finished(one) for one in (_INBOUND, _TAKEN)])

    async def _spoil(self, rule: FaultRule | None) -> None:
        """Carry out what a rule does to a request before it is looked at."""
        if rule is None:
            return
        if rule.kind == "slow":
            await asyncio.sleep(rule.seconds)
        if rule.kind in ("drop_before", "lose_answer"):
            self._cut()
        if rule.kind == "server_error":
            raise SFTPFailure("server error")
        if rule.kind == "permission_denied":
            raise SFTPPermissionDenied("permission denied")

    def _cut(self) -> None:
        """Cut the connection: no answer leaves any more."""
        self.connection.abort()
        raise SFTPConnectionLost("connection cut by a fault rule")


def _normal(path: bytes) -> str:
    try:
        return posixpath.normpath(_ROOT + path.decode("ascii").lstrip(_ROOT))
    except UnicodeDecodeError:
        raise SFTPNoSuchFile("names are ASCII") from None


def _folder_attributes(at: datetime) -> SFTPAttrs:
    return _attributes(FILEXFER_TYPE_DIRECTORY, stat.S_IFDIR | 0o755, 0, at)


def _file_attributes(size: int, at: datetime) -> SFTPAttrs:
    return _attributes(FILEXFER_TYPE_REGULAR, stat.S_IFREG | 0o644, size, at)


def _attributes(kind: int, mode: int, size: int, at: datetime) -> SFTPAttrs:
    seconds = int(at.timestamp())
    return SFTPAttrs(
        type=kind, size=size, uid=0, gid=0, permissions=mode, atime=seconds, mtime=seconds, nlink=1
    )
