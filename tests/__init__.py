"""Tests mirror the tree; ``tests/oracle`` judges from outside, ``tests/histories`` is replayed."""
