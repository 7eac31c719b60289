"""What the guide shows, runs."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs/guides/python.md"


def test_the_guides_first_study_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert "cw.simulate" in blocks[0]
    exec(compile(blocks[0], str(GUIDE), "exec"), {"__name__": "guide"})
