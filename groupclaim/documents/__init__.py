"""Letters, statements and binders as PDF: facts in, pages out; no I/O but our own templates.

A template never sees markup from outside: what a document says of a claim enters as data.
"""
