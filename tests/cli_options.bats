# Help, version, option parsing, the environment, usage errors.
setup() {
    load cli
}

@test "help goes to stdout with status 0" {
    for a in "--help" "-h" "help"; do
        run_split "$PITH" $a
        [ "$status" = 0 ]
        [ -z "$error" ]
        [[ $output == *"usage: pith VERB"* ]]
    done
}

@test "every verb that help lists has help of its own, both ways" {
    verbs=$("$PITH" help | sed -n 's/^  \([a-z]*\) .*/\1/p' | grep -vx -e help -e pith)
    [ "$(wc -w <<<"$verbs")" -ge 6 ]
    for v in $verbs; do
        "$PITH" help "$v" >"$BATS_TEST_TMPDIR/a"
        "$PITH" "$v" --no-such --help >"$BATS_TEST_TMPDIR/b"
        cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
        grep -q "usage: pith $v" "$BATS_TEST_TMPDIR/a"
        [ "$(grep -cE '^.{81}' <(sed '/^$/,$!d;/^Options can/,$d' "$BATS_TEST_TMPDIR/a"))" = 0 ]
    done
}

@test "without a verb: the overview on stderr, status 2" {
    run_split "$PITH"
    [ "$status" = 2 ]
    [ -z "$output" ]
    [[ $error == *"usage: pith VERB"* ]]
}

@test "version" {
    run_split "$PITH" --version
    [ "$status" = 0 ]
    [[ $output =~ ^pith\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    [ "$("$PITH" version)" = "$output" ]
}

@test "usage errors: status 2, one line, a hint" {
    run_split "$PITH" clasify; fails 2 "unknown verb 'clasify'; did you mean 'classify'?"
    run_split "$PITH" frobnicate; fails 2 "unknown verb 'frobnicate'; expected a verb: "
    run_split "$PITH" --verison; fails 2 "unknown option '--verison'"
    run_split "$PITH" help clasify; fails 2 "did you mean 'classify'?"
    run_split "$PITH" classify --tpo-k 3; fails 2 "unknown option '--tpo-k'; did you mean '--top-k'?"
    run_split "$PITH" classify --out; fails 2 "did you mean '--output'?"
    run_split "$PITH" classify -Z x; fails 2 "unknown option '-Z'"
    run_split "$PITH" classify -5; fails 2 "text that begins with a dash goes after '--'"
    run_split "$PITH" classify --top-k; fails 2 "--top-k needs N|all"
    run_split "$PITH" classify x -m; fails 2 "-m needs MODEL"
    run_split "$PITH" classify --top-k 0 x; fails 2 "--top-k: '0' is not a whole number of at least 1"
    run_split "$PITH" classify --threads -1 x; fails 2 "--threads: '-1' is not a whole number from 0 to"
    run_split "$PITH" classify --threads=99999999999999999999 x; fails 2 "is not a whole number"
    run_split "$PITH" classify --top-k " 3" x; fails 2 "is not a whole number"
    run_split "$PITH" classify --activation softmx x; fails 2 "none of auto|softmax|sigmoid|none; did you mean 'softmax'?"
    run_split "$PITH" classify --json=maybe x; fails 2 "--json: 'maybe' is neither yes nor no"
    run_split "$PITH" version x; fails 2 "version takes no arguments"
}

@test "combinations that mean nothing are refused" {
    run_split "$PITH" classify x -f y; fails 2 "not both"
    run_split "$PITH" classify x --field y; fails 2 "not for texts as arguments"
    run_split "$PITH" classify x --format csv; fails 2 "not for texts as arguments"
    run_split "$PITH" classify -f a.csv --field x --column y; fails 2 "give one of them"
    run_split "$PITH" classify -f a.csv --pair x --pair-column y; fails 2 "exclude each other"
    run_split "$PITH" classify x --json --output-format csv; fails 2 "give one of them"
    run_split "$PITH" classify x --pair y --explain; fails 2 "not for pairs"
    run_split "$PITH" classify x --resume; fails 2 "--output FILE"
    run_split "$PITH" classify x --resume -o a.json; fails 2 "a JSON array cannot be gone on with"
    run_split "$PITH" classify x --resume -o a.jsonl --on-error skip; fails 2 "null instead of skip"
    run_split "$PITH" classify x -o a.xml; fails 2 "the suffix tells no format"
    run_split "$PITH" eval x; fails 2 "rows come from --input FILE or stdin"
    run_split "$PITH" eval -f x.csv --top-k 2; fails 2 "--output"
    run_split "$PITH" logits; fails 2 "one of --ids, --ids-file and --text"
    run_split "$PITH" logits --ids 1 --text x; fails 2 "one of --ids, --ids-file and --text"
    run_split "$PITH" logits --ids 1 --pair x; fails 2 "--pair goes with --text"
    run_split "$PITH" logits --ids 1 -o x.bin; fails 2 "use .npy or .f32"
    run_split "$PITH" tokenize --ids --json x; fails 2 "exclude each other"
    run_split "$PITH" inspect; fails 2 "no path"
    run_split "$PITH" inspect a b; fails 2 "one path at a time"
}

@test "forms of an option: --opt value, --opt=value, -t4, -t 4, clusters, --, the last one wins" {
    tiny "$BATS_TEST_TMPDIR/m"
    cd "$BATS_TEST_TMPDIR"
    want=$("$PITH" classify --model m --json --top-k 2 "a good film")
    for form in "--model=m --json --top-k=2" "-m m --json --top-k 2 -t1" "-mm -qt 1 --json --top-k 9 --top-k 2" \
                "--json --json=no --json=yes --top-k 2 -m=m"; do
        [ "$("$PITH" classify $form "a good film")" = "$want" ]
    done
    [ "$("$PITH" classify -m m --json "a good film" --top-k 2)" = "$want" ]
    [ "$("$PITH" classify -m m -- --json)" = "$("$PITH" classify -m m <<<"--json")" ]
}

@test "the environment sets options; a verb's own variable goes before the common one; the command line wins" {
    tiny "$BATS_TEST_TMPDIR/m"
    cd "$BATS_TEST_TMPDIR"
    want=$("$PITH" classify -m m --json x)
    [ "$(PITH_MODEL=m PITH_CLASSIFY_JSON=1 "$PITH" classify x)" = "$want" ]
    [ "$(PITH_MODEL=nowhere PITH_CLASSIFY_MODEL=m PITH_CLASSIFY_JSON=yes "$PITH" classify x)" = "$want" ]
    [ "$(PITH_MODEL=nowhere PITH_CLASSIFY_MODEL=nowhere PITH_CLASSIFY_JSON=1 "$PITH" classify -m m x)" = "$want" ]
    [ "$(PITH_MODEL=m PITH_CLASSIFY_JSON=1 "$PITH" classify --json=no x)" = "$("$PITH" classify -m m x)" ]
    [ "$(PITH_MODEL=m PITH_CLASSIFY_OUTPUT_FORMAT=jsonl "$PITH" classify x)" = "$want" ]
    export PITH_CLASSIFY_TOP_K=none; run_split "$PITH" classify -m m x; unset PITH_CLASSIFY_TOP_K
    fails 2 "PITH_CLASSIFY_TOP_K: 'none' is not a whole number"
    export PITH_THREADS=many; run_split "$PITH" classify -m m x; unset PITH_THREADS
    fails 2 "PITH_THREADS: 'many'"
    export PITH_KERNELS=abacus; run_split "$PITH" classify -m m x; unset PITH_KERNELS
    fails 1 "abacus"
}

@test "models by name: PITH_DATA, the program's folder, the installed place; unknown names list what there is" {
    cd "$BATS_TEST_TMPDIR"
    tiny shelf/small; tiny shelf/other
    want=$("$PITH" classify -m shelf/small x)
    [ "$(PITH_DATA=$PWD/shelf "$PITH" classify -m small x)" = "$want" ]
    mkdir -p bin/models/bundled share
    cp "$PITH" bin/pith
    cp -r shelf/small bin/models/bundled/near
    mkdir -p share/pith; cp -r shelf/small share/pith/far
    [ "$(bin/pith classify -m near x)" = "$want" ]
    [ "$(bin/pith classify -m far x)" = "$want" ]
    export PITH_DATA=$PWD/shelf
    run_split bin/pith classify -m smal x; fails 1 "the bundled ones are: "
    [[ $error == *small* && $error == *other* && $error == *near* && $error == *far* ]]
    unset PITH_DATA
    run_split "$PITH" classify -m ./nowhere x; fails 1 "./nowhere: no such directory"
    run_split "$PITH" classify -m shelf/small/config.json x; fails 1 "is a file; -m takes the directory that holds it"
    run_split "$PITH" classify -m "" x; fails 1 "no such directory"
    # A folder of that name here goes before a bundled one.
    cp -r shelf/small near
    [ "$(bin/pith classify -m near x)" = "$want" ]
}

@test "-v says what ran; -q says nothing; results do not change" {
    tiny "$BATS_TEST_TMPDIR/m"
    run_split "$PITH" classify -v -m "$BATS_TEST_TMPDIR/m" "a good film"
    [ "$status" = 0 ]
    [[ $error == *"kernels "* && $error == *"thread"* && $error == *"loaded in"* && $error == *"rows/s"* && $error == *"peak memory"* ]]
    loud=$output
    run_split "$PITH" classify -q -m "$BATS_TEST_TMPDIR/m" "a good film"
    [ -z "$error" ]
    [ "$output" = "$loud" ]
}

@test "arguments of any length" {
    tiny "$BATS_TEST_TMPDIR/m"
    long=$(head -c 100000 /dev/zero | tr '\0' y)
    run_split "$PITH" classify -m "$BATS_TEST_TMPDIR/m" --json "$long"
    [ "$status" = 0 ]
    run_split "$PITH" classify -m "/$long" x; fails 1 "File name too long"
    run_split "$PITH" classify --"$long" x; fails 2 "unknown option"
    run_split "$PITH" classify --top-k "$long" x; fails 2 "is not a whole number"
}
