"""The commands: parse, call one function, print; one module a group, loaded when it is used."""

from __future__ import annotations

import importlib

import click

from khoci import __version__

_COMMANDS = {
    "abi": ("khoci.cli.abi", "abi_group"),
    "apply-series": ("khoci.cli.apply", "apply_command"),
    "b4-check": ("khoci.cli.b4check", "b4_check_command"),
    "bisect": ("khoci.cli.bisect", "bisect_command"),
    "cell": ("khoci.cli.cell", "cell_group"),
    "chain": ("khoci.cli.chain", "chain_group"),
    "compat": ("khoci.cli.compat", "compat_command"),
    "completion": ("khoci.cli.completion", "completion_command"),
    "cost": ("khoci.cli.cost", "cost_command"),
    "decode": ("khoci.cli.decode", "decode_command"),
    "diff-decode": ("khoci.cli.decode", "diff_decode_command"),
    "doctor": ("khoci.doctor", "doctor"),
    "fault": ("khoci.cli.fault", "fault_group"),
    "kernel": ("khoci.cli.kernel", "kernel"),
    "log": ("khoci.cli.show", "log_command"),
    "manifest": ("khoci.cli.compat", "manifest_command"),
    "matrix": ("khoci.cli.matrix", "matrix_group"),
    "post": ("khoci.cli.post", "post_command"),
    "predict": ("khoci.cli.predict", "predict_command"),
    "report": ("khoci.cli.report", "report_group"),
    "selftest": ("khoci.cli.selftest", "selftest_command"),
    "scenario": ("khoci.cli.scenario", "scenario_group"),
    "series": ("khoci.cli.series", "series_group"),
    "show": ("khoci.cli.show", "show_command"),
    "store": ("khoci.cli.store", "store_group"),
    "tree": ("khoci.cli.tree", "tree_group"),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, None if there is none."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Which kernels understand what others hand over (KHO, LUO)?

    Exit codes: 0 as expected, 1 the kernels disagree with the policy, 2 wrong use, 3 the harness
    or the host failed.

    Example: khoci matrix run
    """
