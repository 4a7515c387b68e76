#!/bin/bash
# Fuzzes one part after the other under the address and undefined-behaviour sanitizers, SECONDS_TO_FUZZ (60) each: tests/fuzz_NAME.c,
# from the inputs in tests/fuzz/NAME and those found before (build/fuzz/NAME/found). An input that crashes, takes over a second of
# processor time or over 512 MB fails, and stays in build/fuzz/NAME. Every run is a line of build/fuzz/runs.tsv.
# Needs clang's libFuzzer; without it the inputs are replayed with $CC.
# usage: tools/fuzz.sh NAME... | all      fuzz
#        tools/fuzz.sh --replay NAME...   run the inputs that there are, with $CC
#        tools/fuzz.sh --merge NAME...    take what was found into tests/fuzz/NAME, as few inputs as cover the same
#        tools/fuzz.sh --totals           sums of runs.tsv
#        tools/fuzz.sh --build NAME..., --can: only build; is there a libFuzzer?
set -u
cd "$(dirname "$0")/.." || exit 1
dir=build/fuzz seconds=${SECONDS_TO_FUZZ:-60} failed=0
flags="-O1 -g -fno-omit-frame-pointer" san="-fsanitize=address,undefined -fno-sanitize-recover=all"
export ASAN_OPTIONS=allocator_may_return_null=1:quarantine_size_mb=32:detect_stack_use_after_return=0
mkdir -p $dir

# One at a time: several of these may run side by side. With $CC most objects are those of the parsers' tests.
build_with_clang() {
    flock $dir/lock make --no-print-directory -j"${JOBS:-2}" BUILD=$dir KERNEL_O=-O1 CC=clang CFLAGS="$flags -Wno-pass-failed" SAN="${san/=/=fuzzer-no-link,}" \
        FUZZ_LINK=-fsanitize=fuzzer "${@/#/$dir/tests/fuzz_}" >$dir/build.log 2>&1
}
build_with_cc() {
    mkdir -p build/parsers
    flock build/parsers/fuzz.lock make --no-print-directory -j"${JOBS:-2}" BUILD=build/parsers KERNEL_O=-O1 CFLAGS="$flags" SAN="$san" "${@/#/build/parsers/tests/fuzz_}" >build/parsers/fuzz.log 2>&1 ||
        { tail -20 build/parsers/fuzz.log >&2; return 1; }
}
there() { printf '#include <omp.h>\n%s\n' 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n); int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return p && n > 9; }' |
    clang -x c - -fopenmp -fsanitize=fuzzer,address -o $dir/probe 2>/dev/null; }

replay() { # name; where one fails, each alone, to name it
    local f inputs
    inputs=$(find "tests/fuzz/$1" -type f | sort)
    [[ $inputs ]] || { echo "tests/fuzz/$1: no inputs" >&2; return 1; }
    xargs -d '\n' "build/parsers/tests/fuzz_$1" <<<"$inputs" >"build/parsers/fuzz.$1.log" 2>&1 && { echo "$1: $(tail -1 "build/parsers/fuzz.$1.log")"; return; }
    for f in $inputs; do
        "build/parsers/tests/fuzz_$1" "$f" >"build/parsers/fuzz.$1.log" 2>&1 || { echo "$f:"; grep -E 'broken promise|ERROR:|runtime error' "build/parsers/fuzz.$1.log"; } >&2
    done
    return 1
}
stat() { sed -n "s/^stat::$1: *//p" "$2" | tail -1; }
fuzz() { # name
    local name=$1 log=$dir/$1/log start=$SECONDS dict=() rc crashes=0 slow=0 n
    mkdir -p "$dir/$name/found" "tests/fuzz/$name"
    [[ -e tests/fuzz/$name.dict ]] && dict=("-dict=tests/fuzz/$name.dict")
    "$dir/tests/fuzz_$name" "${dict[@]}" -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=512 -malloc_limit_mb=512 \
        -print_final_stats=1 -artifact_prefix="$dir/$name/" "$dir/$name/found" "tests/fuzz/$name" >"$log" 2>&1
    rc=$? n=$(stat number_of_executed_units "$log")
    if ((rc)); then
        crashes=1
        grep -q 'takes less than a second\|ERROR: libFuzzer: timeout' "$log" && slow=1
        grep -E 'broken promise|ERROR:|runtime error|Test unit written' "$log" >&2
    fi
    printf '%s\t%s\t%d\t%d\t%d\t%d\n' "$(date -u +%FT%TZ)" "$name" "${n:-0}" $((SECONDS - start)) $crashes $slow >>$dir/runs.tsv
    printf '%-12s %12d executions %8d a second %4s MB at most  %d crashes\n' "$name" "${n:-0}" "$((${n:-0} / (SECONDS > start ? SECONDS - start : 1)))" "$(stat peak_rss_mb "$log")" $crashes
    return $rc
}
merge() { # name
    local new=$dir/$1/merged
    rm -rf "$new" && mkdir -p "$new"
    "$dir/tests/fuzz_$1" -merge=1 -use_counters=0 -max_len=4096 -timeout=20 "$new" "tests/fuzz/$1" "$dir/$1/found" >"$dir/$1/merge.log" 2>&1 || return 1
    find "tests/fuzz/$1" -type f ! -name 'regress-*' -delete
    for f in "$new"/*; do mv "$f" "tests/fuzz/$1/$(basename "$f" | cut -c1-12)"; done
}

all=$(cd tests && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
what=fuzz
case ${1-} in
--totals)
    awk -F'\t' '{ n[$2] += $3; s[$2] += $4; c[$2] += $5; w[$2] += $6 }
        END { for (k in n) { printf "%-12s %14d executions %8d s %4d crashes %4d over a second\n", k, n[k], s[k], c[k], w[k] | "sort"; N += n[k]; S += s[k]; C += c[k]; W += w[k] }
              close("sort"); printf "%-12s %14d executions %8d s %4d crashes %4d over a second\n", "all", N, S, C, W }' $dir/runs.tsv
    exit ;;
--can) there; exit ;;
--replay | --merge | --build) what=${1#--}; shift ;;
esac
# shellcheck disable=SC2086
[[ ${*:-all} == all ]] && set -- $all
for name; do
    [[ " ${all//$'\n'/ } " == *" $name "* ]] || { echo "fuzz.sh: there is no tests/fuzz_$name.c (there are ${all//$'\n'/ })" >&2; exit 2; }
done
if [[ $what != replay ]] && ! there; then
    echo "no clang with libFuzzer here: replaying the inputs that there are"
    what=replay
fi
if [[ $what == replay ]]; then build_with_cc "$@" || exit 1
else build_with_clang "$@" || { tail -20 $dir/build.log >&2; exit 1; }
fi
[[ $what == build ]] && exit
for name; do $what "$name" || { failed=1; echo "$name: failed" >&2; }; done
exit $failed
