"""Write the workflows without anchors: zizmor looks less closely at a file that has some."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from tests.workflows.runner import load

WORKFLOWS = Path(__file__).parents[2] / ".github/workflows"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401
        return True


def main() -> None:
    """Write them below the folder that is named."""
    folder = Path(sys.argv[1]) / ".github/workflows"
    folder.mkdir(parents=True, exist_ok=True)
    for file in WORKFLOWS.glob("*.yml"):
        text = yaml.dump(load(file.read_text()), Dumper=_Dumper, sort_keys=False)
        (folder / file.name).write_text(text)


if __name__ == "__main__":
    main()
