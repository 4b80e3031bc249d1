"""Engines: where stacks execute. Each maps a function over jobs; ``contract`` says how."""
