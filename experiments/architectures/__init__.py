"""Architectures that the decks show as tables: plain modules, for shapes and parameter counts.

Comes in: nothing but widths. Goes out: torch modules that run on torch's meta device, where a
forward pass computes shapes and no numbers. They are no model families: nothing here trains.
"""
