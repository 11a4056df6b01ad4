"""WHAT is done outside: one module per step, each idempotent, each retryable."""
