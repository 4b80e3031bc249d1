"""The accuracy tables of the lectures, one short script each, printed from the store.

Comes in: a store that ``ablation run`` filled. Goes out: Markdown, printed and kept as a file.
``python -m analysis.t02_ladder --profile quick`` prints one; nothing here trains or computes, and
only the public names of ``ablation_lab`` are used.
"""
