"""Packets handed over: whole, once, and received only when somebody says so."""

from pathlib import Path

import pytest

from groupclaim.delivery.folder import PickUpFolder
from groupclaim.delivery.port import ByHand, NotDelivered, Receipt


def names(folder: Path) -> list[str]:
    return [item.name for item in folder.iterdir()]


async def test_a_packet_lies_there_whole_and_is_in_doubt_until_a_receipt(tmp_path: Path) -> None:
    port = PickUpFolder(tmp_path)
    assert await port.deliver("GC1-1-1", b"%PDF packet") is None
    assert names(tmp_path) == ["GC1-1-1.pdf"]
    assert (tmp_path / "GC1-1-1.pdf").read_bytes() == b"%PDF packet"
    assert await port.receipt("GC1-1-1") is None
    (tmp_path / "GC1-1-1.receipt").write_text("\n")
    assert await port.receipt("GC1-1-1") is None  # an empty file confirms nothing
    (tmp_path / "GC1-1-1.receipt").write_text("FAX 4711 ok\nsecond line\n")
    assert await port.receipt("GC1-1-1") == Receipt("FAX 4711 ok")


async def test_the_same_packet_handed_over_again_is_there_once(tmp_path: Path) -> None:
    port = PickUpFolder(tmp_path)
    for content in (b"first", b"second"):
        await port.deliver("GC1-1-1", content)
    assert (tmp_path / "GC1-1-1.pdf").read_bytes() == b"first"
    # picked up and confirmed: it does not come back
    (tmp_path / "GC1-1-1.pdf").unlink()
    (tmp_path / "GC1-1-1.receipt").write_text("T1")
    assert await port.deliver("GC1-1-1", b"first") == Receipt("T1")
    assert not (tmp_path / "GC1-1-1.pdf").exists()


async def test_a_draft_left_by_a_crash_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "GC1-1-1.part").write_bytes(b"half")
    await PickUpFolder(tmp_path).deliver("GC1-1-1", b"whole")
    assert names(tmp_path) == ["GC1-1-1.pdf"]


async def test_a_folder_that_is_not_there_takes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered):
        await PickUpFolder(tmp_path / "missing").deliver("GC1-1-1", b"x")


async def test_by_hand_nothing_is_received_by_itself() -> None:
    port = ByHand()
    assert await port.deliver("GC1-1-1", b"x") is None
    assert await port.receipt("GC1-1-1") is None
