"""Engines: where stacks execute. Each one maps a function over jobs and gives back futures."""
