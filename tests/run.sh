#!/bin/bash
# Runs every test program of the project, JOBS (as many as there are processors) at a time, the slowest of last time first.
# Each speaks TAP: "ok", "not ok", "ok ... # skip why". A program that dies, hangs or says nothing counts as one failure.
# What a program has to report is printed when it ends; a table, every failure and every skip with its reason come at the
# end, and "N passed, N failed, N skipped" is the last line. A program whose source says "run: alone" measures time, and
# runs with nothing beside it. SANITIZED: a build folder whose tests, named in SANITIZED_TESTS, run too, as "asan:test_x".
# LONG=1: tests/long/*.sh as well, each with the machine to itself. LEAVE_OUT=kind: without these, and the tests that tests/long/left_out
# names for that kind of build; each is told as skipped, with the reason. REPORTS: where sanitizers write; each report is a failure.
# usage: BUILD=build PITH=./pith tests/run.sh [regex of names]
set -u
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build} PITH=${PITH:-./pith} PITH_SHARED=${PITH_SHARED:-../shared}
export CMOCKA_MESSAGE_OUTPUT=TAP
# Tests run more threads than there may be processors, and maybe beside other work: threads that wait must not spin.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
# An absurd allocation must come back as an error, in a sanitizer build too.
export ASAN_OPTIONS=allocator_may_return_null=1:${ASAN_OPTIONS:-} TSAN_OPTIONS=allocator_may_return_null=1:${TSAN_OPTIONS:-}
export JOBS=${JOBS:-$(nproc)}
pattern=${1:-} limit=${TEST_LIMIT:-900} began=$SECONDS
tmp=$(mktemp -d)
seconds=$BUILD/tests/seconds # what each took when it last ran
mkdir -p "$BUILD/tests"
touch "$seconds" # may be there already, and old
set -m                                # a program gets a process group of its own, and keeps SIGINT
trap 'kill -- $(jobs -p | sed s/^/-/) 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

names=() commands=() alone=() left_out=()
add() { # name source command...
    local why=
    [[ -z $pattern || $1 =~ $pattern ]] || return 0
    [[ -z ${LEAVE_OUT:-} ]] || why=$(awk -v k="$LEAVE_OUT" -v n="$1" '!/^#/ && $1 ~ k && n ~ "^(" $2 ")$" { sub(/^[^ ]+ +[^ ]+ +/, ""); print; exit }' tests/long/left_out)
    if [[ $why ]]; then left_out+=("$1: $why"); return; fi
    names+=("$1") commands+=("${*:3}")
    if [[ $1 == long/* ]] || grep -qm1 'run: alone' "$2"; then alone+=(1); else alone+=(0); fi
}
for t in tests/*.sh; do
    [[ $t == tests/run.sh ]] || add "$(basename "$t")" "$t" "$t"
done
for t in tests/test_*.c; do
    n=$(basename "$t" .c); add "$n" "$t" "$BUILD/tests/$n"
done
for n in ${SANITIZED:+${SANITIZED_TESTS:-}}; do
    add "asan:$n" "tests/$n.c" env "BUILD=$SANITIZED" "$SANITIZED/tests/$n"
done
for t in tests/*.bats; do
    add "$(basename "$t")" "$t" bats --tap "$t"
done
for t in ${LONG:+tests/long/*.sh}; do
    [[ -e $t && -z ${LEAVE_OUT:-} ]] && add "long/$(basename "$t")" "$t" "$t"
done

((${#names[@]})) || { echo "run.sh: no test is called '$pattern'" >&2; exit 2; }
TIMEFORMAT='%U %S'
one() { # index; leaves its output in $tmp/out.INDEX and "passed failed skipped seconds processor-seconds" in $tmp/end.INDEX
    local i=$1 name=${names[$1]} out=$tmp/out.$1 start=$EPOCHREALTIME rc p f s t=$limit
    [[ $name == long/* ]] && t=$((limit * 24))
    # shellcheck disable=SC2086
    { time timeout --foreground -k 10 "$t" ${commands[i]} >"$out" 2>&1 </dev/null; } 2>"$tmp/cpu.$i"
    rc=$?
    trap '' TERM # what it left behind ends with it
    kill -- -"$BASHPID"
    sed -i -E 's/^not ok (.*# *SKIP)/ok \1/' "$out" # cmocka's spelling of a skipped test
    s=$(grep -ciE '^ok .*# *skip' "$out") f=$(grep -cE '^not ok' "$out") p=$(grep -cE '^ok' "$out")
    p=$((p - s))
    ((rc != 124)) || { f=$((f + 1)); echo "not ok - $name did not end within $t s" >>"$out"; }
    if ((rc != 0 && f == 0)); then f=1; echo "not ok - $name ended with status $rc" >>"$out"; fi
    if ((p + f + s == 0)); then f=1; echo "not ok - $name tested nothing" >>"$out"; fi
    awk -v c="$p $f $s" -v a="$start" -v b="$EPOCHREALTIME" '{ printf "%s %.1f %.1f\n", c, b - a, $1 + $2 }' "$tmp/cpu.$i" >"$tmp/end.$i"
}
row() { printf '%-30s %5d passed %3d failed %3d skipped %7s s %7s s of processor\n' "$@"; }
told=0
tell() { # of those that have ended since it was last called
    local i p f s t cpu
    for i in "${!names[@]}"; do
        [[ -e $tmp/end.$i && ! -e $tmp/told.$i ]] || continue
        touch "$tmp/told.$i"
        read -r p f s t cpu <"$tmp/end.$i"
        told=$((told + 1))
        printf '[%d/%d] ' $told ${#names[@]}
        row "${names[i]}" "$p" "$f" "$s" "$t" "$cpu"
        if ((f)); then sed 's/^/    | /' "$tmp/out.$i" | tail -"${TEST_TAIL:-60}"; fi
    done
}
# Those beside others first, each of the two halves with the slowest of last time first: "alone seconds index".
order=$(for i in "${!names[@]}"; do echo "${alone[i]} $(awk -v n="${names[i]}" '$1 == n { t = $2 } END { print t != "" ? t : n ~ /\./ ? 99 : n ~ /^asan:/ ? 9 : 0 }' "$seconds") $i"; done |
    sort -k1,1n -k2,2nr -k3,3n)
while read -r by_itself _ i; do
    [[ -n $i ]] || continue
    while (($(jobs -rp | wc -l) >= (by_itself ? 1 : JOBS))); do wait -n; tell; done
    one "$i" &
done <<<"$order"
while (($(jobs -rp | wc -l) > 0)); do wait -n; tell; done
wait
tell

passed=0 failed=0 skipped=0
echo
for i in "${!names[@]}"; do
    read -r p f s t cpu <"$tmp/end.$i"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    row "${names[i]}" "$p" "$f" "$s" "$t" "$cpu"
    echo "${names[i]} $t" >>"$seconds"
done
for why in "${left_out[@]}"; do
    skipped=$((skipped + 1))
    echo "skipped: ${why/: /: left out: }"
done
awk '{ t[$1] = $2 } END { for (n in t) print n, t[n] }' "$seconds" >"$tmp/seconds" && mv "$tmp/seconds" "$seconds"
for i in "${!names[@]}"; do
    grep -iE '^ok .*# *skip|^# *skip:' "$tmp/out.$i" | sort -u | sed -E "s|^|skipped: ${names[i]}: |"
done
for i in "${!names[@]}"; do
    grep -E '^not ok' "$tmp/out.$i" | sed -E "s|^not ok|FAILED: ${names[i]}:|"
done
while read -r n what; do
    failed=$((failed + n))
    echo "FAILED: reports: $n of: $what ($(grep -lF "$what" "$REPORTS"/* | head -1))"
done < <([[ -z ${REPORTS:-} ]] || cat "$REPORTS"/* 2>/dev/null | grep -aE '^SUMMARY: |: runtime error: ' | sort | uniq -c)
echo "$((SECONDS - began)) s, $JOBS at a time"
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
