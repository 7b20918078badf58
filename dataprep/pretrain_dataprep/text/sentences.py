"""Where sentences end.

A **sentence** ends at a terminal punctuation mark that whitespace (after closing quotation marks and brackets, if any)
or the end of the line follows; a mark of a script outside ASCII needs no whitespace. A full stop after a single letter
(an initial, e.g., U.S.) or after another full stop (an ellipsis) ends none. What is left at the end of a line is a
sentence if it has a letter or digit.
"""

from __future__ import annotations

import numpy as np

_RANGES = """
21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e 1735-1736 17d4-17d5
1803 1809 1944-1945 1aa8-1aab 1b4e-1b4f 1b5a-1b5b 1b5e-1b5f 1b7d-1b7f 1c3b-1c3c 1c7e-1c7f 2024 203c-203d
2047-2049 2cf9-2cfb 2e2e 2e3c 2e53-2e54 2e60-2e61 3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f
a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe12 fe15-fe16 fe52 fe56-fe57 ff01 ff0e ff1f ff61 10a56-10a57 10f55-10f59
10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6 111cd 111de-111df 11238-11239 1123b-1123c 112a9
113d4-113d5 1144b-1144c 115c2-115c3 115c9-115d7 11641-11642 1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c
11c41-11c42 11ef7-11ef8 11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 16b44 16d6e-16d6f 16e98 1bc9f 1da88
"""


def _expand(ranges: str) -> np.ndarray:
    bounds = [[int(code, 16) for code in entry.split("-")] for entry in ranges.split()]
    return np.concatenate([np.arange(bound[0], bound[-1] + 1, dtype=np.int64) for bound in bounds])


TERMINAL_PUNCTUATION = _expand(_RANGES)
"""Code points with Unicode's property Sentence_Terminal (Unicode 17), sorted: int64, shape (marks,)."""
