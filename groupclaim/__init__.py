"""What a claim is: pure knowledge, and the adapters of the outside world."""

__version__ = "0.1.0"
