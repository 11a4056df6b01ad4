"""WHEN things happen: a module per workflow type, deterministic, reads like the billing manual."""
