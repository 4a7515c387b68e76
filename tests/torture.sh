#!/bin/bash
# Every call that can fail does: memory, mappings, files, threads (tests/torture.c), in every verb that reads or writes, once
# and from there on. Here the first of each and then one in many; with LONG=1 (tests/long/torture.sh) every one. Speaks TAP.
# usage: [EVERY=k] tests/torture.sh [regex of names]: one in k instead
cd "$(dirname "$0")/.." || exit 1
load() { . "tests/$1.bash"; }
load cli
long=${LONG:-} root=$PWD only=${1:-}
library=$(realpath -m "${BUILD:-build}/tests/torture.so")
work=$(mktemp -d) failed=0 n=0
trap 'rm -rf "$work"' EXIT
skip() { echo "# skip: $1"; echo "ok - torture # skip $1"; exit 0; }
if nm "$PITH" 2>/dev/null | grep -qE '__(a|t|m)san_init'; then skip "the allocator of a sanitizer cannot be made to fail"; fi
LD_PRELOAD=$library TORTURE=memory "$PITH" version >"$work/probe" 2>&1
grep -q '^# memory: ' "$work/probe" || skip "no library can be preloaded here"

# torture NAME COMMAND...: settings of tests/torture_runs.c stand before it. FIRST calls and then each STRIDE-th, unless LONG.
torture() {
    local name=$1 on rc=0
    shift
    [[ -z $only || $name =~ $only ]] || return 0
    n=$((n + 1))
    : >"$work/log"
    for on in "" 1; do
        if [ -z "$long" ]; then
            # Once, and from there on, where it is cheap: what fails from there on fails early.
            export TORTURE_FIRST=${FIRST:-60} TORTURE_STRIDE=${EVERY:-${STRIDE:-23}}
            [ -z "$on" ] || TORTURE_FIRST=20 TORTURE_STRIDE=$((TORTURE_STRIDE * 7))
        fi
        TORTURE_ON=$on LD_PRELOAD=$library TORTURE=all "$@" >>"$work/log" 2>&1 || rc=1
    done
    if [ $rc = 0 ]; then echo "ok $n - $name"; else
        echo "not ok $n - $name"
        failed=1
    fi
    grep '^#' "$work/log"
}
# What it writes goes into the folder d, which was as `old` is.
writes() {
    rm -rf d
    cp -rp old d
    TORTURE_DIR=$work/d TORTURE_OLD=$work/old torture "$@"
}

cd "$work" || exit 1
GOLDEN=$root/tests/golden
tiny m
cp -r "$GOLDEN/models/llama-odd" gen
/usr/bin/python3 - gen <<'P'
import json, sys
n = json.load(open(sys.argv[1] + "/config.json"))["vocab_size"]
words = ["<unk>", "<s>", "</s>"] + ["w%d" % i for i in range(n - 3)]
json.dump({"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "decoder": None,
           "added_tokens": [{"id": i, "content": w, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
                            for i, w in enumerate(words[:3])], "post_processor": None,
           "model": {"type": "WordLevel", "vocab": {w: i for i, w in enumerate(words)}, "unk_token": "<unk>"}}, open(sys.argv[1] + "/tokenizer.json", "w"))
json.dump({"bos_token": "<s>", "eos_token": "</s>", "chat_template": "{% for m in messages %}{{ m.role | upper }} {{ m.content }}\n{% endfor %}"},
          open(sys.argv[1] + "/tokenizer_config.json", "w"))
P
printf '{"text":"a good film","id":1,"x":"y"}\n{"text":"bad"}\n' >rows.jsonl
printf 'id,text,label\n1,"good, ""fine""",POSITIVE\n2,bad,NEGATIVE\n' >rows.csv
echo '[{"role":"user","content":"w1 w2"}]' >chat.json
mkdir old
for f in jsonl csv npy html json; do echo old >old/o.$f; done
cp -r gen old/t
vocab=bert && mkdir -p $vocab && printf '[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\nab\n##c\n' >bert/vocab.txt

torture "inspect" "$PITH" inspect -q m
torture "inspect --stats --json" "$PITH" inspect -q m --stats --json
torture "inspect --tree" "$PITH" inspect -q m --tree
torture "inspect --diff" "$PITH" inspect -q --diff m m
[ ! -d "$GOLDEN/torch" ] || torture "inspect a PyTorch checkpoint" "$PITH" inspect -q "$(find "$GOLDEN/torch" -name '*.bin' | sort | head -1)"
TORTURE_TELLS=1 STRIDE=61 torture "verify" "$PITH" verify -q m
STRIDE=61 torture "tokenize" "$PITH" tokenize -q -m m "a good film" --json
torture "tokenize, a vocab.txt" "$PITH" tokenize -q -m bert "abc ab" --json
TORTURE_IN=chat.json torture "template" "$PITH" template -q -m gen
STRIDE=61 torture "classify" "$PITH" classify -q -m m -t 2 "a good film" --json
STRIDE=61 torture "logits on three threads" "$PITH" logits -q -m m -t 3 --ids 1,2,3 --hash
STRIDE=61 torture "three tokens" "$PITH" generate -q -m gen -t 2 -n 3 --temp 0 "w1 w2" --json
STRIDE=61 torture "embed" "$PITH" embed -q -m m "a good film"
STRIDE=61 writes "classify rows to a file" "$PITH" classify -q -m m -t 1 -f rows.jsonl -o d/o.jsonl
STRIDE=61 writes "classify and explain rows as csv" "$PITH" classify -q -m m -t 1 -f rows.jsonl -o d/o.csv --explain
TORTURE_ANY_OUT=1 STRIDE=61 writes "eval" "$PITH" eval -q -m m -t 1 -f rows.csv -o d/o.jsonl
STRIDE=61 writes "embed to a file" "$PITH" embed -q -m m -t 1 -f rows.csv -o d/o.npy
STRIDE=61 writes "generate to a file" "$PITH" generate -q -m gen -t 1 -n 3 -f rows.jsonl -o d/o.jsonl
STRIDE=61 writes "logits to a file" "$PITH" logits -q -m m -t 1 --ids 1,2 --output d/o.npy
writes "inspect --html" "$PITH" inspect -q m --html d/o.html
FIRST=10 STRIDE=61 writes "convert" "$PITH" convert -q m d/t --dtype f16 --force --max-shard-size 40KB
FIRST=10 STRIDE=61 writes "quantize" "$PITH" quantize -q gen d/t --force
TORTURE_TELLS=1 STRIDE=151 writes "verify --record" "$PITH" verify -q m -t 1 --record d/new.json
TORTURE_TELLS=1 STRIDE=151 writes "verify --manifest" "$PITH" verify -q m -t 1 --manifest d/new.json
mkdir -p sock
FIRST=5 STRIDE=151 TORTURE_DIR=$work/sock TORTURE_POST='/predict {"inputs":"a good film"}
/v1/embeddings {"model":"s","input":["x","good"]}
/nowhere {}' torture "serve: start, requests, end" "$PITH" serve -m s=m -t 2 --unix sock/s
exit $failed
