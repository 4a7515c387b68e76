#!/bin/bash
# The release build on x86-64 processors that have little, under qemu's user emulation, which ends a program at an
# instruction that the CPU has not (tried first): the logits must hash as here. NEHALEM_LONG=1 (tests/long/nehalem.sh): on
# every kind of CPU, every tiny model and type, and the tests of kernels. Speaks TAP; skips, saying why.
set -u
cd "$(dirname "$0")/.." || exit 1
skip() { echo "ok - nehalem # skip: $*"; exit 0; }
[[ ${BUILD:-build} == build ]] || skip "only beside the release build"
[[ $(uname -m) == x86_64 ]] || skip "x86-64 only"
for tool in qemu-x86_64-static "${CC:-cc}"; do command -v "$tool" >/dev/null || skip "no $tool"; done
pith=${PITH:-./pith} tmp=$(mktemp -d) rc=0
trap 'rm -rf "$tmp"' EXIT
bad() { echo "not ok - nehalem: $*"; rc=1; }
on() { qemu-x86_64-static -cpu "$cpu" "$@"; }

echo 'int main(void) { __asm__ volatile("vpaddd %ymm0, %ymm0, %ymm0"); return 0; }' >"$tmp/avx2.c"
"${CC:-cc}" -static -o "$tmp/avx2" "$tmp/avx2.c" || skip "no static C library to try AVX2 with"
ends() { on "$tmp/avx2" >/dev/null 2>&1; }
cpu=Nehalem; (ends) 2>/dev/null && skip "this qemu runs AVX2 on a Nehalem"
cpu=Haswell; ends || skip "this qemu has no AVX2 for a Haswell"
echo "ok - nehalem: AVX2 ends a program on a Nehalem, not on a Haswell"

ids_of() { echo "tests/golden/expected/${1##*/}/ids.jsonl"; }
logits() { "${@:3}" "$pith" logits -v -m "$1" --ids-file "$(ids_of "$1")" --dtype "$2" --threads 2 --hash 2>"$tmp/said"; }
same_hash() { # model type set
    local here there
    here=$(logits "$1" "$2") there=$(logits "$1" "$2" on)
    if [[ -n $here && $there == "$here" && $(<"$tmp/said") == *", kernels $3, 2 threads,"* ]]; then
        echo "ok - nehalem: $cpu chooses $3; ${1##*/} hashes as here (--dtype $2)"
    else
        bad "$cpu with set $3, ${1##*/} (--dtype $2): '$there', here '$here'; $(tail -1 "$tmp/said")"
    fi
}
run_test() { # name
    on "build/tests/test_$1" 2>/dev/null | grep -vE '^1\.\.|^# (not )?ok' | sed -E "s/^((not )?ok [0-9]+) - /\1 - nehalem, $cpu: /; s/^not ok (.*SKIP)/ok \1/"
    ((PIPESTATUS[0] == 0)) || bad "test_$1 on $cpu ended with failures"
}
# A set is chosen only where all it needs is there: avx2's is AVX2, FMA and F16C.
declare -A sets=([Nehalem]=generic [qemu64]=generic [SandyBridge]=generic [Haswell,-fma]=generic [Haswell,-f16c]=generic
    [Haswell]=avx2 [EPYC]=avx2)
one=tests/golden/models/distilbert-f32
if [[ -z ${NEHALEM_LONG:-} ]]; then
    cpu=Nehalem
    same_hash $one auto generic
    exit $rc
fi
for cpu in "${!sets[@]}"; do same_hash $one auto "${sets[$cpu]}"; done
export CMOCKA_MESSAGE_OUTPUT=TAP PITH_TEST_QUICK=1 OMP_WAIT_POLICY=passive
for cpu in Nehalem Haswell; do
    for m in tests/golden/models/*; do
        for type in auto q8 q4; do same_hash "$m" $type "${sets[$cpu]}"; done
    done
    for t in tensor kernel kernel_portable quant op rope kv moe; do
        # qemu 7.2 reads more than 4 bytes for vfmadd132ss, which that test's unreadable pages notice.
        [[ $cpu == Haswell && $t == kernel_portable ]] || run_test $t
    done
done
exit $rc
