"""The templates of reports: those that khoci ships, and a project's own before them."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from khoci.errors import UsageError
from khoci.paths import data_dir


def environment(folder: Path | None = None, *, markup: bool = False) -> Environment:
    """Where templates are found by name.

    Args:
        folder: a file in it stands for the shipped one of its name; None to use only those.
        markup: whether what is filled in is escaped for HTML.

    Raises:
        UsageError: the folder is not there.
    """
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of templates")
    folders = [data_dir("templates")] if folder is None else [folder, data_dir("templates")]
    return Environment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=markup,  # noqa: S701  (mail and text are no markup)
    )
