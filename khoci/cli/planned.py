"""From the options of a command to the plan that they ask for."""

from __future__ import annotations

from collections.abc import Sequence

from khoci.config.kernels import Kernels
from khoci.config.matrix import MatrixConfig
from khoci.errors import UsageError
from khoci.kernel.cache import Cache
from khoci.paths import cache_dir
from khoci.run.matrix import Plan, make_plan, plan_around
from khoci.series.known import in_run


def planned(
    matrix: tuple[MatrixConfig, Kernels],
    kernels: Sequence[str],
    scenarios: Sequence[str],
    pairs: str | None,
    accel: str | None,
    series: str | None,
    *,
    each_patch: bool,
) -> Plan:
    """The plan of a matrix, around a series if one is named.

    Raises:
        UsageError: something that is named is not there.
    """
    config, known = matrix
    plan = make_plan(
        config, known, names=kernels, scenarios=scenarios, pairs=pairs, accelerator=accel
    )
    if series is None:
        if each_patch:
            raise UsageError("--each-patch: of which series? name it by --series")
        return plan
    root = Cache(cache_dir()).series
    return plan_around(plan, in_run(series, known, root, each_patch=each_patch))
