#!/bin/bash
# The bits contract from outside: what pith computes is what tests/golden/hashes.tsv says, so machines, compilers and
# sanitizer builds are compared with each other; and some of it over every number of threads, kernel set, batch, way to
# read the weights, and with and without address randomisation. (test_engine and test_causal cut one process's work in
# more ways.) PITHS: the programs that are tested, one or more. Speaks TAP. `tests/determinism.sh --write` writes the
# table anew, which is right only where the contract itself was changed.
set -u
cd "$(dirname "$0")/.." || exit 1
root=$PWD golden=tests/golden failed=0
unset "${!PITH_@}"
export PITH_DATA=$root/models/bundled
table=$golden/hashes.tsv
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for i in $(seq 24); do
    echo "The ${i}th film was$(printf ' %.0s really' $(seq $((i * 7 % 30)))) good, but caf$(printf '\303\251') no $((i * i)) is not."
done >"$dir/texts.txt"

value() { # key: the hash of what PITH makes of it
    local what model how out
    IFS=: read -r what model how <<<"$1"
    local m=$golden/models/$model ids=$golden/expected/$model/ids.jsonl
    case $what in
    logits) "${pith[@]}" logits -q -m "$m" --ids-file "$ids" --dtype "$how" --hash ;;
    hidden) "${pith[@]}" logits -q -m "$m" --ids-file "$ids" --dtype "$how" --hidden --hash ;;
    greedy | sampled)
        local mood=(--temp 0)
        [[ $what == greedy ]] || mood=(--temp 0.9 --top-k 40 -s 7)
        out=$("${pith[@]}" generate -q -m "$m" --ids-file "$ids" --json --logprobs 1 -n 6 --ignore-eos --kv "$how" "${mood[@]}" | sha256sum) && echo "${out:0:16}" ;;
    labels) out=$("${pith[@]}" classify -q -m "$model" -f "$dir/texts.txt" --json --activation "$how" | sha256sum) && echo "${out:0:16}" ;;
    text) out=$("${pith[@]}" generate -q -m "$model" --input "$dir/texts.txt" --format text --json -n 4 --temp 0 --kv "$how" | sha256sum) && echo "${out:0:16}" ;;
    esac
}
keys() {
    local m how
    for m in "$golden"/models/*; do
        for how in auto q8 q4; do echo "logits:${m##*/}:$how"; done
    done
    for m in llama-odd qwen3-tied-bf16 mistral-swa-bf16-sharded gpt_oss-f32 gemma2-f32; do
        for how in f32 f16; do echo "greedy:$m:$how" "sampled:$m:$how"; done
    done | tr ' ' '\n'
    echo hidden:bert-f32:auto
    echo labels:sentiment:none
    echo text:reviews:f16
}
if [[ ${1:-} == --write ]]; then
    pith=("${PITH:-./pith}")
    keys | while read -r k; do printf '%s\t%s\n' "$k" "$(PITH_THREADS=1 PITH_KERNELS=generic value "$k")"; done >"$table"
    exit
fi
want() { awk -F'\t' -v k="$1" '$1 == k { print $2 }' "$table"; }
check() { # key setting...: settings are words of env
    local k=$1 got; shift
    got=$(export LC_ALL=C "$@"; value "$k" 2>&1)
    runs=$((runs + 1))
    [[ $got == "$(want "$k")" && -n $got ]] || wrong+=("$k with ${*:-nothing set}: '$got', expected '$(want "$k")'")
}
over() { # name, then wrong[] says
    if ((${#wrong[@]} == 0)); then echo "ok - $1 ($runs runs)"; else
        echo "not ok - $1: ${#wrong[@]} of $runs differ"
        printf '#   %s\n' "${wrong[@]:0:8}"
        failed=1
    fi
    runs=0 wrong=()
}
runs=0 wrong=()
# An encoder, decoders in F32 and in BF16 with grouped queries, experts; packed; an F16 cache; texts.
some=(logits:bert-f32:auto logits:distilbert-f16:q8 logits:llama-odd:auto logits:qwen3-tied-bf16:auto logits:mistral-swa-bf16-sharded:q4
    logits:gpt_oss-f32:q8 sampled:qwen3-tied-bf16:f16)
for program in ${PITHS:-${PITH:-./pith}}; do
    pith=("$program") sets=
    for k in $(sed -n 's/^KERNEL_SET(\([a-z0-9]*\), 1,.*/\1/p' src/compute/kernel_sets.def) neon generic; do
        [[ " $sets " == *" $k "* ]] || { PITH_KERNELS=$k value logits:bert-f32:auto >/dev/null 2>&1 && sets+=" $k"; }
    done
    if diff <(keys) <(cut -f1 "$table") >"$dir/diff"; then echo "ok - the table has every row"; else
        echo "not ok - the table has every row: $(grep -c '^[<>]' "$dir/diff") differ"
        failed=1
    fi
    while IFS=$'\t' read -r k _; do check "$k"; done <"$table"
    over "$program computes what the table says"
    for k in "${some[@]}"; do
        for set in $sets; do
            for t in 1 2 3 7; do check "$k" "PITH_KERNELS=$set" "PITH_THREADS=$t"; done
        done
    done
    over "the same for 1, 2, 3 and 7 threads and the kernel sets$sets"
    for n in 16 100 100000; do check labels:sentiment:none "PITH_CLASSIFY_BATCH_TOKENS=$n" PITH_THREADS=2; done
    for n in 1 3 8 40; do
        check text:reviews:f16 "PITH_GENERATE_PARALLEL=$n" PITH_THREADS=2
        check sampled:gpt_oss-f32:f32 "PITH_GENERATE_PARALLEL=$n" PITH_THREADS=3
    done
    for k in logits:bert-bf16-sharded:auto logits:qwen2-tied-bf16:q8; do check "$k" PITH_LOGITS_NO_MMAP=1; done
    over "the same for every batch, and with weights mapped or read"
    if command -v setarch >/dev/null && setarch -R true 2>/dev/null; then
        for k in "${some[@]}"; do
            check "$k"
            pith=(setarch -R "$program")
            check "$k"
            pith=("$program")
        done
        over "the same with and without address randomisation"
    else
        echo "ok - the same with and without address randomisation # skip: setarch -R does not work here"
    fi
done
exit $failed
