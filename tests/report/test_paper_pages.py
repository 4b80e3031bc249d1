"""Pictures of a study are shared out among figures so that each fits on a page."""

from __future__ import annotations

import pytest

from ablation_lab.report.document import Picture
from ablation_lab.report.paper import PAGE, PANEL, TALLEST, _pages, _rows
from ablation_lab.report.report import TEMPLATES


def picture(width: float, height: float) -> Picture:
    return Picture(f"{width} x {height}", "", "", "", "", width, height)


NARROW, WIDE = picture(3.4, 2.1), picture(7.1, 5.0)


def test_two_narrow_pictures_share_a_row_and_a_wide_one_has_its_own() -> None:
    (narrow,), (wide,) = _rows([NARROW]), _rows([WIDE])
    assert _rows([NARROW, NARROW]) == [narrow]
    assert _rows([NARROW, NARROW, NARROW]) == [narrow, narrow]
    assert _rows([NARROW, WIDE, NARROW]) == pytest.approx([narrow, wide, narrow])


@pytest.mark.parametrize(
    "pictures", [[NARROW] * 9, [WIDE] * 3, [NARROW] * 4 + [WIDE] * 2, [NARROW, WIDE, NARROW]]
)
def test_no_part_is_taller_than_half_a_page_unless_its_one_picture_is(
    pictures: list[Picture],
) -> None:
    parts = _pages(pictures)
    assert [one for part in parts for one in part] == pictures
    assert all(len(part) <= PANEL and sum(_rows(part)) <= PAGE for part in parts)
    assert all(len(_rows(part)) == 1 or sum(_rows(part)) <= TALLEST for part in parts)


def test_a_picture_too_tall_for_a_page_stands_alone() -> None:
    assert _pages([NARROW, picture(3.4, 9.0), NARROW])[1] == [picture(3.4, 9.0)]


def test_nothing_in_the_paper_floats() -> None:
    """A float may come to lie over what stands on its page; what is in the flow never does."""
    template = (TEMPLATES / "paper.typ").read_text(encoding="utf-8")
    for word in ("placement:", "float:", "scope:", "#place("):
        assert word not in template
