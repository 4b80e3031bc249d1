"""``make bench``: how quick the lab is on this machine, as ratios against today's practice.

Comes in: nothing but the machine. Goes out: a table and a figure, measured side by side.
"""
