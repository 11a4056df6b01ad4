"""How packets reach payers: a port, and its adapters."""
