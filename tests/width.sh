#!/bin/bash
# A machine whose addresses have 32 bits, or that keeps the high byte first, is refused by pith.h in one line that says
# why. Only the compiler's own headers are needed for that. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
rc=0
reads() { # compiler and options: what it says of pith.h
    "$@" -ffreestanding -fsyntax-only -x c src/pith.h 2>&1
}
refused() { # words, machine, compiler and options
    if ! echo 'int x;' | "${@:3}" -fsyntax-only -x c - 2>/dev/null; then
        echo "ok - $2 is refused # skip: no compiler for it (${*:3})"
    elif said=$(reads "${@:3}"); (($? != 0)) && [[ $said == *"error: "*"pith needs a $1"* && $(grep -c 'error:' <<<"$said") == 1 ]]; then
        echo "ok - $2 is refused: $1"
    else
        echo "not ok - $2 should be refused: $said"
        rc=1
    fi
}
accepted() { # machine, compiler and options
    if ! echo 'int x;' | "${@:2}" -fsyntax-only -x c - 2>/dev/null; then
        echo "ok - $1 is accepted # skip: no compiler for it (${*:2})"
    elif said=$(reads "${@:2}"); then
        echo "ok - $1 is accepted"
    else
        echo "not ok - $1 should be accepted: $said"
        rc=1
    fi
}
accepted "this machine" "${CC:-cc}"
refused "64-bit machine" "32 bits" "${CC:-cc}" -m32
refused "64-bit machine" "x32" "${CC:-cc}" -mx32
refused "64-bit machine" "arm" clang --target=arm-linux-gnueabihf
refused "little-endian machine" "s390x" clang --target=s390x-linux-gnu
accepted "riscv64" clang --target=riscv64-linux-gnu
accepted "arm64" aarch64-linux-gnu-gcc
accepted "macOS on arm64" clang --target=arm64-apple-macos
exit $rc
