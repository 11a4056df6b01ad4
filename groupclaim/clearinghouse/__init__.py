"""The port to the payers and its adapters: what may be asked, and every way an answer may fail."""
