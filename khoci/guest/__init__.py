"""What runs inside the guest: the static /init, its line protocol, the initramfs."""
