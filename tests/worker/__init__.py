"""Tests of encryption and telemetry."""
