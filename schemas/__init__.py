"""Tools, calls and pairs as value types, and everything that needs no model.

Imports nothing else of the project; no torch, no transformers.
"""
