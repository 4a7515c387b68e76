#!/bin/bash
# Every test that starts threads, in a build with clang's race detector. Speaks TAP.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v clang >/dev/null || ! ls /usr/lib/llvm-*/lib/libarcher.so >/dev/null 2>&1; then
    echo "ok - tsan # skip: no clang with libomp's libarcher (Debian: clang libomp-dev)"
    exit 0
fi
. tests/long/tier.bash
tier tsan tsan
