"""One module for each page: what it reads, what may be done on it."""
