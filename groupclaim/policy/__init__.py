"""Dated payer policies, the Medicare fee schedule, the business calendar: data and readers."""
