#!/bin/bash
# The fuzzers' stored inputs (tests/fuzz/NAME) under the sanitizers, with the compiler at hand; then SECONDS_OF_FUZZING (30) of new
# ones in all, where clang has libFuzzer. TAP. tools/fuzz.sh does the work.
cd "$(dirname "$0")/.." || exit 1
names=$(cd tests && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
number=0 log=$(mktemp) seconds=${SECONDS_OF_FUZZING:-30}
trap 'rm -f "$log"' EXIT
say() { # status what
    local status=$1; shift
    echo "$status $((++number)) - fuzz: $*"
    [[ $status == ok ]] || sed 's/^/# /' "$log"
}
# shellcheck disable=SC2086
tools/fuzz.sh --replay $names >"$log" 2>&1
for name in $names; do
    if line=$(grep "^$name: .* replayed" "$log"); then say ok "$line"; else say "not ok" "$name: a stored input fails"; fi
done
if ((seconds == 0)); then
    say ok "new inputs # skip SECONDS_OF_FUZZING is 0"
elif ! tools/fuzz.sh --can; then
    say ok "new inputs # skip no clang with libFuzzer; install it: tools/deps.sh tsan"
else
    # Whole seconds each; what is left over goes to the first ones.
    n=$(wc -w <<<"$names") each=$((seconds / $(wc -w <<<"$names"))) more=$((seconds % $(wc -w <<<"$names")))
    share() { # seconds: of names from stdin, in two processes
        (($1 == 0)) || SECONDS_TO_FUZZ=$1 xargs -r -P 2 -n $(((n + 3) / 4)) tools/fuzz.sh
    }
    # shellcheck disable=SC2086
    if tools/fuzz.sh --build $names >"$log" 2>&1 && head -$more <<<"$names" | share $((each + 1)) >"$log" 2>&1 &&
        tail -n +$((more + 1)) <<<"$names" | share $each >>"$log" 2>&1; then
        say ok "$(awk '{ n += $2 } END { print n + 0 }' "$log") new inputs in $seconds s"
    else
        say "not ok" "an input that fails"
    fi
fi
echo "1..$number"
