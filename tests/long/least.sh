#!/bin/bash
# The pith that needs least (no server, no filter of system calls, no editing of lines, no OpenMP): builds without a warning,
# and its command line does what the other's does; `pith chat` at a terminal too. Speaks TAP.
cd "$(dirname "$0")/../.." || exit 1
. tests/long/tier.bash
[[ ${BUILD:-build} == build ]] || { echo "ok - least # skip: only beside the release build"; exit 0; }
out=build/least
mkdir -p $out
if ! env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -j"${JOBS:-$(nproc)}" BUILD=$out SERVE=0 SECCOMP=0 EDIT=0 OPENMP=0 all $out/tests/test_{par,engine,generate} $out/tests/faults.so >$out/make.log 2>&1; then
    echo "not ok - least: builds"
    tail -20 $out/make.log | sed 's/^/#   /'
    exit 1
fi
echo "ok - least: builds"
needed=$(readelf -d $out/pith | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -E 'edit|microhttpd|seccomp|gomp')
if [[ -z $needed ]]; then echo "ok - least: needs none of their libraries"; else echo "not ok - least: needs" $needed; fi
table least env BUILD=$out PITH=$out/pith tests/run.sh '^(cli_(generate|classify|batch|options|signals|embed|template).bats|test_(par|engine|generate))$'
