# The sandbox of the command line: what it forbids, tried from inside a run that reads a model; and what it must not break.
bats_require_minimum_version 1.5.0
setup_file() {
    load cli
    export M=$BATS_FILE_TMPDIR/m
    tiny "$M"
}
setup() {
    load cli
    unset PITH_SANDBOX
    cd "$BATS_TEST_TMPDIR" || return 1
    # A sanitizer's build does without, if it is not told otherwise.
    if grep -q '__[at]san_init' "$PITH"; then echo "# skip: sanitizers do what the sandbox forbids"; skip "sanitizers do what the sandbox forbids"; fi
    if ! "$PITH" version --sandbox on >/dev/null 2>err; then echo "# skip: $(cat err)"; skip "this kernel has no sandbox"; fi
}
BREAKOUT=$(realpath -m "${BUILD:-build}/tests/breakout.so")

# breakout COMMAND...: `tried` is then what was tried, "NAME ERRNO" a line.
breakout() {
    status=0
    echo secret >secret
    printf good >inside
    exec 7>tried
    LD_PRELOAD=$BREAKOUT BREAKOUT_TOLD=7 BREAKOUT_READ=$PWD/secret BREAKOUT_WRITE=$PWD/made BREAKOUT_INSIDE=$M/config.json "$@" >out 2>err </dev/null || status=$?
    exec 7>&-
}

@test "a run that reads a model reaches no other file, no network, no program, no process" {
    cp -r "$M" before
    breakout "$PITH" classify -m "$M" good
    [ "$status" = 0 ]
    diff -r before "$M"
    [ "$(cat secret)" = secret ]
    [ ! -e made ]
    [ "$(wc -l <tried)" -ge 40 ]
    [ "$(head -1 tried)" = "inside 0" ]
    # EPERM, EACCES; rename and link of what may not be reached are EXDEV or EACCES; clone3 seems not to be there
    grep -vxE 'inside 0|[a-z0-9_-]+ (1|13)|(rename|link) 18|clone3 38' tried && false
    breakout env BREAKOUT_EXEC=1 "$PITH" classify -m "$M" good
    [ "$status" = 159 ] # SIGSYS
    [ ! -s out ]
}

@test "the same attempts succeed without it" {
    breakout "$PITH" classify --no-sandbox -m "$M" good
    grep -qx 'read 0' tried
    grep -qx 'create 0' tried || grep -qx 'rename 0' tried || grep -qx 'link 0' tried
    for t in socketpair fork kill unshare; do grep -qx "$t 0" tried; done
    cp "$GOLDEN/models/distilbert-f32/config.json" "$M/" # it was removed
}

@test "every thread is in it" {
    mkfifo f
    "$PITH" classify -m "$M" -t 3 --batch-tokens 1 <f >out & pid=$!
    exec 8>f
    for ((i = 0; i < 200; i++)); do echo "a text $i"; done >&8
    for ((i = 0; i < 100; i++)); do [ "$(ls /proc/$pid/task 2>/dev/null | wc -l)" -lt 3 ] || break; sleep 0.05; done
    for t in /proc/$pid/task/*; do
        grep -q '^Seccomp:.2' "$t/status"
        grep -q '^NoNewPrivs:.1' "$t/status"
    done
    exec 8>&-
    wait $pid
    [ "$(wc -l <out)" = 200 ]
}

@test "--sandbox, --no-sandbox, PITH_SANDBOX, and what -v says" {
    run_split "$PITH" classify -v -m "$M" --output o.jsonl good
    [ "$status" = 0 ]
    [[ $error == *"sandbox: no network, no other programs; reads $M, the system's files; writes ."* ]]
    run_split "$PITH" classify -v -m "$M" good
    [[ $error == *"writes nothing"* ]]
    for off in "env PITH_SANDBOX=off $PITH classify" "env PITH_CLASSIFY_SANDBOX=off $PITH classify" "$PITH classify --sandbox off" "$PITH classify --no-sandbox"; do
        run_split $off -v -m "$M" good
        [ "$status" = 0 ]
        [[ $error != *sandbox* ]]
    done
    run_split "$PITH" classify --sandbox maybe -m "$M" good
    fails 2 "auto|on|off"
}

@test "inputs: a file, -, /dev/stdin, /dev/fd/N, a FIFO; relative, absolute, behind links" {
    mkdir a
    printf 'good\nbad\n' >a/rows.txt
    "$PITH" classify -m "$M" --input a/rows.txt >want
    [ "$(wc -l <want)" = 2 ]
    ln -s a/rows.txt link.txt
    ln -s link.txt link2.txt
    mkfifo pipe.txt
    cat a/rows.txt >pipe.txt & "$PITH" classify -m "$M" --input pipe.txt | cmp want
    for f in "$PWD/a/rows.txt" ./a/../a/rows.txt link2.txt - /dev/stdin /dev/fd/0 /proc/self/fd/0; do "$PITH" classify -m "$M" --input "$f" <a/rows.txt | cmp want; done
    for f in - /dev/stdin /dev/fd/0; do cat a/rows.txt | "$PITH" classify -m "$M" --input "$f" | cmp want; done
    "$PITH" classify -m "$M" --input <(cat a/rows.txt) | cmp want
    (cd a && "$PITH" classify -m "$M" --input ../a/rows.txt) | cmp want
    rm a/rows.txt
    run_split "$PITH" classify -m "$M" --input a/rows.txt
    fails 1 "No such file"
    run_split "$PITH" classify -m "$M" --input link.txt
    fails 1 "No such file"
}

@test "models: links into a cache, a linked folder, a relative one, a bundled one behind a link" {
    mkdir -p hub/blobs hub/snapshots/1 place elsewhere
    for f in "$M"/*; do cp "$f" "hub/blobs/$(basename "$f").blob"; ln -s "../../blobs/$(basename "$f").blob" "hub/snapshots/1/$(basename "$f")"; done
    "$PITH" classify -m "$M" good >want
    "$PITH" classify -m hub/snapshots/1 good | cmp want
    "$PITH" classify --no-mmap -m hub/snapshots/1/ good | cmp want
    (cd hub/snapshots && "$PITH" classify -m ./1 good) | cmp want
    (cd hub/snapshots/1 && "$PITH" classify -m . good) | cmp want
    ln -s hub/snapshots/1 one
    "$PITH" classify -m one good | cmp want
    ln -s "$PWD/one" place/mine
    PITH_DATA=$PWD/place "$PITH" classify -m mine good | cmp want
    "$PITH" inspect one >/dev/null
    "$PITH" inspect one/model.safetensors >/dev/null
    "$PITH" verify -q one >/dev/null
    "$PITH" convert one elsewhere/copy
    "$PITH" classify -m elsewhere/copy good | cmp want
    "$PITH" classify --kernels generic -m one good | cmp want
    # OpenBLAS is looked for when it is asked for, after the sandbox is closed
    if "$PITH" classify --no-sandbox --kernels openblas -m one good >/dev/null 2>&1; then "$PITH" classify -q --kernels openblas -m one good >/dev/null; fi
}

@test "an index of shards is read with its shards, behind links too" {
    "$PITH" convert --max-shard-size 20KB "$M" parts
    [ "$(ls parts/*.safetensors | wc -l)" -gt 2 ]
    mkdir links
    for f in parts/*; do ln -s "../$f" links/; done
    "$PITH" inspect parts/model.safetensors.index.json >want
    "$PITH" inspect links/model.safetensors.index.json >got
    [ "$(wc -l <want)" = "$(wc -l <got)" ]
    "$PITH" inspect --stats links/model.safetensors.index.json >/dev/null
    (cd links && "$PITH" inspect --stats model.safetensors.index.json) >/dev/null
}

@test "outputs: beside the program, elsewhere, replaced, behind a link, devices, pipes" {
    run_json() { "$PITH" classify -q -m "$M" --json good; }
    run_json >want
    mkdir sub
    for o in o.jsonl ./o.jsonl sub/o.jsonl "$PWD/o.jsonl"; do
        "$PITH" classify -q -m "$M" --output "$o" good # new, or in place of the last
        cmp "$o" want
        "$PITH" classify -q -m "$M" --output "$o" good
        cmp "$o" want
    done
    ln -s sub/o.jsonl link.jsonl
    rm sub/o.jsonl && echo old >sub/o.jsonl
    "$PITH" classify -q -m "$M" --output link.jsonl good
    [ -L link.jsonl ]
    cmp sub/o.jsonl want
    for o in /dev/stdout /dev/fd/1 /proc/self/fd/1; do "$PITH" classify -q -m "$M" --output "$o" --output-format jsonl good | cmp want; done
    "$PITH" classify -q -m "$M" --output /dev/null good
    "$PITH" classify -q -m "$M" --output /dev/stderr --output-format jsonl good 2>err
    "$PITH" classify -q -m "$M" --output >(cat >piped) --output-format jsonl good
    for ((i = 0; i < 100; i++)); do [ ! -s piped ] || break; sleep 0.05; done
    cmp piped want
    mkfifo p; cat p >piped & "$PITH" classify -q -m "$M" --output p --output-format jsonl good; wait $!
    cmp piped want
    "$PITH" quantize --type q8 "$M" packed
    (cd sub && "$PITH" convert -q "$M" copy && "$PITH" convert -q --force "$M/" copy/ && "$PITH" convert -q copy one.safetensors && [ -s one.safetensors ])
    "$PITH" convert -q "$M" sub/two.safetensors
    "$PITH" convert -q --force "$M" "$PWD/sub/two.safetensors"
    "$PITH" verify -q "$M" --manifest sub/manifest.json --record recording.json >/dev/null
    "$PITH" verify -q "$M" --against sub/manifest.json --against recording.json >/dev/null
    "$PITH" inspect "$M" --html sub/page.html
    "$PITH" bench --shape distilbert-base --write shape
    run_split "$PITH" classify -m "$M" --output missing/o.jsonl good
    fails 1 "No such file"
}
