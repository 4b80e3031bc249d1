"""The tables of the lectures, T1 to T12, printed from the store.

Comes in: a store that ``ablation run`` filled. Goes out: Markdown, printed and kept as a file.
``python -m analysis T2 --profile quick`` prints one; nothing here trains or computes, and only the
public names of ``ablation_lab`` are used.
"""
