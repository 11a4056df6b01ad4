"""Tests of what groupclaim speaks of."""
