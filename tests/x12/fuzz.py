"""`make fuzz`: damaged and invented files against the core and every reader.

What breaks a reader is written to `crashers/`, where `test_fuzz.py` keeps it as a test. The same
seed gives the same inputs: `python -m tests.x12.fuzz [INPUTS [SEED]]`.
"""

import io
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from time import perf_counter, thread_time

from groupclaim import x12
from tests.x12.examples import (
    AUTHORIZATION_REQUEST,
    AUTHORIZATION_RESPONSE,
    CLAIM,
    FILES,
    FULL_CLAIM,
    INQUIRY,
    PAYMENT,
    RESPONSE,
    STATUS_INQUIRY,
    STATUS_RESPONSE,
    claim_file,
    envelope,
)

CRASHERS = Path(__file__).parent / "crashers"
INPUTS = 200_000
LONGEST_SECONDS = 1.0
MOST_GROWTH_MB = 40

READERS: tuple[Callable[[bytes], object], ...] = (
    x12.kinds, x12.read_837p, x12.read_835, x12.read_270, x12.read_271, x12.read_276, x12.read_277,
    x12.read_277ca, x12.read_278_requests, x12.read_278_responses, x12.read_999, x12.read_ta1,
)  # fmt: skip
SEEDS = [
    claim_file(CLAIM, FULL_CLAIM),
    x12.build_835(envelope(), [PAYMENT, PAYMENT], 1),
    x12.build_270(envelope(), INQUIRY, 1),
    x12.build_271(envelope(), RESPONSE, 1),
    x12.build_276(envelope(), STATUS_INQUIRY, 1),
    x12.build_277(envelope(), STATUS_RESPONSE, 1),
    x12.build_278_request(envelope(), AUTHORIZATION_REQUEST, 1),
    x12.build_278_response(envelope(), AUTHORIZATION_RESPONSE, 1),
    (FILES / "999_rejected.edi").read_bytes(),
    (FILES / "others" / "simple.999").read_bytes(),
    (FILES / "others" / "accepted.277ca").read_bytes(),
    (FILES / "others" / "newline_indented.837p").read_bytes()[:3000],
]
TOKENS = [
    b"*", b"~", b":", b"^", b"ISA*", b"IEA*1*000000001~", b"GS*", b"GE*1*1~", b"ST*835*0001~",
    b"ST*278*1~", b"SE*1*1~", b"HL*1**20*1~", b"HL*9*9*23~", b"HL*2*2*22~", b"HL*3*2*EV~",
    b"HL*4*3*SS~", b"CLP*", b"CAS*CO*", b"SVC*", b"SVC*HC:90853*1*1~", b"NM1*QC*1~", b"NM1*IL*1~",
    b"NM1*SJ*1~", b"LX*1~", b"CLM*1~", b"SV1*~", b"SVD*1*1~", b"SBR*P~", b"N3*~", b"N4*~",
    b"PLB*~", b"PLB*1*20260101*WO*~", b"EB*~", b"LS*2120~", b"AAA*~", b"STC*~", b"STC*:::~",
    b"TRN*2*~", b"UM*~", b"HCR*~", b"HSD*~", b"DTP*472*RD8*-~", b"IK4*~", b"IK3*~", b"CTX*~",
    b"AK9*~", b"TA1*~", b"9" * 40, b"\x00", b"\xff", b"\xef\xbb\xbf", b"\n", b"\r\n", b" ", b"-",
    b".", b"\xc3\x9c", b"A" * 300,
]  # fmt: skip


def damaged(random: Random) -> bytes:
    """A good file with bytes cut out, repeated, turned round, put in or changed; or rubbish."""
    if random.random() < 0.05:
        return b"".join(random.choice(TOKENS) for _ in range(random.randrange(60)))
    data = bytearray(random.choice(SEEDS))
    if random.random() < 0.1:
        data += random.choice(SEEDS)
    if random.random() < 0.05:
        data = data.replace(b"~", b"~\r\n")
    for _ in range(random.randint(1, 8)):
        start = random.randint(0, len(data))
        end = min(len(data), start + random.randint(0, 60))
        kind = random.randrange(6)
        if kind == 0:
            data[start:start] = random.choice(TOKENS)
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[end:end] = data[start:end]
        elif kind == 3:
            data[start:end] = data[start:end][::-1]
        elif kind == 4 and start < len(data):
            data[start] = random.randrange(256)
        else:
            data[start:end] = random.choice(TOKENS)
    return bytes(data)


def try_all(data: bytes) -> None:
    """The core and every reader, the figures, the page for a person and the outbound check."""
    for reader in READERS:
        records, problems = reader(data)  # type: ignore[misc]
        assert isinstance(records, tuple)
        assert isinstance(problems, tuple)
    for payment in x12.read_835(data)[0]:
        x12.balance(payment)
    figures = x12.file_figures(io.BytesIO(data))
    assert figures["interchanges"] or figures["problems"]
    assert all(isinstance(line, str) for line in x12.show(data))
    assert isinstance(x12.check_outbound(data), tuple)


def try_one(data: bytes, turn: int) -> None:
    """The core with the readers that fit the file, and one reader whether it fits or not."""
    figures = x12.file_figures(io.BytesIO(data))
    assert figures["interchanges"] or figures["problems"]
    READERS[turn % len(READERS)](data)
    if turn % 10 == 0:
        assert all(isinstance(line, str) for line in x12.show(data))
    if turn % 100 == 0:
        assert isinstance(x12.check_outbound(data), tuple)


def _resident_mb() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


def main(inputs: int = INPUTS, seed: int = 1) -> int:
    random = Random(seed)
    crashes: Counter[str] = Counter()
    slowest = 0.0
    before = 0.0
    start = perf_counter()
    for turn in range(inputs):
        if turn == min(inputs // 10, 5_000):
            before = _resident_mb()  # by now every cache is as full as it gets
        data = damaged(random)
        begun = thread_time()
        try:
            try_one(data, turn)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            if not crashes[where]:
                CRASHERS.mkdir(exist_ok=True)
                path = CRASHERS / sha256(data).hexdigest()[:16]
                path.write_bytes(data)
                print(f"{where}: kept as {path.name}")
            crashes[where] += 1
        slowest = max(slowest, thread_time() - begun)
        if turn % 20_000 == 19_999:
            print(f"{turn + 1} inputs, {sum(crashes.values())} crashes", flush=True)
    growth = _resident_mb() - before
    print(
        f"{inputs} inputs in {perf_counter() - start:.0f} s: {sum(crashes.values())} crashes of"
        f" {len(crashes)} kinds, slowest {slowest:.3f} s, memory {growth:+.1f} MB"
    )
    return int(bool(crashes) or slowest > LONGEST_SECONDS or growth > MOST_GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
