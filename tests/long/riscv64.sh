#!/bin/bash
# tests/long/musl.sh for riscv64: Debian's cross compiler, and qemu's user emulation.
exec "$(dirname "$0")/musl.sh" riscv64
