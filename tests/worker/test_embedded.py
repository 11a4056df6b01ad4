"""What starts on one machine, and how it is said that it did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker import embedded
from worker.embedded import Process, StartFailed, free_port


async def test_a_process_that_does_not_answer_is_named_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_START_SECONDS", 0.2)
    silent = Process("console", ["sleep", "600"], tmp_path / "console.log")
    silent.start()
    try:
        with pytest.raises(StartFailed, match=r"console does not answer .*: see .*console\.log"):
            await embedded._listens(silent, ("127.0.0.1", free_port()))
    finally:
        silent.kill()
