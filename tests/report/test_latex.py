"""Every LaTeX fragment compiles where it is read by \\input.

Needs pdflatex with booktabs (Debian: texlive-latex-recommended); says so if it is not there.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ablation_lab.report.files import write_study
from ablation_lab.report.study import Study
from ablation_lab.report.text import latex

DOCUMENT = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{booktabs}
\begin{document}
%s
%s
\end{document}
"""
SPECIAL = "100 % of a_b & {c} ~ ^ # $ \\ × ± – — · − < > ≤ ≥ → ∈ √ é “quoted” n²"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_fragments_compile(studies: dict[str, Study], tmp_path: Path) -> None:
    names = []
    for study in studies.values():
        write_study(study, tmp_path / study.name)
        names += sorted((tmp_path / study.name).glob("table_*.tex"))
    assert len(names) > 6
    inputs = "\n".join(rf"\input{{{name.relative_to(tmp_path)}}}\clearpage" for name in names)
    (tmp_path / "main.tex").write_text(DOCUMENT % (inputs, latex(SPECIAL)), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        encoding="utf-8", errors="replace",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-2000:]
    assert (tmp_path / "main.pdf").stat().st_size > 10_000


def test_environments_and_braces_are_balanced(studies: dict[str, Study], tmp_path: Path) -> None:
    write_study(studies["ladder"], tmp_path / "ladder")
    for path in (tmp_path / "ladder").glob("table_*.tex"):
        text = path.read_text(encoding="utf-8").replace(r"\{", "").replace(r"\}", "")
        assert text.count("{") == text.count("}") > 0
        assert text.count(r"\begin{") == text.count(r"\end{") == 2
