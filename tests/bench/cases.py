"""What is measured, each in a process of its own: `python -m tests.bench.cases NAME FOLDER`.

Prints processor seconds (the best of the runs), peak memory in MB and the number of things read.
Each case imports only what it measures.
"""

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from time import process_time
from typing import Any

Case = Callable[[Path], int]


def bare(path: Path) -> Iterator[list[str]]:
    """What the core is compared with: splits, and checks nothing."""
    rest = ""
    with path.open("rb") as file:
        while chunk := file.read(65_536):
            pieces = (rest + chunk.decode("latin-1")).split("~")
            rest = pieces.pop()
            for piece in pieces:
                yield piece.split("*")


def bare_837(folder: Path) -> int:
    return sum(1 for _ in bare(folder / "claims.837"))


def bare_835(folder: Path) -> int:
    return sum(1 for _ in bare(folder / "payment.835"))


def _core(path: Path) -> int:
    from groupclaim.x12 import Problems, read_transactions

    problems = Problems()
    count = 4  # ISA, GS, GE, IEA
    with path.open("rb") as file:
        for transaction in read_transactions(file, problems):
            count += 2 + sum(1 for _ in transaction)
    assert not problems
    return count


def core_837(folder: Path) -> int:
    return _core(folder / "claims.837")


def core_835(folder: Path) -> int:
    return _core(folder / "payment.835")


def read_835(folder: Path) -> int:
    from groupclaim.x12 import ClaimPayment, Problems, stream_835

    problems = Problems()
    with (folder / "payment.835").open("rb") as file:
        count = sum(isinstance(record, ClaimPayment) for record in stream_835(file, problems))
    assert not problems
    return count


def balanced_835(folder: Path) -> int:
    """Read, and every sum compared."""
    from groupclaim.x12 import ClaimPayment, Problems, stream_835
    from groupclaim.x12.remittance import balance_claim, balance_payment

    problems = Problems()
    count = total = 0
    with (folder / "payment.835").open("rb") as file:
        for record in stream_835(file, problems):
            if isinstance(record, ClaimPayment):
                assert not balance_claim(record, "")
                count += 1
                total += record.paid_cents
            else:
                assert not balance_payment(record, total)
    assert not problems
    return count


def oxedi_835(folder: Path) -> int:
    import oxedi

    result = oxedi.parse_file(str(folder / "payment.835"))
    assert not result.diagnostics
    return len(result.tables["claims"])


def x12sdk_835(folder: Path) -> int:
    return _models(folder / "payment.835", "CLP*")


def _models(path: Path, claim: str) -> int:
    from x12sdk.io import X12ModelReader

    text = path.read_text()
    with redirect_stdout(io.StringIO()), X12ModelReader(text) as reader:
        assert len(list(reader.models())) == 1
    return text.count(claim)


def read_837(folder: Path) -> int:
    from groupclaim.x12 import Problems, ProfessionalClaim, stream_837p

    problems = Problems()
    with (folder / "claims.837").open("rb") as file:
        count = sum(isinstance(r, ProfessionalClaim) for r in stream_837p(file, problems))
    assert not problems
    return count


def pyx12_segments_837(folder: Path) -> int:
    import pyx12.x12file

    return sum(1 for _ in pyx12.x12file.X12Reader(str(folder / "claims.837")))


def pyx12_837(folder: Path) -> int:
    """Validation alone, its maps loaded before."""
    import pyx12.map_if
    import pyx12.params
    import pyx12.x12n_document

    text = (folder / "claims.837").read_text()
    answer = io.StringIO()
    parameters = pyx12.params.params()
    assert pyx12.x12n_document.x12n_document(parameters, io.StringIO(text), answer, None)
    return text.count("CLM*")


def build_837(folder: Path) -> int:
    from tests.bench.files import build_claims

    return build_claims().count(b"CLM*")


def checked_837(folder: Path) -> int:
    """Built, and checked in full before it might leave."""
    from groupclaim.x12 import check_outbound
    from tests.bench.files import build_claims

    data = build_claims()
    assert not check_outbound(data)
    return data.count(b"CLM*")


CASES: dict[str, tuple[Case, int]] = {
    "bare_837": (bare_837, 7),
    "core_837": (core_837, 7),
    "bare_835": (bare_835, 7),
    "core_835": (core_835, 7),
    "pyx12_segments_837": (pyx12_segments_837, 2),
    "oxedi_835": (oxedi_835, 5),
    "read_835": (read_835, 5),
    "balanced_835": (balanced_835, 5),
    "x12sdk_835": (x12sdk_835, 1),
    "read_837": (read_837, 3),
    "x12sdk_837": (lambda folder: _models(folder / "claims.837", "CLM*"), 1),
    "build_837": (build_837, 3),
    "checked_837": (checked_837, 1),
    "pyx12_837": (pyx12_837, 1),
}


def _x12sdk_build(folder: Path) -> tuple[float, int]:
    """Models made from their fields, and written; reading the fields from a file is not counted."""
    from x12sdk.io import X12ModelReader
    from x12sdk.parsing import X12Parser

    seconds, count = 0.0, 0

    def build(parser: Any) -> object:
        nonlocal seconds, count
        start = process_time()
        text = parser._transaction_model(**parser._context.transaction_data).x12()
        seconds += process_time() - start
        count += text.count("CLM*")
        return object()

    X12Parser.load_model = build
    text = (folder / "claims.837").read_text()
    with redirect_stdout(io.StringIO()), X12ModelReader(text) as reader:
        list(reader.models())
    return seconds, count


def _peak() -> float:
    """MB of this process alone: what the parent had before does not count."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(name: str, folder: Path) -> None:
    if name == "x12sdk_build_837":
        seconds, count = _x12sdk_build(folder)
    else:
        case, runs = CASES[name]
        seconds, count = float("inf"), 0
        for _ in range(runs):
            start = process_time()
            count = case(folder)
            seconds = min(seconds, process_time() - start)
    print(json.dumps({"seconds": seconds, "peak_mb": _peak(), "count": count}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
