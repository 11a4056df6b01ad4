"""Tests of the workflows on the real development server, with a scripted outside."""
