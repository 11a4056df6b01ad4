"""Facts in, findings out: documentation, coverage, authorization, coding, pricing, denials.

No rule does I/O, reads a clock or compares a payer's name: what differs between payers stands in
its policy. Sentences speak to a biller and name no person.
"""
