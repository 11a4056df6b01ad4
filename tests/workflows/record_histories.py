"""Records what ``test_replay.py`` replays: ``python -m tests.workflows.record_histories``.

Every workflow type and main path, on today's code, encrypted with the payload key of the tests.
Record anew only when a change of the commands is meant: a history recorded before shows whether
workflows under way survive it, and stays when it does (rename it to keep both).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path as Folder

from tests.temporal import SERVER_KEYS, start_environment
from tests.workflows.outside import Outside, working
from tests.workflows.paths import PATHS, Path, claim_continued
from tests.workflows.scene import Scene

HISTORIES = Folder(__file__).parents[1] / "histories"
SHORT_HISTORIES = {**SERVER_KEYS, "limit.historyCount.suggestContinueAsNew": "40"}
_TASK_QUEUE = "groupclaim"


async def record(paths: Sequence[Path], server_keys: dict[str, str] = SERVER_KEYS) -> None:
    async with await start_environment(server_keys) as environment:
        for place, path in enumerate(paths):
            outside = Outside()
            async with working(environment.client, _TASK_QUEUE, outside):
                scene = Scene(environment, environment.client, _TASK_QUEUE, outside)
                handles = await path(scene, f"GC00000000{place:02}0")
            for name, handle in handles.items():
                history = json.loads((await handle.fetch_history()).to_json())
                text = json.dumps(history, separators=(",", ":"))
                (HISTORIES / f"{name}.json").write_text(text + "\n")
                print(f"{name}: {len(history['events'])} events")


async def main() -> None:
    HISTORIES.mkdir(exist_ok=True)
    await record(PATHS)
    await record([claim_continued], SHORT_HISTORIES)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
