"""A clearinghouse with its payers, speaking real X12 over real HTTP."""
