"""The object-detection slides: means of the printed VOC 2010 table, and the time of R-CNN.

The table is quoted from Girshick, Donahue, Darrell and Malik (CVPR 2014), as the decks quote it:
average precision in percent of the 20 classes, in the order of the table.
"""

from collections.abc import Iterable
from statistics import fmean

from ablation_lab.study.checks import CHECKS

DPM_V5 = (49.2, 53.8, 13.1, 15.3, 35.5, 53.4, 49.7, 27.0, 17.2, 28.8,
          14.7, 17.8, 46.4, 51.2, 47.7, 10.8, 34.2, 20.7, 43.8, 38.3)  # fmt: skip
UVA = (56.2, 42.4, 15.3, 12.6, 21.8, 49.3, 36.8, 46.1, 12.9, 32.1,
       30.0, 36.5, 43.5, 52.9, 32.9, 15.3, 41.1, 31.8, 47.0, 44.8)  # fmt: skip
REGIONLETS = (65.0, 48.9, 25.9, 24.6, 24.5, 56.1, 54.5, 51.2, 17.0, 28.9,
              30.2, 35.8, 40.2, 55.7, 43.5, 14.3, 43.9, 32.6, 54.0, 45.9)  # fmt: skip
SEGDPM = (61.4, 53.4, 25.6, 25.2, 35.5, 51.7, 50.6, 50.8, 19.3, 33.8,
          26.8, 40.4, 48.3, 54.4, 47.1, 14.8, 38.7, 35.0, 52.8, 43.1)  # fmt: skip
RCNN = (67.1, 64.1, 46.7, 32.0, 30.5, 56.4, 57.2, 65.9, 27.0, 47.3,
        40.9, 66.6, 57.8, 65.9, 53.6, 26.7, 56.5, 38.1, 52.8, 50.2)  # fmt: skip
RCNN_BOXES = (71.8, 65.8, 53.0, 36.8, 35.9, 59.7, 60.0, 69.9, 27.9, 50.6,
              41.4, 70.0, 62.0, 69.0, 58.1, 29.5, 59.4, 39.3, 61.2, 52.4)  # fmt: skip
IMAGES, CROPS, SECONDS_PER_CROP = 10_000, 2_000, 0.01


@CHECKS.register("voc2010_dpm_v5")
def voc2010_dpm_v5() -> Iterable[float]:
    """Mean over the classes of DPM v5."""
    return [fmean(DPM_V5)]


@CHECKS.register("voc2010_uva")
def voc2010_uva() -> Iterable[float]:
    """Mean over the classes of UVA."""
    return [fmean(UVA)]


@CHECKS.register("voc2010_regionlets")
def voc2010_regionlets() -> Iterable[float]:
    """Mean over the classes of Regionlets."""
    return [fmean(REGIONLETS)]


@CHECKS.register("voc2010_segdpm")
def voc2010_segdpm() -> Iterable[float]:
    """Mean over the classes of SegDPM."""
    return [fmean(SEGDPM)]


@CHECKS.register("voc2010_rcnn")
def voc2010_rcnn() -> Iterable[float]:
    """Mean over the classes of R-CNN."""
    return [fmean(RCNN)]


@CHECKS.register("voc2010_rcnn_boxes")
def voc2010_rcnn_boxes() -> Iterable[float]:
    """Mean over the classes of R-CNN with bounding-box regression."""
    return [fmean(RCNN_BOXES)]


@CHECKS.register("rcnn_boxes_gain")
def rcnn_boxes_gain() -> Iterable[float]:
    """Both means, how many classes gain, and the two-sided p of the sign test over the classes."""
    from scipy.stats import binomtest

    gains = sum(after > before for before, after in zip(RCNN, RCNN_BOXES, strict=True))
    return [fmean(RCNN), fmean(RCNN_BOXES), gains, float(binomtest(gains, len(RCNN)).pvalue)]


@CHECKS.register("rcnn_time")
def rcnn_time() -> Iterable[float]:
    """Seconds and hours for 10,000 images of 2,000 crops at 10 ms a crop."""
    seconds = IMAGES * CROPS * SECONDS_PER_CROP
    return [seconds, seconds / 3600]
