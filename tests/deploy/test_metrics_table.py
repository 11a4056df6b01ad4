"""The table of metrics is what the code makes."""

from __future__ import annotations

import re

from deploy.prometheus.catalogue import TABLE, catalogue, table

PERSONAL = {"claim", "claim_number", "patient", "member", "clinician", "session", "name"}


def test_the_committed_table_is_the_generated_one() -> None:
    assert TABLE.read_text() == table(), "make dashboards writes it anew"


def test_names_and_labels_follow_the_conventions_and_hold_no_ids() -> None:
    for metric in catalogue():
        assert re.fullmatch(r"groupclaim_[a-z0-9_]+", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
        assert not PERSONAL & set(metric.labels), metric.name
        if "cents" in metric.name or "minutes" in metric.name or "days" in metric.name:
            raise AssertionError(f"{metric.name}: seconds and dollars are the base units")
