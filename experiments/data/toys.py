"""The decks' smallest classifications, regressions and sequences, written in the code.

Comes in: nothing. Goes out: data sets whose numbers are checked against a declared sum when they
are loaded: six and eight points, two lines, a ramp, two strings.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from ablation_lab.data import Dataset, Part, TrainingData, declare, hash_order
from ablation_lab.data.embedded import one_part, read_points

# The printed order of characters: list(set(...)) gives another one in every Python process.
NAME, NAME_CHARACTERS = " My name is Joongheon Kim.", "enmJ yhsigKM.oa"
HELLO, HELLO_CHARACTERS = "hihello", "hielo"
# Hours of study and attendance; passed or not.
POINTS6 = (((1, 2), (2, 3), (3, 1), (4, 3), (5, 3), (6, 2)), (0, 0, 0, 1, 1, 1))
# Four features and one of three classes, from the course's public companion code.
POINTS8 = (
    (
        (1, 2, 1, 1),
        (2, 1, 3, 2),
        (3, 1, 3, 4),
        (4, 1, 5, 5),
        (1, 7, 5, 5),
        (1, 2, 5, 6),
        (1, 6, 6, 6),
        (1, 7, 7, 7),
    ),
    (2, 2, 2, 1, 1, 1, 0, 0),
)
RAMP_ROWS, RAMP_WINDOW, RAMP_TEST = 100, 5, 20


def numbers(x: ArrayLike, y: ArrayLike) -> Part:
    """Return a part with real targets (N, 1)."""
    return Part(np.array(x, dtype=np.float32), np.array(y, dtype=np.float32).reshape(-1, 1))


def read_line(
    _contents: Mapping[str, bytes], *, x: ArrayLike, y: ArrayLike, ask: ArrayLike, answer: float
) -> tuple[TrainingData, Part]:
    """Return training points, and as test part the one point that the decks ask for."""
    points = numbers(x, y)
    return TrainingData(train=points, validation=points), numbers(ask, [answer])


def read_text(
    _contents: Mapping[str, bytes], *, text: str, characters: str
) -> tuple[TrainingData, Part]:
    """Return one sequence: one-hot characters (1, T, C), and the next ones (1, T)."""
    index = np.array([characters.index(character) for character in text], dtype=np.int64)
    one_hot = np.eye(len(characters), dtype=np.float32)[index[:-1]]
    return one_part(Part(one_hot[None], index[None, 1:]))


def read_ramp(_contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Return windows x[i] = (i, ..., i+4) / 100 and y[i] = (i+5) / 100, 80 to train, 20 to test.

    The split is random in the deck, and its seed not given; neighbouring windows overlap, so that
    the test is an interpolation.
    """
    start = np.arange(RAMP_ROWS)[:, None]
    x = ((start + np.arange(RAMP_WINDOW)) / 100).astype(np.float32)[..., None]
    rows = numbers(x, (start + RAMP_WINDOW) / 100)
    order = hash_order(RAMP_ROWS, "ramp")
    test, train = order[:RAMP_TEST], order[RAMP_TEST:]
    kept = Part(rows.x[train], rows.y[train])
    return TrainingData(train=kept, validation=kept), Part(rows.x[test], rows.y[test])


declare(
    Dataset(
        name="points6",
        shape=(2,),
        classes=1,
        examples=6,
        about="6 points, hours and attendance; train, validation and test are the same rows "
        "(lecture decks, logistic regression)",
        read=partial(read_points, x=POINTS6[0], y=POINTS6[1]),
        test_is_train=True,
        embedded="3902d09b3c4cb1c195a75d9ed791b828c7823bd5cf15b72e9ab8ab30e8dbdb08",
    ),
    Dataset(
        name="points8",
        shape=(4,),
        classes=3,
        examples=8,
        about="8 points of 4 features in 3 classes; train, validation and test are the same rows "
        "(lecture decks, softmax regression)",
        read=partial(read_points, x=POINTS8[0], y=POINTS8[1]),
        test_is_train=True,
        embedded="fd3f25457265fa8a339841883a2ba1dd6a29ade29bd905d706792ff5f3ba6d72",
    ),
    Dataset(
        name="line2",
        shape=(2,),
        classes=0,
        examples=3,
        about="3 collinear points (1,1), (2,2), (3,3) with y = 10, 20, 30; validation the same, "
        "test the one question (4,4) (lecture decks, linear regression)",
        read=partial(
            read_line, x=[[1, 1], [2, 2], [3, 3]], y=[10, 20, 30], ask=[[4, 4]], answer=40
        ),
        embedded="0a64bfb742ab5317ba386c3a7e38a4b94524ec9430df83b14be03ebcde272317",
        targets=(1,),
    ),
    Dataset(
        name="line1",
        shape=(1,),
        classes=0,
        examples=3,
        about="3 points y = x = 1, 2, 3; validation the same, test the one question 4 "
        "(lecture decks, linear regression with Keras)",
        read=partial(read_line, x=[[1], [2], [3]], y=[1, 2, 3], ask=[[4]], answer=4),
        embedded="6315e5e97c9578ef442883f71dbd93513f27870e1d2dcf0771750a4fadb7ce43",
        targets=(1,),
    ),
    Dataset(
        name="ramp",
        shape=(RAMP_WINDOW, 1),
        classes=0,
        examples=RAMP_ROWS - RAMP_TEST,
        about="100 windows of 5 steps of a ramp in [0, 1.04]; fixed split by hash, 80 train (and "
        "validation), 20 test, which overlap the training windows (lecture decks, LSTM)",
        read=read_ramp,
        version="hash split 80 20, 1",
        embedded="6b89e5a8636505bb983ca1f3680ad770710fcc26ccf05d781779458ea04f25fe",
        targets=(1,),
    ),
    Dataset(
        name="name_text",
        shape=(25, 15),
        classes=15,
        examples=1,
        about="one sequence, ' My name is Joongheon Kim.': each character's next one, 25 steps, "
        "15 characters in the printed order; train, validation and test are the same row",
        read=partial(read_text, text=NAME, characters=NAME_CHARACTERS),
        test_is_train=True,
        embedded="5ce14279d257b1dbc495b5149727d1caaa803f8c1be670986380760ccd8217d5",
        targets=(25,),
    ),
    Dataset(
        name="hihello",
        shape=(6, 5),
        classes=5,
        examples=1,
        about="one sequence, 'hihello': each character's next one, 6 steps, 5 characters; train, "
        "validation and test are the same row",
        read=partial(read_text, text=HELLO, characters=HELLO_CHARACTERS),
        test_is_train=True,
        embedded="373cbe6cf9555049d3b25ca62179e98f974c4ed15ec773bdc08c8aff41c81ae7",
        targets=(6,),
    ),
)
