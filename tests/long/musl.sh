#!/bin/bash
# The library and the command line with the C library musl, the libraries built for it from Debian's sources
# (tools/sources.sh); and for riscv64 (tests/long/riscv64.sh). Core tests run, the tiny models' logits hash as in the
# release build. Speaks TAP; skips, saying why, where something is missing.
# usage: tests/long/musl.sh [musl|riscv64]
set -u
cd "$(dirname "$0")/../.." || exit 1
what=${1:-musl}
skip() { echo "ok - $what # skip: $*"; exit 0; }
bad() { echo "not ok - $what: $*"; rc=1; }
[[ ${BUILD:-build} == build && -x ${PITH:-./pith} ]] || skip "only beside the release build"
off="SERVE=0 EDIT=0" rc=0 more=
if [[ $what == musl ]]; then
    export CC=musl-gcc AR=ar RANLIB=ranlib
    off+=" OPENMP=0" # musl has no libgomp
    there=() more=stack
else
    export CC=riscv64-linux-gnu-gcc AR=riscv64-linux-gnu-ar RANLIB=riscv64-linux-gnu-ranlib HOST=riscv64-linux-gnu
    there=(qemu-riscv64-static -L /usr/riscv64-linux-gnu)
    [[ -e /usr/riscv64-linux-gnu/include/stdio.h ]] || skip "no libc6-dev-riscv64-cross"
fi
for tool in "$CC" "${there[@]:0:1}" apt-get dpkg-source; do command -v "$tool" >/dev/null || skip "no $tool"; done
out=build/$what
mkdir -p "$out"
tools/sources.sh "$out/libs" >"$out/libs.log" 2>&1 || {
    [[ -e build/sources/cmocka ]] || skip "cannot fetch Debian's source packages: $(tail -1 "$out/libs.log")"
    bad "the libraries do not build: $(tail -1 "$out/libs.log")"
    exit 1
}
# Not test_safetensors: it wraps glibc's pread64, and allocations that here are cJSON's too.
# shellcheck disable=SC2206
tests=(par tensor kernel_portable quant op rope kv moe json csv digest outfile tokenizer torch $more)
# shellcheck disable=SC2086
if ! PKG_CONFIG_LIBDIR=$PWD/$out/libs/lib/pkgconfig make -j"$(nproc)" CC="$CC" AR="$AR" $off BUILD="$out" all "${tests[@]/#/$out/tests/test_}" >"$out/make.log" 2>&1; then
    bad "build"
    tail -20 "$out/make.log" | sed 's/^/#   /'
    exit 1
fi
echo "ok - $what: library, command line and tests build without a warning"
export CMOCKA_MESSAGE_OUTPUT=TAP PITH_TEST_QUICK=1
for t in "${tests[@]}"; do
    "${there[@]}" "$out/tests/test_$t" 2>&1 | grep -vE '^1\.\.|^# (not )?ok' | sed -E "s/^((not )?ok [0-9]+) - /\1 - $what: /; s/^not ok (.*SKIP)/ok \1/"
    ((PIPESTATUS[0] == 0)) || bad "test_$t ended with failures"
done
logits() { "${@:3}" logits -q -m "$1" --ids-file "tests/golden/expected/${1##*/}/ids.jsonl" --dtype "$2" --threads 2 --hash 2>&1; }
for m in tests/golden/models/*; do
    for type in auto q8 q4; do
        a=$(logits "$m" $type "${PITH:-./pith}") b=$(logits "$m" $type "${there[@]}" "$out/pith")
        if [[ -n $a && $a == "$b" ]]; then echo "ok - $what: ${m##*/} hashes as here (--dtype $type)"; else bad "${m##*/} (--dtype $type): '$b', here '$a'"; fi
    done
done
serve=$("${there[@]}" "$out/pith" serve 2>&1)
if (($? == 1)) && [[ $serve == "pith serve: this pith was built without the server;"* ]]; then echo "ok - $what: serve tells that it is not there"; else bad "serve: $serve"; fi
# The emulator has no sandbox to give, so there it is refused.
held=$("${there[@]}" "$out/pith" logits -m tests/golden/models/distilbert-f32 --ids 1 --hash --sandbox on 2>&1) status=$?
free=$("${there[@]}" "$out/pith" logits -m tests/golden/models/distilbert-f32 --ids 1 --hash --sandbox off 2>&1)
if ((${#there[@]})) && [[ $status == 1 && $held == *"--sandbox on: "* ]]; then echo "ok - $what: a sandbox that is insisted on is refused"
elif ((${#there[@]} == 0 && status == 0)) && [[ $held == "$free" ]]; then echo "ok - $what: computes in its sandbox"
else bad "--sandbox on: $held; off: $free"; fi
exit $rc
