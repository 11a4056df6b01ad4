"""The judge from outside: raw bytes, plain SQL, the hand-made truth, nothing of the product."""
