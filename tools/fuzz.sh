#!/bin/bash
# Fuzzes one part after the other under the address and undefined-behaviour sanitizers, SECONDS_TO_FUZZ (60) each: tests/fuzz_NAME.c,
# from the inputs in tests/fuzz/NAME and those found before (build/fuzz/NAME/found). An input that crashes, takes over a second of
# processor time or over 512 MB fails, and stays in build/fuzz/NAME. Every run is a line of build/fuzz/runs.tsv: when, which,
# executions, seconds of processor time, and how many crashed, took too long, took too much memory.
# COMPARES=1: a build that also watches every comparison: a third as fast, and it finds what must be equal to something.
# Needs clang's libFuzzer; without it the inputs are replayed with $CC.
# usage: tools/fuzz.sh NAME... | all      fuzz
#        tools/fuzz.sh --replay NAME...   run the inputs that there are, with $CC
#        tools/fuzz.sh --merge NAME...    take what was found into tests/fuzz/NAME, as few inputs as cover the same
#        tools/fuzz.sh --until N          fuzz whichever has had the least time, until runs.tsv counts N executions; one run in
#                                         five with COMPARES=1
#        tools/fuzz.sh --totals           sums of runs.tsv
#        tools/fuzz.sh --report           takes runs.tsv into tests/fuzz/REPORT.md, and begins it anew
#        tools/fuzz.sh --build NAME..., --can: only build; is there a libFuzzer?
set -u
cd "$(dirname "$0")/.." || exit 1
dir=build/fuzz seconds=${SECONDS_TO_FUZZ:-60} failed=0
flags="-g -fno-omit-frame-pointer" san="-fsanitize=address,undefined -fno-sanitize-recover=all" compares=${COMPARES:-0}
export ASAN_OPTIONS=allocator_may_return_null=1:quarantine_size_mb=32:detect_stack_use_after_return=0
# While fuzzing: what is freed stays poisoned for as long as an input runs, and where it was allocated is told by a replay.
fast=quarantine_size_mb=2:thread_local_quarantine_size_kb=64:malloc_context_size=0:max_malloc_fill_size=64:allocator_release_to_os_interval_ms=-1
mkdir -p $dir

place() { ((compares)) && echo $dir/compares || echo $dir; }
# One at a time: several of these may run side by side. With $CC most objects are those of the parsers' tests.
build_with_clang() {
    local to coverage=
    to=$(place)
    ((compares)) || coverage=-fno-sanitize-coverage=trace-cmp
    flock $dir/lock make --no-print-directory -j"${JOBS:-2}" BUILD="$to" CC=clang CFLAGS="-O2 $flags -Wno-pass-failed" SAN="${san/=/=fuzzer-no-link,} $coverage" \
        FUZZ_LINK=-fsanitize=fuzzer "${@/#/$to/tests/fuzz_}" >$dir/build.log 2>&1
}
build_with_cc() {
    mkdir -p build/parsers
    flock build/parsers/fuzz.lock make --no-print-directory -j"${JOBS:-2}" BUILD=build/parsers CFLAGS="-O1 $flags" SAN="$san" "${@/#/build/parsers/tests/fuzz_}" >build/parsers/fuzz.log 2>&1 ||
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
# -timeout ends what never ends; what takes over a second ends by itself (fuzz.c).
fuzz() { # name
    local name=$1 log=$dir/$1/log dict=() len=4096 rc crashes=0 slow=0 big=0 n s TIMEFORMAT='%U %S'
    mkdir -p "$dir/$name/found" "tests/fuzz/$name"
    [[ -e tests/fuzz/$name.dict ]] && dict=("-dict=tests/fuzz/$name.dict")
    [[ $name == text ]] && len=600 # what is longer it does not run
    { time ASAN_OPTIONS=$ASAN_OPTIONS:$fast "$(place)/tests/fuzz_$name" "${dict[@]}" -max_total_time="$seconds" -max_len=$len -timeout=1200 -rss_limit_mb=512 \
        -malloc_limit_mb=512 -entropic=$compares -print_funcs=0 -print_final_stats=1 -artifact_prefix="$dir/$name/" "$dir/$name/found" "tests/fuzz/$name" >"$log" 2>&1; } 2>"$dir/$name/time"
    rc=$? n=$(stat number_of_executed_units "$log") s=$(awk '{ print $1 + $2 }' "$dir/$name/time")
    if ((rc)); then
        crashes=1
        grep -q 'takes less than a second\|ERROR: libFuzzer: timeout' "$log" && slow=1
        grep -q 'ERROR: libFuzzer: out-of-memory' "$log" && big=1
        grep -E 'broken promise|ERROR:|runtime error|Test unit written' "$log" >&2
    fi
    printf '%s\t%s\t%d\t%s\t%d\t%d\t%d\n' "$(date -u +%FT%TZ)" "$name" "${n:-0}" "$s" $crashes $slow $big >>$dir/runs.tsv
    printf '%-12s %12d executions %8.0f a second %4s MB at most  %d crashes\n' "$name" "${n:-0}" "$(awk "BEGIN { print ${n:-0} / ($s + 0.01) }")" "$(stat peak_rss_mb "$log")" $crashes
    return $rc
}
until_there() { # executions
    local turn=0
    # shellcheck disable=SC2086
    while awk -F'\t' -v wanted="$1" '{ n += $3 } END { exit n >= wanted }' $dir/runs.tsv; do
        compares=$((turn++ % 5 == 4))
        fuzz "$({ printf -- '-\t%s\t0\t0\n' $all; cat $dir/runs.tsv; } | awk -F'\t' '{ s[$2] += $4 } END { for (k in s) print s[k], k }' | sort -n | awk 'NR == 1 { print $2 }')" || return 1
    done
}
report() {
    local to=tests/fuzz/REPORT.md rows
    rows=$({ sed -n 's/^| \(20[^|]*\) | \([^|]*\) | \([^|]*\) | \([^|]*\) | \([^|]*\) | \([^|]*\) | \([^|]*\) |$/\1\t\2\t\3\t\4\t\5\t\6\t\7/p' $to
             awk -F'\t' -v OFS='\t' '{ $1 = substr($1, 1, 10); $4 = $4 / 60; print }' $dir/runs.tsv; } |
        awk -F'\t' '{ k = "| " $1 " | " $2; n[k] += $3; m[k] += $4; c[k] += $5; w[k] += $6; b[k] += $7 }
            END { for (k in n) printf "%s | %d | %.1f | %d | %d | %d |\n", k, n[k], m[k], c[k], w[k], b[k] }' | sort)
    { sed '/^|/,$d' $to
      echo "| day | fuzzer | executions | minutes | crashes | over a second | over 512 MB |"
      echo "|---|---|---:|---:|---:|---:|---:|"
      echo "$rows"
      awk -F' *\\| *' '{ n += $4; m += $5; c += $6; w += $7; b += $8 } END { printf "| all | | %d | %.1f | %d | %d | %d |\n", n, m, c, w, b }' <<<"$rows"; } >$dir/report.new
    mv $dir/report.new $to && mv $dir/runs.tsv "$dir/runs.$(date -u +%FT%H%M%S).tsv"
}
merge() { # name
    local new=$dir/$1/merged
    rm -rf "$new" && mkdir -p "$new"
    "$dir/tests/fuzz_$1" -merge=1 -use_counters=0 -max_len=4096 -timeout=1200 "$new" "tests/fuzz/$1" "$dir/$1/found" >"$dir/$1/merge.log" 2>&1 || return 1
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
--report) report; exit ;;
--can) there; exit ;;
--until) until=${2:?how many} what=until_there; set -- ;;
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
else
    for compares in $compares $([[ $what == until_there ]] && echo 1); do build_with_clang "$@" || { tail -20 $dir/build.log >&2; exit 1; }; done
fi
[[ $what == build ]] && exit
touch $dir/runs.tsv
[[ $what == until_there ]] && { until_there "$until"; exit; }
for name; do $what "$name" || { failed=1; echo "$name: failed" >&2; }; done
exit $failed
