"""A claim's states, events and transitions: pure, the one place that says what may follow what."""
