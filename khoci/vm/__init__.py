"""The virtual machine: QEMU process, accelerator, QMP, gdb stub, guest RAM."""
