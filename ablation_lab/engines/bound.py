"""Imported by a process that is to be killed when the thread that started it ends (Linux)."""

from __future__ import annotations

from ablation_lab.engines.watched import killed_with_parent

killed_with_parent()
