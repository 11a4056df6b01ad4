"""Files to and from a clearinghouse over SFTP: batches go up, what waits in the mailbox comes down.

Three folders, below the one in which the login begins:

``inbound``
    ours to write. A batch is written under a temporary name that ends in ``.part``, which the
    clearinghouse leaves alone, and becomes the clearinghouse's when it is renamed.
``taken``
    the clearinghouse's: the batches that it has moved away from ``inbound``, unchanged and under
    the same name, for longer than any batch may be in doubt. Both folders together are the listing.
``outbound``
    the mailbox. A file waits there until we remove it, which acknowledges it.

SFTP gives no receipts, so the order of events is what proves something. The clearinghouse has a
batch from the moment at which it bears its final name. Until the renaming is asked for, nothing was
taken, whatever went wrong. Afterwards only one thing proves that it was not and will not be
renamed: that we could remove the temporary file and the final name is not there. The temporary name
is drawn anew for each sending, so that no other sending can be meant. (A server whose renaming
copies, and goes on when its source is removed, would break this: none may be used.)
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import cast
from urllib.parse import SplitResult, urlsplit

import asyncssh
from asyncssh import (
    FILEXFER_TYPE_REGULAR,
    HostKeyNotVerifiable,
    KeyExchangeFailed,
    PermissionDenied,
    SFTPFailure,
    SFTPNoSuchFile,
    SFTPPermissionDenied,
)

from groupclaim.clearinghouse.port import (
    DUPLICATE,
    Listing,
    MailboxFile,
    NoAnswer,
    NotTaken,
    Receipt,
    ReceivedInterchange,
    Unreachable,
)

INBOUND = "inbound"
TAKEN = "taken"
OUTBOUND = "outbound"
UNFINISHED = ".part"
"""How the name of a file ends that is still being written, ours or theirs."""

_CONNECT_SECONDS = 10.0
_SEND_SECONDS = 25.0
_PROOF_SECONDS = 10.0
_READ_SECONDS = 30.0
_LONGEST_FILE = 64 * 1024 * 1024
_IDENTITY = 106
"""Length of an ISA segment: every element of it has a fixed width (X12.5)."""

_ANSWERS = (SFTPFailure, SFTPNoSuchFile, SFTPPermissionDenied)
"""What a server says over a connection that works."""

_BROKEN = (asyncssh.Error, OSError, TimeoutError)


class LoginRefused(ValueError):
    """Address, host key or login of a connection cannot be used. The text names each problem."""


@dataclass(frozen=True, slots=True)
class SftpLogin:
    """Where to connect, as whom, and which host to believe.

    ``host_keys``: the keys that the clearinghouse has told us; it must show one of them. There is
    either a private key or a password.
    """

    host: str
    port: int
    user: str
    host_keys: tuple[asyncssh.SSHKey, ...]
    private_key: asyncssh.SSHKey | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, address: str, host_keys: Path, login: Path) -> SftpLogin:
        """``address``: ``sftp://user@host:port``. ``host_keys``: a file of public keys, one a line
        (``ssh-ed25519 AAAA...``). ``login``: a file with a private key without passphrase, or with
        a password in one line.

        Raises :class:`LoginRefused`.
        """
        problems: list[str] = []
        parts, port = _address(address, problems)
        believed: Sequence[asyncssh.SSHKey] = ()
        try:
            believed = asyncssh.read_public_key_list(str(host_keys))
            if not believed:
                problems.append(f"host key: no public key in {host_keys}")
        except (OSError, asyncssh.KeyImportError) as error:
            problems.append(f"host key: {host_keys} cannot be read ({_kind(error)})")
        private_key, password = None, None
        try:
            secret = login.read_text().strip()
            if "PRIVATE KEY-----" in secret:
                private_key = asyncssh.import_private_key(secret)
            elif secret and "\n" not in secret:
                password = secret
            else:
                problems.append(f"login: {login} holds neither a private key nor one password")
        except (OSError, UnicodeDecodeError, asyncssh.KeyImportError) as error:
            why = _kind(error)
            if isinstance(error, asyncssh.KeyImportError) and "assphrase" in str(error):
                why = "a key with a passphrase is of no use to a process"
            problems.append(f"login: {login} cannot be read ({why})")
        if problems:
            raise LoginRefused("; ".join(problems))
        return cls(
            host=parts.hostname or "",
            port=port,
            user=parts.username or "",
            host_keys=tuple(believed),
            private_key=private_key,
            password=password,
        )


def _address(address: str, problems: list[str]) -> tuple[SplitResult, int]:
    parts, port = urlsplit(""), 22
    try:
        parts = urlsplit(address)
        port = parts.port or port
    except ValueError:
        problems.append("address: the port is no number from 1 to 65535")
    if parts.password is not None:
        problems.append("address: a password belongs into the login's file")
    elif (
        parts.scheme != "sftp"
        or not parts.username
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
    ):
        problems.append("address: needs the form sftp://user@host:port")
    return parts, port


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as a listing shows it; another size or time means other bytes."""

    path: str
    size: int
    modified: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def modified_at(self) -> datetime:
        return datetime.fromtimestamp(self.modified, UTC)


@dataclass(frozen=True, slots=True)
class _Content:
    """What reading a file once has told; ``isa`` is empty where it begins with none."""

    sha256: str
    isa: bytes


class SftpFiles:
    """The files' half of :class:`groupclaim.clearinghouse.port.Clearinghouse` over SFTP.

    Questions share one connection, which is opened when needed; each sending has its own. Close it
    when done, or use it as an asynchronous context.
    """

    def __init__(self, login: SftpLogin) -> None:
        self._login = login
        self._opening = asyncio.Lock()
        self._open: _Connection | None = None
        self._read: dict[_Seen, _Content] = {}

    async def __aenter__(self) -> SftpFiles:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._open is not None:
            connection, self._open = self._open.connection, None
            connection.close()
            await connection.wait_closed()

    # --- batches

    async def send_batch(self, name: str, content: bytes) -> Receipt:
        """Offer an 837P once. The name is completed by the digest, so that other bytes never get
        it. Raises NotTaken or NoAnswer."""
        digest = sha256(content).hexdigest()
        stem, ending = PurePosixPath(name).stem, PurePosixPath(name).suffix
        name = f"{stem}-{digest[:12]}{ending}"
        temporary = _below(INBOUND, f"{name}.{secrets.token_hex(4)}{UNFINISHED}")
        asked_to_rename = False
        try:
            async with self._own_connection(_SEND_SECONDS) as sftp:
                await _clear_the_way(sftp, name)
                await _upload(sftp, temporary, content)
                asked_to_rename = True
                await sftp.rename(temporary, _below(INBOUND, name))
        except _BROKEN as error:
            if asked_to_rename and not await self._never_renamed(temporary, name):
                raise NoAnswer(_reason(error)) from None
            raise NotTaken(_reason(error)) from None
        return Receipt(receipt=name, sha256=digest)

    async def _never_renamed(self, temporary: str, name: str) -> bool:
        """Proof that a renaming without a good answer has not happened and never will."""
        try:
            async with self._own_connection(_PROOF_SECONDS) as sftp:
                await sftp.remove(temporary)
                # A server may rename by a second name first and the removal of the old one then.
                return not await _is_there(sftp, name)
        except _BROKEN:
            return False

    async def list_batches(self) -> Listing:
        """What lies in ``inbound`` and in ``taken``, as of the time of the server's own clock."""
        async with self._asking() as sftp:
            taken_at = await _server_time(sftp)
            # In the order in which a batch is moved, so that it cannot be missed between the two.
            seen = [*await _files(sftp, INBOUND), *await _files(sftp, TAKEN)]
            interchanges = {}
            for file in seen:
                content = await self._content(sftp, file)
                if content.isa:
                    interchanges[file.name, content.sha256] = _interchange(file, content)
            self._forget_all_but(seen, INBOUND, TAKEN)
        return Listing(taken_at=taken_at, interchanges=tuple(interchanges.values()))

    # --- the mailbox

    async def list_mailbox(self) -> tuple[MailboxFile, ...]:
        """The files in ``outbound``, oldest first. A file that cannot be read is listed with the
        digest of nothing, so that it keeps no other waiting and its download tells what is wrong.

        A file's id comes from its name and bytes: one that is listed while it is still being
        written is another file than the whole one, and acknowledging it removes nothing.
        """
        async with self._asking() as sftp:
            return tuple([listed for _, listed in await self._mailbox(sftp)])

    async def _mailbox(self, sftp: asyncssh.SFTPClient) -> list[tuple[_Seen, MailboxFile]]:
        seen = [file for file in await _files(sftp, OUTBOUND) if file.size]
        seen.sort(key=lambda file: file.modified)
        listed = [(file, await self._listed(sftp, file)) for file in seen]
        self._forget_all_but(seen, OUTBOUND)
        return listed

    async def _listed(self, sftp: asyncssh.SFTPClient, file: _Seen) -> MailboxFile:
        try:
            digest = (await self._content(sftp, file)).sha256
        except (_Unusable, *_ANSWERS):
            digest = sha256().hexdigest()
        return MailboxFile(
            id=sha256(f"{file.name}\n{digest}".encode()).hexdigest()[:40],
            name=file.name,
            size=file.size,
            sha256=digest,
            created_at=file.modified_at,
        )

    async def download(self, file: MailboxFile) -> bytes | None:
        async with self._asking() as sftp:
            try:
                seen = await _look(sftp, _below(OUTBOUND, file.name))
                content = await _bytes(sftp, seen)
            except SFTPNoSuchFile:
                return None
            if len(content) != file.size or sha256(content).hexdigest() != file.sha256:
                self._read.pop(seen, None)
                raise Unreachable("other_bytes_than_listed")
            return content

    async def acknowledge(self, file_id: str) -> None:
        """Remove the file of that id from ``outbound``, unless it has changed meanwhile."""
        async with self._asking() as sftp:
            for file, listed in await self._mailbox(sftp):
                if listed.id == file_id:
                    with suppress(SFTPNoSuchFile):
                        if await _look(sftp, file.path) == file:
                            await sftp.remove(file.path)

    # --- reading

    async def _content(self, sftp: asyncssh.SFTPClient, file: _Seen) -> _Content:
        """Digest and identity of a file, read once for as long as it looks the same."""
        if file not in self._read:
            content = await _bytes(sftp, file)
            isa = content[:_IDENTITY] if content.startswith(b"ISA") else b""
            self._read[file] = _Content(sha256(content).hexdigest(), isa)
        return self._read[file]

    def _forget_all_but(self, seen: Sequence[_Seen], *folders: str) -> None:
        there = set(seen)
        self._read = {
            file: content
            for file, content in self._read.items()
            if file in there or PurePosixPath(file.path).parent.name not in folders
        }

    # --- connections

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[asyncssh.SFTPClient]:
        """The connection for questions. Every failure becomes Unreachable."""
        try:
            async with self._opening:
                if self._open is None or self._open.connection.is_closed():
                    self._open = await self._connect()
                opened = self._open
            with opened.within(_READ_SECONDS):
                try:
                    yield opened.sftp
                except (Unreachable, _Unusable, *_ANSWERS):
                    raise
                except BaseException:
                    # What else it failed by may happen again on this connection.
                    opened.connection.abort()
                    raise
        except _Unusable as error:
            raise Unreachable(str(error)) from None
        except _BROKEN as error:
            raise Unreachable(_reason(error)) from None

    @asynccontextmanager
    async def _own_connection(self, seconds: float) -> AsyncIterator[asyncssh.SFTPClient]:
        opened = await self._connect()
        try:
            with opened.within(seconds):
                yield opened.sftp
        finally:
            opened.connection.abort()

    async def _connect(self) -> _Connection:
        login = self._login
        async with asyncio.timeout(_CONNECT_SECONDS):
            connection = await asyncssh.connect(
                login.host,
                login.port,
                username=login.user,
                known_hosts=(list(login.host_keys), [], []),
                client_keys=None if login.private_key is None else [login.private_key],
                password=login.password,
                agent_path=None,
                config=None,
                connect_timeout=_CONNECT_SECONDS,
                keepalive_interval=10,
                keepalive_count_max=2,
            )
            try:
                # Version 3, which is the default, is what every server speaks.
                return _Connection(connection, await connection.start_sftp_client())
            except BaseException:
                connection.abort()
                raise


@dataclass(frozen=True, slots=True)
class _Connection:
    connection: asyncssh.SSHClientConnection
    sftp: asyncssh.SFTPClient

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut the connection after that time, and raise TimeoutError. (Cancelling does not do: the
        client then waits for the server to close what was opened.)"""
        late = False

        def cut() -> None:
            nonlocal late
            late = True
            self.connection.abort()

        timer = asyncio.get_running_loop().call_later(seconds, cut)
        try:
            yield
        except _BROKEN:
            if late:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()


class _Unusable(Exception):
    """A file whose content cannot be used; the text is a short code."""


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}"


async def _clear_the_way(sftp: asyncssh.SFTPClient, name: str) -> None:
    """Before a batch is sent: it is not there yet, and no earlier sending of it can arrive."""
    for entry in await sftp.readdir(INBOUND):
        left_over = str(entry.filename)
        if left_over.startswith(f"{name}.") and left_over.endswith(UNFINISHED):
            with suppress(SFTPNoSuchFile):
                await sftp.remove(_below(INBOUND, left_over))
    if await _is_there(sftp, name):
        raise NotTaken(DUPLICATE, final=True)


async def _is_there(sftp: asyncssh.SFTPClient, name: str) -> bool:
    """Asks in the order in which a batch is moved."""
    for folder in (INBOUND, TAKEN):
        with suppress(SFTPNoSuchFile):
            await sftp.stat(_below(folder, name))
            return True
    return False


async def _upload(sftp: asyncssh.SFTPClient, temporary: str, content: bytes) -> None:
    """Write the bytes and read them back. What is left of a failure is removed if it can be."""
    try:
        async with sftp.open(temporary, "wb") as file:
            await file.write(content)
        written = await _look(sftp, temporary)
        if written.size != len(content) or await _bytes(sftp, written) != content:
            raise NotTaken("other_bytes_than_sent")
    except _Unusable as error:
        raise NotTaken(str(error)) from None
    except _ANSWERS:
        with suppress(*_BROKEN):
            await sftp.remove(temporary)
        raise


async def _server_time(sftp: asyncssh.SFTPClient) -> datetime:
    """The server's clock, from the time that it gives to an empty file of ours."""
    path = _below(INBOUND, f"clock.{secrets.token_hex(4)}{UNFINISHED}")
    async with sftp.open(path, "wb"):
        pass
    try:
        return (await _look(sftp, path)).modified_at
    finally:
        await sftp.remove(path)


async def _files(sftp: asyncssh.SFTPClient, folder: str) -> list[_Seen]:
    """The finished files of a folder."""
    files = []
    for entry in await sftp.readdir(folder):
        name = str(entry.filename)
        if name.startswith(".") or "/" in name or name.endswith(UNFINISHED):
            continue
        if entry.attrs.type == FILEXFER_TYPE_REGULAR:
            files.append(_seen(_below(folder, name), entry.attrs))
    return files


async def _look(sftp: asyncssh.SFTPClient, path: str) -> _Seen:
    return _seen(path, await sftp.stat(path))


def _seen(path: str, attributes: asyncssh.SFTPAttrs) -> _Seen:
    if attributes.size is None or attributes.mtime is None:
        raise _Unusable("no_size_or_time")
    return _Seen(path, attributes.size, int(attributes.mtime))


async def _bytes(sftp: asyncssh.SFTPClient, file: _Seen) -> bytes:
    """All bytes of a file, as many as were seen."""
    if file.size > _LONGEST_FILE:
        raise _Unusable("file_too_long")
    async with sftp.open(file.path, "rb") as opened:
        content = cast(bytes, await opened.read(file.size + 1))
    if len(content) != file.size:
        raise _Unusable("other_size_than_listed")
    return content


def _interchange(file: _Seen, content: _Content) -> ReceivedInterchange:
    try:
        isa = content.isa.decode("ascii")
    except UnicodeDecodeError:
        isa = ""
    if len(isa) < _IDENTITY:
        # Whose it is cannot be told, and it must not pass for absent.
        raise _Unusable("unreadable_interchange")
    return ReceivedInterchange(
        control_number=isa[90:99],
        sender_id=isa[35:50].strip(),
        name=file.name,
        sha256=content.sha256,
        received_at=file.modified_at,
    )


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (HostKeyNotVerifiable, "host_key_changed"),
    (PermissionDenied, "login_refused"),
    (SFTPPermissionDenied, "permission_denied"),
    (SFTPNoSuchFile, "no_such_file_or_folder"),
    (SFTPFailure, "server_failure"),
    (TimeoutError, "timed_out"),
    (asyncssh.ConnectionLost, "connection_lost"),
    (asyncssh.SFTPConnectionLost, "connection_lost"),
    (asyncssh.SFTPNoConnection, "connection_lost"),
)


def _reason(error: BaseException) -> str:
    """A short code for a failure: its text may quote what was sent."""
    if isinstance(error, KeyExchangeFailed) and "host key" in str(error):
        return "host_key_changed"  # it has none of the kinds that we know of it
    return next((code for kind, code in _REASONS if isinstance(error, kind)), _kind(error))


def _kind(error: BaseException) -> str:
    return type(error).__name__
