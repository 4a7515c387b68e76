#!/bin/bash
# Other compilers and other levels of optimisation compute the same bits: clang's build, gcc's without optimising and with
# more of it, against tests/golden/hashes.tsv. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS ONLY BUILD PITH
programs=
build() { # name make's variables and goals...
    local name=$1; shift
    if ! command -v "${1#CC=}" >/dev/null; then echo "ok - $name # skip: no ${1#CC=}"; return; fi
    if make -j"${JOBS:-$(nproc)}" BUILD="build/$name" "$@" "build/$name/pith" >"build/$name.log" 2>&1; then
        echo "ok - $name: built without a warning"
        programs+=" build/$name/pith"
    else
        echo "not ok - $name: built without a warning"
        tail -20 "build/$name.log" | sed 's/^/#   /'
    fi
}
mkdir -p build
build clang CC=clang all tests tools
build O0 CC=gcc CFLAGS="-O0 -g"
build native CC=gcc CFLAGS="-O3 -march=native -g"
PITHS=$programs exec tests/determinism.sh
