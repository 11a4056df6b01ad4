"""What other systems of the practice call: an application of its own under ``/api/v1``."""
