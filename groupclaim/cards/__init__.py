"""Charging the card that a patient has put on file: the port, and its adapter for Stripe.

No card number is ever here: a consent names the processor's own tokens.
"""
