# pith embed: vectors in every form it gives, from every form of rows it takes. pith rerank: an order.
setup() {
    load cli
    tiny "$BATS_TEST_TMPDIR/m"
    cd "$BATS_TEST_TMPDIR"
    export PITH_EMBED_MODEL=m
    printf '%s\n' '{"id":12345678901234567890,"text":"a good film","x":1.0e+02}' '{"text":"it is bad","embedding":"mine"}' \
        '{"text":"the plot"}' >rows.jsonl
    printf '%s\n' 'a good film' 'it is bad' 'the plot' >rows.txt
}

# What sentence-transformers writes beside a model: modules.json, a pooling mode, max_seq_length, normalisation.
sentences() { # folder mode length normalize
    mkdir -p "$1/1_Pooling"
    /usr/bin/python3 - "$@" <<'P'
import json, sys
d, mode, length, normal = sys.argv[1:]
def module(i, kind, path): return {"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind}
modules = [module(0, "Transformer", ""), module(1, "Pooling", "1_Pooling")]
if normal == "yes": modules.append(module(2, "Normalize", "2_Normalize"))
json.dump(modules, open(d + "/modules.json", "w"))
json.dump({"max_seq_length": int(length), "do_lower_case": False}, open(d + "/sentence_bert_config.json", "w"))
flags = {"pooling_mode_%s" % k: k == mode for k in ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")}
json.dump({"word_embedding_dimension": 64, **flags}, open(d + "/1_Pooling/config.json", "w"))
P
}

# A DistilBERT of one label.
crossed() {
    tiny x distilbert-single
    [ "$("$PITH" logits -m x --text a --pair b | grep -c '"shape":\[1\]')" = 1 ]
}

@test "a vector is the mean of the hidden states, a JSON array a line" {
    run_split "$PITH" embed "a good film" "the plot"
    [ "$status" = 0 ] && [ -z "$error" ]
    "$PITH" logits -m m --hidden --text "a good film" >hidden
    py 'h = json.load(open("hidden"))["hidden"]
a, b = rows
assert len(h) == 64 * 5 and len(a) == len(b) == 64 and a != b
assert max(abs(sum(h[i::64]) / 5 - a[i]) for i in range(64)) < 1e-5'
}

@test "the same vectors from arguments, lines, stdin, jsonl, csv; alone and packed" {
    want=$("$PITH" embed "a good film" "it is bad" "the plot")
    [ "$("$PITH" embed -f rows.txt)" = "$want" ]
    [ "$("$PITH" embed - <rows.txt)" = "$want" ]
    [ "$("$PITH" embed <rows.txt)" = "$want" ]
    [ "$("$PITH" embed -f rows.jsonl)" = "$want" ]
    (echo n,body; sed 's/^/1,/' rows.txt) >rows.csv
    [ "$("$PITH" embed -f rows.csv --column body)" = "$want" ]
    [ "$("$PITH" embed -f rows.txt --batch-tokens 1 --threads 1)" = "$want" ]
    [ "$("$PITH" embed -f rows.txt --threads 3 --kernels generic)" = "$want" ]
    [ "$(while read -r line; do "$PITH" embed "$line"; done <rows.txt)" = "$want" ]
}

@test "--json: exactly the documented members, and the row's own as they came" {
    output=$("$PITH" embed --json -f rows.jsonl)
    py 'a, b, c = rows
assert list(a) == ["embedding", "n_tokens", "truncated", "id", "text", "x"], a.keys()
assert "\"truncated\":false,\"id\":12345678901234567890,\"text\":\"a good film\",\"x\":1.0e+02}" in out
assert a["n_tokens"] == 5 and a["truncated"] is False and b["input_embedding"] == "mine" and len(b["embedding"]) == 64'
    "$PITH" embed -f rows.jsonl -o out.jsonl
    [ "$(cat out.jsonl)" = "$output" ]
    "$PITH" embed -f rows.jsonl -o out.txt
    [ "$(cat out.txt)" = "$("$PITH" embed -f rows.jsonl)" ]
}

@test ".npy: the bytes of NumPy's format, and the numbers of the JSON" {
    "$PITH" embed -f rows.txt -o out.npy
    output=$("$PITH" embed -f rows.txt)
    py 'import struct
b = open("out.npy", "rb").read()
assert b[:8] == b"\x93NUMPY\x01\x00", b[:8]
n, = struct.unpack("<H", b[8:10])
assert (10 + n) % 64 == 0 and b[9 + n:10 + n] == b"\n" and len(b) == 10 + n + 3 * 64 * 4
assert eval(b[10:10 + n]) == {"descr": "<f4", "fortran_order": False, "shape": (3, 64)}
got = struct.unpack("<192f", b[10 + n:])
want = [struct.unpack("<f", struct.pack("<f", x))[0] for r in rows for x in r]
assert list(got) == want'
    : >none.txt
    "$PITH" embed -q -f none.txt -o none.npy
    py 'b = open("none.npy", "rb").read(); assert len(b) == 128 and b"(0, 64)" in b'
    ln -s /dev/null null.npy
    run_split "$PITH" embed -f rows.txt -o null.npy; fails 1 "is no regular file"
}

@test ".npy: NumPy reads it" {
    /usr/bin/python3 -c 'import numpy' 2>/dev/null || { echo "# skip: no numpy"; skip "no numpy"; }
    for i in {1..700}; do echo "film $i is great $((i * i))"; done >many.txt
    "$PITH" embed -f many.txt -o out.npy --dimensions 7 --normalize yes
    output=$("$PITH" embed -f many.txt --dimensions 7 --normalize yes)
    py 'import numpy as np
a = np.load("out.npy")
assert a.shape == (700, 7) and a.dtype == np.dtype("<f4")
assert (a == np.array(rows, dtype=np.float32)).all() and abs(np.linalg.norm(a, axis=1) - 1).max() < 1e-6'
}

@test "pooling, normalisation and length are what the directory says; options win" {
    for mode in cls mean max; do
        [ "$mode" = cls ] && flag=cls_token || flag=${mode}_tokens
        sentences m $flag 4 yes
        output=$("$PITH" embed --json "a good film")
        py 'r, = rows; assert r["n_tokens"] == 4 and r["truncated"] is True and abs(sum(x * x for x in r["embedding"]) - 1) < 1e-6'
        rm m/modules.json
        [ "$("$PITH" embed --json --pooling $mode --normalize yes --max-length 4 "a good film")" = "$output" ]
        [ "$("$PITH" embed --json --max-length 4 "a good film")" != "$output" ]
    done
    sentences m cls_token 72 no
    [ "$("$PITH" embed "a film")" = "$("$PITH" embed --pooling cls --normalize no "a film")" ]
    [ "$("$PITH" embed "a film")" != "$("$PITH" embed --pooling mean "a film")" ]
    [ "$("$PITH" embed "a film")" != "$("$PITH" embed --normalize yes "a film")" ]
    # it goes along when weights are packed
    "$PITH" quantize m packed --type keep
    [ "$("$PITH" embed -m packed "a film")" = "$("$PITH" embed "a film")" ]
}

@test "dimensions are cut, then normalised" {
    output=$("$PITH" embed --dimensions 3 "a film"; "$PITH" embed --dimensions 3 --normalize yes "a film"; "$PITH" embed "a film")
    py 'import math
cut, unit, whole = rows
assert cut == whole[:3]
n = math.sqrt(sum(x * x for x in cut))
assert max(abs(a / n - b) for a, b in zip(cut, unit)) < 1e-6'
}

@test "what is cut is told" {
    run_split "$PITH" embed --max-length 3 "a good film" "a"
    [ "$status" = 0 ]
    [[ $error == *"1 of 2 rows were longer than the model reads and were cut"* ]]
    [[ $error != *--long* ]]
    run_split "$PITH" embed --json --max-length 3 "a good film" "a"
    py 'assert [r["truncated"] for r in rows] == [True, False]'
}

@test "broken rows: fail, skip, null" {
    printf '%s\n' '{"text":"a film"}' '{"text":7}' '{"text":"bad"}' >broken.jsonl
    run_split "$PITH" embed -f broken.jsonl --json
    [ "$status" = 1 ] && [ "$(wc -l <"$BATS_TEST_TMPDIR/out")" = 1 ] && [[ $error == *"broken.jsonl: line 2: "* ]]
    run_split "$PITH" embed -f broken.jsonl --on-error skip
    [ "$status" = 1 ] && [ "$(wc -l <"$BATS_TEST_TMPDIR/out")" = 2 ]
    run_split "$PITH" embed -f broken.jsonl --on-error null
    py 'assert len(rows) == 3 and rows[1] is None and len(rows[2]) == 64'
    run_split "$PITH" embed -f broken.jsonl --on-error null --json
    py 'b = rows[1]
assert b["embedding"] is None and b["n_tokens"] is None and b["truncated"] is None and "text" in b["error"] and b["text"] == 7'
    run_split "$PITH" embed -f broken.jsonl -o out.npy
    [ "$status" = 1 ] && [ ! -e out.npy ] && [ "$(ls -A | grep -c pith-)" = 0 ]
    run_split "$PITH" embed -f broken.jsonl -o out.npy --on-error null
    [ "$status" = 1 ]
    py 'import struct
b = open("out.npy", "rb").read()
x = struct.unpack("<192f", b[128:])
assert b"(3, 64)" in b and all(v != v for v in x[64:128]) and all(v == v for v in x[:64] + x[128:])'
}

@test "--resume goes on with a file that an earlier run left incomplete" {
    for i in {1..30}; do echo "film $i"; done >many.txt
    "$PITH" embed -f many.txt -o whole.jsonl
    head -c 5000 whole.jsonl >part.jsonl
    run_split "$PITH" embed -f many.txt -o part.jsonl --resume
    [ "$status" = 0 ] && [[ $error == *"going on after"* ]]
    cmp whole.jsonl part.jsonl
    head -c 5000 whole.jsonl >part.jsonl
    run_split "$PITH" embed -f many.txt -o part.jsonl --resume --pooling max; fails 1 "no earlier part of this run"
}

@test "what cannot be is refused" {
    run_split "$PITH" embed --dimensions 65 a; fails 1 "65 dimensions: the model's vectors have 64"
    run_split "$PITH" embed --dimensions 0 a; [ "$status" = 2 ]
    run_split "$PITH" embed --max-length 73 a; fails 1 "72 positions"
    run_split "$PITH" embed --pooling sum a; [ "$status" = 2 ]
    run_split "$PITH" embed -o x.npz a; [ "$status" = 2 ] && [[ $error == *".npy, .jsonl or .txt"* ]]
    run_split "$PITH" embed -o x.npy --json a; [ "$status" = 2 ]
    run_split "$PITH" embed -o x.npy --resume a; [ "$status" = 2 ]
    run_split "$PITH" embed --resume a; [ "$status" = 2 ]
    run_split "$PITH" embed -m reviews a; fails 1 "gives no vectors"
    unset PITH_EMBED_MODEL
    run_split "$PITH" embed a; fails 2 "no model: name an encoder with -m"
    run_split "$PITH" rerank a b; fails 2 "no model: name a cross-encoder with -m"
    sentences m weightedmean 4 no
    run_split "$PITH" embed -m m a; fails 1 "0 pooling modes"
    sed -i 's/Pooling/Dense/2' m/modules.json
    run_split "$PITH" embed -m m a; fails 1 "m: the model gives no vectors: modules.json: module 1 is sentence_transformers.models."
    echo '[{"type":"sentence_transformers.models.Transformer"},{"type":"sentence_transformers.models.Pooling","path":"../../etc"}]' >m/modules.json
    run_split "$PITH" embed -m m a; fails 1 "expected a folder in the model's directory"
}

@test "rerank: best first; the numbers are the model's for query and text" {
    crossed
    run_split "$PITH" rerank -m x "great film" "the plot" "a bad film" "love" "hate it is"
    [ "$status" = 0 ] && [ -z "$error" ]
    cp "$BATS_TEST_TMPDIR/out" text
    for t in "the plot" "a bad film" "love" "hate it is"; do "$PITH" logits -m x --text "great film" --pair "$t"; done >logits
    output=$("$PITH" rerank -m x --json "great film" "the plot" "a bad film" "love" "hate it is")
    py 'import math
logits = [json.loads(l)["logits"][0] for l in open("logits")]
texts = ["the plot", "a bad film", "love", "hate it is"]
order = sorted(range(4), key=lambda i: -logits[i])
assert [r["index"] for r in rows] == order
for r in rows:
    assert list(r) == ["index", "score", "text", "n_tokens", "truncated"], r
    assert r["text"] == texts[r["index"]] and abs(r["score"] - 1 / (1 + math.exp(-logits[r["index"]]))) < 1e-6
lines = [l.rstrip("\n").split("\t") for l in open("text")]
assert [(float(s), int(i), t) for s, i, t in lines] == [(r["score"], r["index"], r["text"]) for r in rows]'
    output=$("$PITH" rerank -m x --json --raw-scores --top-n 2 "great film" "the plot" "a bad film" "love" "hate it is")
    py 'logits = [json.loads(l)["logits"][0] for l in open("logits")]
assert len(rows) == 2 and [r["score"] for r in rows] == sorted(logits)[:1:-1]'
}

@test "rerank: rows of a file with their own fields, from stdin, equal ones in their order" {
    crossed
    printf '%s\n' '{"id":3,"text":"love","score":"mine"}' '{"id":1,"text":"the plot"}' '{"id":2,"text":"love"}' >docs.jsonl
    output=$("$PITH" rerank -m x film -f docs.jsonl --json)
    py 'assert {r["id"]: r["index"] for r in rows} == {3: 0, 1: 1, 2: 2}
a = [r for r in rows if r["text"] == "love"]
assert [r["index"] for r in a] == [0, 2] and a[0]["score"] == a[1]["score"]
assert list(a[0]) == ["index", "score", "text", "n_tokens", "truncated", "id", "input_score"]
assert out.count("\"text\"") == 3'
    [ "$("$PITH" rerank -m x film --json --format jsonl <docs.jsonl)" = "$output" ]
    "$PITH" rerank -m x film -f docs.jsonl -o out.jsonl
    [ "$(cat out.jsonl)" = "$output" ]
    output=$(sed 's/"text"/"body"/' docs.jsonl | "$PITH" rerank -m x film --json --format jsonl --field body)
    py 'assert all(r["text"] == r["body"] for r in rows)'
    (echo id,text; echo 1,love; echo 2,film) >docs.csv
    output=$("$PITH" rerank -m x film -f docs.csv --json)
    py 'assert all(list(r) == ["index", "score", "text", "n_tokens", "truncated", "id"] for r in rows) and len(rows) == 2'
    printf 'love\nthe plot\n' >docs.txt
    [ "$("$PITH" rerank -m x film - <docs.txt)" = "$("$PITH" rerank -m x film love "the plot")" ]
}

@test "rerank: long texts are cut and told; broken rows come last; what cannot be is refused" {
    crossed
    long=$(for i in {1..90}; do printf 'film '; done)
    run_split "$PITH" rerank -m x love "$long" "bad"
    [ "$status" = 0 ] && [[ $error == *"1 of 2 rows were longer"* ]]
    printf '%s\n' '{"text":7}' '{"text":"bad"}' >broken.jsonl
    run_split "$PITH" rerank -m x love -f broken.jsonl; fails 1 "broken.jsonl: line 1"
    run_split "$PITH" rerank -m x love -f broken.jsonl --on-error null --json
    py 'a, b = rows
assert a["index"] == 1 and b["index"] == 0 and b["score"] is None and b["text"] is None and b["input_text"] == 7 and "error" in b'
    [ "$status" = 1 ]
    run_split "$PITH" rerank -m m love bad; fails 1 "has 2 labels; a cross-encoder"
    run_split "$PITH" rerank -m reviews love bad; fails 1 "no classification head"
    run_split "$PITH" rerank -m x; fails 2 "no query"
    run_split "$PITH" rerank -m x q a -f broken.jsonl; fails 2 "not both"
    run_split "$PITH" rerank -m x q a -o x.npy; [ "$status" = 2 ]
}
