"""The tuning run and its proofs, and the pretraining of the built-in base.

Imports `schematune.schemas` and `schematune.decoding`.
"""
