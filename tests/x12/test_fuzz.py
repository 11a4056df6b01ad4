"""Whatever comes in, readers answer with records and problems: no exception, no endless work."""

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from groupclaim import x12
from tests.x12.examples import FILES, PAYMENT, RESPONSE, claim_file, envelope
from tests.x12.examples import FULL_CLAIM as CLAIM

READERS = (
    x12.kinds, x12.read_837p, x12.read_835, x12.read_270, x12.read_271, x12.read_ta1, x12.read_999,
    x12.read_277ca,
)  # fmt: skip
SEEDS = [
    claim_file(CLAIM),
    x12.build_835(envelope(), [PAYMENT], 1),
    x12.build_271(envelope(), RESPONSE, 1),
    (FILES / "270_MH.edi").read_bytes(),
    (FILES / "999_rejected.edi").read_bytes(),
    (FILES / "others" / "simple.999").read_bytes(),
    (FILES / "others" / "accepted.277ca").read_bytes(),
]
FRAGMENTS = [
    b"*", b"~", b":", b"^", b"ISA*", b"IEA*1*000000001~", b"GS*", b"ST*835*0001~", b"SE*1*1~",
    b"HL*1**20*1~", b"HL*9*9*23~", b"CLP*", b"CAS*CO*", b"SVC*", b"SVC*HC:90853*1*1~", b"NM1*QC*1~",
    b"NM1*IL*1~", b"LX*1~", b"CLM*1~", b"SV1*~", b"SVD*1*1~", b"SBR*P~", b"N3*~", b"N4*~", b"PLB*~",
    b"PLB*1*20260101*WO*~", b"EB*~", b"LS*2120~", b"AAA*~", b"STC*~", b"TRN*2*~", b"IK4*~",
    b"IK3*~", b"CTX*~", b"AK9*~", b"99999999999999999999999999999999", b"\x00", b"\xff",
    b"\n", b"-", b".",
]  # fmt: skip


@st.composite
def damaged(draw):
    """A good file with bytes cut out, moved, repeated or put in."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(["put", "cut", "twice", "swap"]))
        if kind == "put":
            data[start:start] = draw(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=8)))
        elif kind == "cut":
            del data[start:end]
        elif kind == "twice":
            data[end:end] = data[start:end]
        else:
            data[start:end] = data[start:end][::-1]
    return bytes(data)


def read_all(data: bytes) -> None:
    for reader in READERS:
        records, problems = reader(data)
        assert isinstance(records, tuple)
        assert isinstance(problems, tuple)
    payments, _ = x12.read_835(data)
    for payment in payments:
        x12.balance(payment)


@settings(max_examples=150, deadline=2000, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(damaged())
def test_damaged_files(data):
    read_all(data)


@settings(max_examples=100, deadline=2000)
@given(st.binary(max_size=400))
@example(b"ISA")
@example(b"ISA" + b"*" * 500)
@example(b"ISA*" * 200)
@example(b"IEA*~" * 50)
@example(b"ST~" * 50)
def test_garbage(data):
    read_all(data)
    assert x12.check_outbound(data)


@settings(max_examples=25, deadline=5000, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(damaged())
def test_check_of_damaged_files(data):
    assert isinstance(x12.check_outbound(data), tuple)
