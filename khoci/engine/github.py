"""Two job matrices for GitHub Actions, by ``fromJSON``. Pure.

A matrix generates 256 jobs at most in one run of a workflow:
https://docs.github.com/en/actions/reference/limits
"""

from __future__ import annotations

import json

from khoci.engine.work import MOST, SCHEMA, Work, jobs_within


def render(work: Work) -> str:
    """One line of JSON: ``kernels`` to build once each, and ``shards`` to run after.

    Raises:
        UsageError: there are more jobs than a workflow may have.
    """
    jobs_within(MOST["github"], work.busy, "shards", "GitHub")
    jobs_within(MOST["github"], [*work.kernels], "kernels", "GitHub")
    data = {
        "schema": SCHEMA,
        "matrix": work.matrix,
        "kernels": {
            "include": [{"kernel": name, "key": key} for name, key in work.kernels.items()]
        },
        "shards": {
            "include": [
                {"shard": shard.label, "cells": len(shard.cells), "seconds": shard.seconds}
                for shard in work.busy
            ]
        },
    }
    return json.dumps(data) + "\n"
