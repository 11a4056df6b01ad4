"""A worker of the bare engine: `python -m tests.bench.bare_worker ADDRESS DATABASE KEYS`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

from groupclaim.store.keys import Keyring
from tests.bench import bare
from worker.codec import data_converter
from worker.process import payload_keys, worker_settings

QUEUE = "bare"


async def connect(address: str, keys: Path) -> Client:
    keyring = Keyring.load_or_generate(keys)
    return await Client.connect(
        address, data_converter=data_converter(payload_keys(keyring), keyring.current)
    )


async def main(address: str, database: str, keys: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await connect(address, keys)
    marks = bare.Marks(await bare.committing(database))
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[bare.BareClaim],
        activities=[marks.step],
        **worker_settings(),
    ):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
