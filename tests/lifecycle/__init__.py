"""Tests of a claim's states, events and transitions."""
