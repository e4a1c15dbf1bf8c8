"""The templates of reports: those that khoci ships, and a project's own before them."""

from __future__ import annotations

from pathlib import Path

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)

from khoci.errors import UsageError
from khoci.paths import data_dir


def rendered(name: str, folder: Path | None, /, **values: object) -> str:
    """The template of this name, filled in.

    Args:
        name: what is filled in is escaped for HTML if it ends so.
        folder: a file in it stands for the shipped one of its name; None to use only those.
        values: what is filled in, by name.

    Raises:
        UsageError: the folder is not there, or the user's template is wrong.
    """
    try:
        return (
            _environment(folder, markup=name.endswith(".html.j2")).get_template(name).render(values)
        )
    except TemplateSyntaxError as error:
        raise UsageError(
            f"template {error.filename}, line {error.lineno}: {error.message}"
        ) from None
    except TemplateError as error:
        raise UsageError(f"template {name}: {error.message}") from None


def _environment(folder: Path | None, *, markup: bool) -> Environment:
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
