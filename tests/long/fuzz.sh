#!/bin/bash
# Ten minutes of every fuzzer (SECONDS_TO_FUZZ), two at a time. TAP; skips where there is no libFuzzer: tests/fuzz.sh replays anyway.
cd "$(dirname "$0")/../.." || exit 1
export SECONDS_TO_FUZZ=${SECONDS_TO_FUZZ:-600}
names=$(cd tests && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
number=0 logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
if ! tools/fuzz.sh --can; then
    echo "ok 1 - fuzzing # skip no clang with libFuzzer; install it: tools/deps.sh tsan"
    echo "1..1"
    exit
fi
# shellcheck disable=SC2086
tools/fuzz.sh --build $names >"$logs/build" 2>&1 || { sed 's/^/# /' "$logs/build"; echo "not ok 1 - the fuzzers can be built"; exit 1; }
# shellcheck disable=SC2016
xargs -P "${JOBS:-2}" -n 1 bash -c 'tools/fuzz.sh "$1" >"$0/$1" 2>&1; echo $? >"$0/$1.status"' "$logs" <<<"$names"
for name in $names; do
    if [[ $(cat "$logs/$name.status") == 0 ]]; then echo "ok $((++number)) - $(tail -1 "$logs/$name")"
    else sed 's/^/# /' "$logs/$name"; echo "not ok $((++number)) - fuzz $name"; fi
done
tools/fuzz.sh --totals | sed 's/^/# /'
echo "1..$number"
