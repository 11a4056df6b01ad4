"""The search attributes: the only registry, read when a server is set up and by the workflows.

Opaque values only: Temporal keeps them in plain text. SQL visibility allows ten keywords and three
of each other type in a namespace.
"""

from __future__ import annotations

from temporalio.common import SearchAttributeKey

STAGE = SearchAttributeKey.for_keyword("Stage")
HOLD_CODE = SearchAttributeKey.for_keyword("HoldCode")
PAYER_KEY = SearchAttributeKey.for_keyword("PayerKey")
WORK_QUEUE = SearchAttributeKey.for_keyword("WorkQueue")
DUE_AT = SearchAttributeKey.for_datetime("DueAt")
BILLED_CENTS = SearchAttributeKey.for_int("BilledCents")
OPEN_CENTS = SearchAttributeKey.for_int("OpenCents")

ALL = (STAGE, HOLD_CODE, PAYER_KEY, WORK_QUEUE, DUE_AT, BILLED_CENTS, OPEN_CENTS)
