"""Bases and adapters loaded, grammars, the generation loop and the `Caller`.

Imports `schematune.schemas` only.
"""
