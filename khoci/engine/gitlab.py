"""A child pipeline for GitLab CI. Pure.

It is JSON, which is YAML too; ``trigger: include: artifact`` takes it. ``parallel:matrix`` makes
200 jobs at most: https://docs.gitlab.com/ci/yaml/#parallelmatrix
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from khoci.engine.work import MOST, Work, jobs_within


def render(work: Work) -> str:
    """Stages ``kernels``, ``cells`` and ``report``.

    Raises:
        UsageError: there are more jobs than GitLab takes.
    """
    jobs_within(MOST["gitlab"], work.busy, "shards", "GitLab")
    jobs_within(MOST["gitlab"], [*work.kernels], "kernels", "GitLab")
    pipeline = {
        "stages": ["kernels", "cells", "report"],
        "variables": {"KHOCI_CACHE": "$CI_PROJECT_DIR/.khoci-cache"},
        "kernel": {
            "stage": "kernels",
            "parallel": {"matrix": [{"KERNEL": [*work.kernels]}]},
            "script": [f'khoci kernel --matrix {shlex.quote(work.matrix)} build "$KERNEL"'],
            "artifacts": {"paths": [".khoci-cache/kernels"]},
        },
        "cells": {
            "stage": "cells",
            "parallel": {"matrix": [{"SHARD": [shard.label for shard in work.busy]}]},
            "script": [_shard_command(work)],
            "artifacts": {"paths": ["runs"], "when": "always"},
        },
        "report": _report(),
    }
    return json.dumps(pipeline, indent=2) + "\n"


def _shard_command(work: Work) -> str:
    command = shlex.join(work.command("SHARD", "--run-id", "RUN"))
    named = command.replace("--shard SHARD", '--shard "$SHARD"')
    return named.replace("--run-id RUN", '--run-id "shard-${SHARD%/*}"')


def _report() -> dict[str, Any]:
    return {
        "stage": "report",
        "script": [
            "khoci matrix merge runs/shard-* --run-id merged",
        ],
        "after_script": [
            "khoci report merged --format junit -o junit.xml",
            "khoci report merged --format html -o report.html",
        ],
        "artifacts": {
            "when": "always",
            "paths": ["runs/merged", "report.html"],
            "reports": {"junit": "junit.xml"},
        },
    }
