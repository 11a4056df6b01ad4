"""What a practice asks of its clearinghouse, and the ways that can fail.

The failures say what is known afterwards, because that decides what may be done next: what was not
taken may be sent again, what got no answer may not.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Protocol

from pydantic import Field, StringConstraints

from groupclaim.model.base import Instant, Record

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""The SHA-256 of a file's bytes, in hexadecimal."""

DUPLICATE = "duplicate"
"""The reason when the clearinghouse holds an interchange of ours with this control number."""

NO_SUCH_SERVICE = "no_such_service"
"""The reason when the clearinghouse has no such transaction at all."""


class NotTaken(Exception):
    """The clearinghouse did not take what was offered: it said so, or nothing ever left.

    ``reason`` is a short code without personal data. ``final``: offering the same again would give
    the same answer. ``retry_after``: how long it asked to be left alone.
    """

    def __init__(
        self, reason: str, *, final: bool = False, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final
        self.retry_after = retry_after


class NoAnswer(Exception):
    """It left and no answer came: the clearinghouse may have taken it or not."""


class Unreachable(Exception):
    """A question got no usable answer. Nothing was changed: ask again."""

    def __init__(self, reason: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Receipt(Record):
    """The clearinghouse's word that it took a batch, over the bytes that it names."""

    receipt: str
    sha256: Digest


class ReceivedInterchange(Record):
    """An interchange that the clearinghouse says it has received from us."""

    control_number: str
    sender_id: str
    name: str
    sha256: Digest
    received_at: Instant


class Listing(Record):
    """Everything received, as of ``taken_at`` by the clearinghouse's clock."""

    taken_at: Instant
    interchanges: tuple[ReceivedInterchange, ...]


class MailboxFile(Record):
    """A file that waits for us, until it is acknowledged."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    name: str
    size: Annotated[int, Field(ge=0)]
    sha256: Digest
    created_at: Instant


class Inquiries(Protocol):
    """What payers answer at once. Every method answers or raises well within a minute."""

    async def ask_eligibility(self, inquiry: bytes) -> bytes:
        """The 271 that answers a 270. Raises Unreachable, or NotTaken when it was refused."""
        ...

    async def request_authorization(self, request: bytes) -> bytes:
        """Offer a 278 request (005010X217) once; the 278 that answers it, which may say that the
        decision is pended (A4) and comes later. Raises NotTaken, or NoAnswer: then the payer may
        have the request, and only an inquiry tells."""
        ...

    async def ask_authorization(self, inquiry: bytes) -> bytes:
        """The 278 that says where a request stands by now. The inquiry (005010X215, BHT02 28) bears
        the trace of the request; a pended decision comes by asking again, not by the mailbox. A
        payer that has no such request answers without a decision, with AAA03 AA. Raises
        Unreachable, or NotTaken when it was refused."""
        ...

    async def ask_claim_status(self, inquiry: bytes) -> bytes:
        """The 277 that answers a 276. Raises Unreachable, or NotTaken when it was refused."""
        ...

    async def close(self) -> None: ...


class Files(Protocol):
    """What goes and comes as files. Every method answers or raises well within a minute."""

    async def send_batch(self, name: str, content: bytes) -> Receipt:
        """Offer an 837P once, without trying again. Raises NotTaken or NoAnswer."""
        ...

    async def list_batches(self) -> Listing:
        """What was received. Raises Unreachable."""
        ...

    async def list_mailbox(self) -> tuple[MailboxFile, ...]:
        """The files that wait. Raises Unreachable."""
        ...

    async def download(self, file: MailboxFile) -> bytes | None:
        """The bytes of a file, of the size and digest that were listed; None if it has gone.

        Raises Unreachable, also when other bytes came.
        """
        ...

    async def acknowledge(self, file_id: str) -> None:
        """Take a file out of the mailbox; one that has gone is no error. Raises Unreachable."""
        ...

    async def close(self) -> None: ...


class Clearinghouse(Inquiries, Files, Protocol):
    """One connection to the payers."""


class SeparateWays:
    """A clearinghouse that answers inquiries by one way and takes and gives files by another."""

    def __init__(self, inquiries: Inquiries, files: Files) -> None:
        self._inquiries = inquiries
        self._files = files

    async def ask_eligibility(self, inquiry: bytes) -> bytes:
        return await self._inquiries.ask_eligibility(inquiry)

    async def request_authorization(self, request: bytes) -> bytes:
        return await self._inquiries.request_authorization(request)

    async def ask_authorization(self, inquiry: bytes) -> bytes:
        return await self._inquiries.ask_authorization(inquiry)

    async def ask_claim_status(self, inquiry: bytes) -> bytes:
        return await self._inquiries.ask_claim_status(inquiry)

    async def send_batch(self, name: str, content: bytes) -> Receipt:
        return await self._files.send_batch(name, content)

    async def list_batches(self) -> Listing:
        return await self._files.list_batches()

    async def list_mailbox(self) -> tuple[MailboxFile, ...]:
        return await self._files.list_mailbox()

    async def download(self, file: MailboxFile) -> bytes | None:
        return await self._files.download(file)

    async def acknowledge(self, file_id: str) -> None:
        await self._files.acknowledge(file_id)

    async def close(self) -> None:
        try:
            await self._files.close()
        finally:
            await self._inquiries.close()
