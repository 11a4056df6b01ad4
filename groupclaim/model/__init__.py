"""What groupclaim speaks of: sessions, participants, coverage, claims, findings, cents.

Frozen pydantic records without behaviour beyond what their own fields decide. Nothing here knows a
database, a network or the time.
"""
