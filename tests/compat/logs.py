"""Excerpts of real consoles: what a consumer of each release says."""

from __future__ import annotations

FOUND = {
    "6.16": "KHO: found kexec handover data. Will skip init for some devices",
    "6.17": "KHO: found kexec handover data. Will skip init for some devices",
    "6.18": "KHO: found kexec handover data. Will skip init for some devices",
    "6.19": "KHO: found kexec handover data.",
    "7.0": "KHO: found kexec handover data.",
    "7.1": "KHO: found kexec handover data.",
    "7.2": "KHO: found kexec handover data.",
    "7.3": "KHO: found kexec handover data.",
}
REFUSED = {
    "6.17": """\
random: crng init done
KHO: setup: handover FDT (0x24a000) is incompatible with 'kho-v1': 1
KHO: disabling KHO revival: -22
printk: legacy bootconsole [earlyser0] enabled
""",
    "7.3": """\
random: crng init done
KHO: setup: handover FDT (0x276000) is incompatible with 'kho-v4': 1
KHO: disabling KHO revival
printk: legacy bootconsole [earlyser0] enabled
""",
}
SELF_6_17 = """\
random: crng init done
KHO: found kexec handover data. Will skip init for some devices
KHO: scratch areas: lowmem: 16MiB global: 256MiB pernode: 128MiB
NX (Execute Disable) protection: active
test_kho: KHO restore succeeded
"""
SELF_7_3 = """\
random: crng init done
KHO: found kexec handover data.
printk: legacy bootconsole [earlyser0] enabled
KHO: scratch areas: lowmem: 16MiB global: 256MiB pernode: 128MiB
Revived memory reservation 'khoci-large' from KHO
Revived memory reservation 'khoci-small' from KHO
luo: Retrieved live update data, liveupdate number: 1
KHO: exec from: 7.3.4 (count 1)
"""
PANIC_6_18 = """\
KHO: found kexec handover data. Will skip init for some devices
mem auto-init: stack:all(zero), heap alloc:off, heap free:off
BUG: unable to handle page fault for address: ffd4000001010c28
#PF: supervisor write access in kernel mode
Oops: Oops: 0002 [#1] SMP
CPU: 0 UID: 0 PID: 0 Comm: swapper Not tainted 6.18.15 #1 NONE
RIP: 0010:kho_memory_init+0x20f/0x45e
Kernel panic - not syncing: Attempted to kill the idle task!
"""
LUO_PANIC_7_0 = """\
KHO: found kexec handover data.
luo: Retrieved live update data, liveupdate number: 1
luo: Unable to get FLB node [luo-flb]
Kernel panic - not syncing: The incoming tree failed to initialize properly [-2]
"""
OTHER_LINES = """\
Command line: console=ttyS0,115200 nokaslr kho=on reserve_mem=8M:4K:khoci-large
KHO: scratch areas: lowmem: 16MiB global: 256MiB pernode: 128MiB
blacklisting initcall kho_test_init
Unknown kernel command line parameters "nokaslr", will be passed to user space.
printk: debug: ignoring loglevel setting.
rcu: Hierarchical SRCU implementation.
Performance Events: PMU not available due to virtualization, using software events only.
"""
