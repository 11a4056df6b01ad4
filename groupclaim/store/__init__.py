"""The database: schema, migrations, the money ledger, the audit log, the practice clock.

Functions take an open transaction (``Reading`` or ``Transaction`` of ``database``), so that a step
decides what happens together. Everything personal is encrypted before it reaches the database.
"""
