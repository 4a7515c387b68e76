# pith logits: numbers that read back exactly, in every form, equal to the goldens.
setup() {
    load cli
}

@test "the goldens, one sequence at a time and all in one batch: within 1e-4, and the same bits" {
    for name in distilbert-f32 distilbert-odd bert-f32; do
        m=$GOLDEN/models/$name x=$GOLDEN/expected/$name
        output=$(while read -r ids; do "$PITH" logits -m "$m" --ids "$ids"; done <"$x/ids.jsonl"
                 "$PITH" logits -m "$m" --ids-file "$x/ids.jsonl"
                 "$PITH" logits -m "$m" --ids-file - <"$x/ids.jsonl")
        py 'import struct
x, ids = sys.argv[1], [json.loads(l) for l in open(sys.argv[1] + "/ids.jsonl")]
n = len(ids); one, batch, stdin = rows[:n], rows[n], rows[n + 1]
assert len(rows) == n + 2 and batch == stdin and n == 8
for i, r in enumerate(one):
    want = struct.unpack("<%df" % len(r["logits"]), open("%s/np.%d.logits.f32" % (x, i), "rb").read())
    assert r["shape"] == [len(want)] and max(abs(a - b) for a, b in zip(want, r["logits"])) <= 1e-4
assert batch["shape"] == [n, len(want)] and batch["logits"] == [v for r in one for v in r["logits"]]' "$x"
        output=$(while read -r ids; do "$PITH" logits --hidden -m "$m" --ids "$ids"; done <"$x/ids.jsonl"
                 "$PITH" logits --hidden -m "$m" --ids-file "$x/ids.jsonl")
        py 'import struct
x, ids = sys.argv[1], [json.loads(l) for l in open(sys.argv[1] + "/ids.jsonl")]
one, batch = rows[:-1], rows[-1]
for i, r in enumerate(one):
    want = struct.unpack("<%df" % len(r["hidden"]), open("%s/np.%d.hidden.f32" % (x, i), "rb").read())
    assert r["shape"] == [len(ids[i]), len(want) // len(ids[i])]
    assert max(abs(a - b) for a, b in zip(want, r["hidden"])) <= 1e-4
assert batch["shape"] == [sum(map(len, ids)), one[0]["shape"][1]] and batch["hidden"] == [v for r in one for v in r["hidden"]]' "$x"
    done
}

@test "--output npy and f32, --hash: the same floats as the JSON" {
    cd "$BATS_TEST_TMPDIR"
    m=$GOLDEN/models/bert-f32 ids=$GOLDEN/expected/bert-f32/ids.jsonl
    for h in "" --hidden; do
        run_split "$PITH" logits -m "$m" --ids-file "$ids" $h -o a.npy
        [ "$status" = 0 ]
        [ -z "$output$error" ]
        "$PITH" logits -m "$m" --ids-file "$ids" $h -o a.f32
        output=$("$PITH" logits -m "$m" --ids-file "$ids" $h)
        py 'import struct, ast
j, = rows; v = j["hidden" if sys.argv[1] else "logits"]
raw = open("a.f32", "rb").read()
assert raw == struct.pack("<%df" % len(v), *v)
npy = open("a.npy", "rb").read()
assert npy[:8] == b"\x93NUMPY\x01\x00"
n, = struct.unpack("<H", npy[8:10])
assert (10 + n) % 64 == 0 and npy[9 + n:10 + n] == b"\n" and npy[10 + n:] == raw
h = ast.literal_eval(npy[10:10 + n].decode())
assert h == {"descr": "<f4", "fortran_order": False, "shape": tuple(j["shape"])}' "$h"
        hash=$("$PITH" logits -m "$m" --ids-file "$ids" $h --hash)
        [[ $hash =~ ^[0-9a-f]{16}$ ]]
        [ "$("$PITH" logits -m "$m" --ids-file "$ids" $h --hash --no-mmap -t 1)" = "$hash" ]
        if /usr/bin/python3 -c 'import xxhash' 2>/dev/null; then
            [ "$(/usr/bin/python3 -c 'import xxhash; print(xxhash.xxh3_64_hexdigest(open("a.f32", "rb").read()))')" = "$hash" ]
        elif command -v xxhsum >/dev/null; then
            [ "$(xxhsum -H3 a.f32 | sed 's/.*\([0-9a-f]\{16\}\).*/\1/')" = "$hash" ]
        fi
    done
}

@test "--ids with brackets, spaces; --text and --pair are what classify sees" {
    cd "$BATS_TEST_TMPDIR"
    tiny m
    want=$("$PITH" logits -m m --ids "2,17,3")
    [ "$("$PITH" logits -m m --ids "[2, 17, 3]")" = "$want" ]
    output="$("$PITH" logits -m m --text "a good film")
$("$PITH" classify -m m --json "a good film")
$("$PITH" logits -m m --text "a good film" --pair bad)
$("$PITH" classify -m m --json --pair bad "a good film")"
    py 'a, b, c, d = rows; assert a["logits"] == b["logits"] and c["logits"] == d["logits"] != a["logits"] and a["shape"] == [2]'
}

@test "bad ids: what, where, why" {
    cd "$BATS_TEST_TMPDIR"
    m=$GOLDEN/models/distilbert-f32
    run_split "$PITH" logits -m "$m" --ids "1,515"; fails 1 "id 515 is outside the model's vocabulary of 515"
    run_split "$PITH" logits -m "$m" --ids "-1"; fails 1 "expected a token id"
    run_split "$PITH" logits -m "$m" --ids "1.5"; fails 1 "expected a token id"
    run_split "$PITH" logits -m "$m" --ids "99999999999999999999"; fails 1 "expected a token id"
    run_split "$PITH" logits -m "$m" --ids "1,x"; fails 1 "--ids: not valid JSON"
    run_split "$PITH" logits -m "$m" --ids ""; fails 1 "has no tokens"
    run_split "$PITH" logits -m "$m" --ids "$(seq -s, 1 73)"; fails 1 "73 tokens"
    printf '[1,2]\n{"a":1}\n' >f
    run_split "$PITH" logits -m "$m" --ids-file f; fails 1 "f: line 2: expected an array of token ids, found an object"
    : >f
    run_split "$PITH" logits -m "$m" --ids-file f; fails 1 "f: there are no sequences"
    run_split "$PITH" logits -m "$m" --ids-file nofile; fails 1 "nofile: cannot open"
    run_split "$PITH" logits -m "$m" --text x; fails 1 "has no tokenizer"
    run_split "$PITH" logits -m "$m" --ids 1 -o nowhere/a.npy; fails 1 "nowhere/a.npy"
}
