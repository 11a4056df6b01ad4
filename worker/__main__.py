"""``python -m worker`` is ``groupclaim``."""

from worker.cli import main

main()
