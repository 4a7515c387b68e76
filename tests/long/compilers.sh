#!/bin/bash
# Other compilers and other levels of optimisation compute the same bits: clang's build, gcc's without optimising and with
# more of it, against tests/golden/hashes.tsv. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS ONLY BUILD PITH
programs="" failed=0
build() { # name make's variables and goals...
    local name=$1; shift
    if ! command -v "${1#CC=}" >/dev/null; then echo "ok - $name # skip: no ${1#CC=}"; return; fi
    if make -j"${JOBS:-$(nproc)}" BUILD="build/$name" "$@" "build/$name/pith" >"build/$name.log" 2>&1; then
        echo "ok - $name: built without a warning"
        programs+=" build/$name/pith"
    else
        echo "not ok - $name: built without a warning"
        failed=1
        tail -20 "build/$name.log" | sed 's/^/#   /'
    fi
}
mkdir -p build
build clang CC=clang all tests tools
build O0 CC=gcc CFLAGS="-O0 -g"
build native CC=gcc CFLAGS="-O3 -march=native -g"
# A process ends while its workers have hardly begun, whose threads are of another OpenMP in clang's build.
for program in $programs; do
    bad=0
    for _ in {1..200}; do
        [[ $(PITH_THREADS=8 $program logits -q -m tests/golden/models/bert-f32 --ids 1,2 --hash 2>&1) =~ ^[0-9a-f]{16}$ ]] || bad=$((bad + 1))
    done
    if ((bad == 0)); then echo "ok - $program: 200 short runs on 8 threads end well"; else echo "not ok - $program: of 200 short runs on 8 threads $bad do not end well"; failed=1; fi
done
PITHS=$programs tests/determinism.sh || failed=1
exit $failed
