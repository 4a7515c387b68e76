# A file that another program cuts short while it is mapped or read: in every verb one line that names it, and status 1; no
# signal, no half-written output. FAULT_CUT of tests/faults.c cuts it when it has been mapped, so each run meets it.
bats_require_minimum_version 1.5.0
setup() {
    load cli
    load faults
    load serve
    faults_need
    cd "$BATS_TEST_TMPDIR"
    tiny enc
    cp -r "$(dirname "$GOLDEN")/../models/bundled/reviews" dec
    printf '{"text":"a good film","label":"POSITIVE"}\n{"text":"bad","label":"NEGATIVE"}\n' >rows.jsonl
    beside='|pith-'
    mkdir keep
    cp -r enc dec keep/
}
teardown() { serve_kill; }

# cut_file FILE TIMES COMMAND...: FILE is cut to nothing, and to half, when it is mapped for the first, ... TIMES-th time.
cut_file() {
    local file=$1 times=$2 to at
    shift 2
    for to in 0 $(($(stat -c %s "$file") / 2)); do
        for at in $(seq "$times"); do
            rm -rf enc dec too made* && cp -r keep/* .
            run_split env LD_PRELOAD="$FAULTS" ASAN_OPTIONS="$FAULTS_ASAN" PITH_SANDBOX=off FAULT_CUT="$file" FAULT_CUT_TO=$to FAULT_CUT_AT=$at "$@"
            [ "$(stat -c %s "$file")" = "$to" ] || { echo "$*: $file was not mapped $at times"; return 1; }
            fails 1 "the file changed or shrank while it was mapped" && [[ $error == "pith: ${file%/*}"* ]] || { echo "$*: cut to $to at mapping $at"; return 1; }
            [ -z "$(ls -A | grep -E "^made$beside")" ] || { ls -A; return 1; }
        done
    done
}

@test "verbs that compute with a model" {
    enc=enc/model.safetensors dec=dec/model.safetensors
    cut_file $enc 1 "$PITH" classify -q -m enc "a good film"
    cut_file $enc 1 "$PITH" classify -q -m enc -t 3 -f rows.jsonl -o made.jsonl
    cut_file $enc 1 "$PITH" eval -q -m enc -f rows.jsonl
    cut_file $enc 1 "$PITH" embed -q -m enc -f rows.jsonl -o made.npy
    cut_file $enc 1 "$PITH" logits -q -m enc --ids 1,2,3 --output made.npy
    cut_file $enc 1 "$PITH" classify -q -m enc --dtype q8 "a good film"
    cut_file $dec 1 "$PITH" generate -q -m dec -n 3 -t 3 "the film"
    cut_file $dec 1 "$PITH" perplexity -q -m dec rows.jsonl
    cut_file $dec 1 "$PITH" bench -q -m dec
}

@test "verbs that read weights" {
    [[ $PITH != *tsan/pith ]] || skip "the race detector writes out at the end what had not been said yet"
    enc=enc/model.safetensors
    cut_file $enc 1 "$PITH" inspect -q enc --stats
    cut_file $enc 1 "$PITH" inspect -q enc --html made.html
    "$PITH" convert -q keep/enc keep/too --dtype bf16 >/dev/null
    cut_file $enc 1 "$PITH" inspect -q --diff enc too
    cut_file too/model.safetensors 1 "$PITH" inspect -q --diff enc too
    cut_file $enc 2 "$PITH" verify -q enc --record made.json
    beside= # the folder they work in is removed by the next run: a signal handler cannot
    cut_file $enc 1 "$PITH" convert -q enc made --dtype f16
    cut_file $enc 1 "$PITH" convert -q enc made.safetensors
    cut_file $enc 1 "$PITH" quantize -q enc made
    "$PITH" convert -q keep/enc made
    [ -z "$(ls -A | grep pith-)" ]
}

@test "packed weights, which are computed with as they lie in the file: every thread meets it, one speaks" {
    "$PITH" quantize -q enc packed
    rm -r keep/* && mv packed keep/enc
    cp -r dec keep/
    for _ in 1 2 3 4 5; do cut_file enc/model.safetensors 1 "$PITH" classify -q -m enc -t 4 -f rows.jsonl -o made.jsonl; done
}

@test "a file in the middle of its being read: as one that ends there" {
    for file in config.json tokenizer.json; do
        for to in 0 20 $(($(stat -c %s enc/$file) / 2)); do
            for verb in classify "tokenize" ; do
                [ "$file $verb" != "config.json tokenize" ] || continue
                rm -rf enc && cp -r keep/enc .
                run_split env LD_PRELOAD="$FAULTS" ASAN_OPTIONS="$FAULTS_ASAN" PITH_SANDBOX=off FAULT_CUT=enc/$file FAULT_CUT_TO=$to "$PITH" $verb -q -m enc good
                [ "$(stat -c %s enc/$file)" = $to ]
                fails 1 "$file"
            done
        done
    done
}

@test "serve: a message and status 1, while a model loads and when one has been loaded" {
    # What it said before is no error.
    quiet() { "$PITH" serve -m dec -m enc --unix "$PWD/made.s" 2>&1 | grep -vE '^pith serve: (listening|model)' >&2; return "${PIPESTATUS[0]}"; }
    export -f quiet
    cut_file enc/model.safetensors 1 bash -c quiet
    cut_file dec/model.safetensors 1 bash -c quiet
    rm -rf enc dec && cp -r keep/* .
    serve_up -m dec -m enc --unix "$PWD/s"
    ask() { curl -sS --unix-socket s http://x/predict -H 'Content-Type: application/json' -d "{\"inputs\":\"$1\",\"model\":\"enc\"}"; }
    [[ $(ask "a good film") == *POSITIVE* ]]
    truncate -s 0 enc/model.safetensors
    ask "some other words" && false
    for _ in $(seq 600); do kill -0 $PID 2>/dev/null || break; sleep 0.05; done
    status=0
    wait $PID || status=$?
    PID=
    [ "$status" = 1 ]
    [ "$(tail -1 "$SERVE_LOG" | grep -c 'enc/model.safetensors: the file changed or shrank while it was mapped')" = 1 ]
    [ ! -e s ]
}
