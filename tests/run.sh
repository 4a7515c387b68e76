#!/bin/bash
# Runs every test program of the project and closes with "N passed, N failed, N skipped". Each program speaks TAP:
# "ok", "not ok", "ok ... # skip why". A program that dies or says nothing counts as one failure.
# usage: BUILD=build PITH=./pith tests/run.sh [regex of names]
set -u
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build} PITH=${PITH:-./pith} PITH_SHARED=${PITH_SHARED:-../shared}
export CMOCKA_MESSAGE_OUTPUT=TAP
# Tests run more threads than there may be processors, and maybe beside other work: threads that wait must not spin.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
# An absurd allocation must come back as an error, in a sanitizer build too.
export ASAN_OPTIONS=allocator_may_return_null=1:${ASAN_OPTIONS:-}
passed=0 failed=0 skipped=0 pattern=${1:-}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
one() { # name command...
    local name=$1; shift
    [[ -z $pattern || $name =~ $pattern ]] || return 0
    local start=$SECONDS
    "$@" >"$out" 2>&1 </dev/null
    local rc=$? p f s
    sed -i -E 's/^not ok (.*# *SKIP)/ok \1/' "$out" # cmocka's spelling of a skipped test
    s=$(grep -ciE '^ok .*# *skip' "$out"); f=$(grep -cE '^not ok' "$out"); p=$(grep -cE '^ok' "$out"); p=$((p - s))
    if ((rc != 0 && f == 0)); then f=1; echo "not ok - $name ended with status $rc" >>"$out"; fi
    if ((p + f + s == 0)); then f=1; echo "not ok - $name tested nothing" >>"$out"; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '%-28s %4d passed %3d failed %3d skipped  %3d s\n' "$name" $p $f $s $((SECONDS - start))
    grep -iE '^# *skip:|# *skip ' "$out" | sed 's/^/    /' | sort -u | head -5
    if ((f)); then sed 's/^/    | /' "$out" | tail -${TEST_TAIL:-60}; fi
}
for t in tests/*.sh; do
    [[ $t == tests/run.sh ]] || one "$(basename "$t")" "$t"
done
for t in tests/test_*.c; do
    n=$(basename "$t" .c); one "$n" "$BUILD/tests/$n"
done
for t in tests/*.bats; do
    [[ -e $t ]] && one "$(basename "$t")" bats --tap "$t"
done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
