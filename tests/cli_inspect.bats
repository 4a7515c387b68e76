# pith inspect: the tensors of files and directories, and what is refused.
setup() {
    load cli
    cd "$BATS_TEST_TMPDIR"
}

@test "JSON equals what the file says" {
    output=$("$PITH" inspect --json "$GOLDEN/models/bert-f32" | tr -d '\n')
    py 'import struct
p = sys.argv[1]
b = open(p + "/model.safetensors", "rb").read()
n, = struct.unpack("<Q", b[:8]); h = json.loads(b[8:8 + n]); meta = h.pop("__metadata__", {})
r, = rows
assert {t["name"] for t in r["tensors"]} == set(h) and r["files"][0]["metadata"] == meta and r["files"][0]["bytes"] == len(b)
total = 0
for t in r["tensors"]:
    w = h[t["name"]]
    assert (t["dtype"], t["shape"]) == (w["dtype"], w["shape"]) and t["bytes"] == w["data_offsets"][1] - w["data_offsets"][0]
    assert t["offset"] == 8 + n + w["data_offsets"][0] and t["file"] == 0
    k = 1
    for d in t["shape"]: k *= d
    total += k
assert r["parameters"] == total and r["bytes"] == len(b) - 8 - n and r["dtypes"]["F32"]["elements"] == total' "$GOLDEN/models/bert-f32"
}

@test "--stats equals what Python computes" {
    output=$("$PITH" inspect --json --stats "$GOLDEN/models/distilbert-f32/model.safetensors" | tr -d '\n')
    py 'import struct
b = open(sys.argv[1], "rb").read()
r, = rows
for t in r["tensors"]:
    v = struct.unpack("<%df" % (t["bytes"] // 4), b[t["offset"]:t["offset"] + t["bytes"]])
    s = t["stats"]
    assert s["min"] == min(v) and s["max"] == max(v) and abs(s["mean"] - sum(v) / len(v)) < 1e-9
    assert s["nan"] == s["inf"] == 0 and s["zero"] == sum(x == 0 for x in v)' "$GOLDEN/models/distilbert-f32/model.safetensors"
    [ "$("$PITH" inspect --json --stats --no-mmap "$GOLDEN/models/distilbert-f32/model.safetensors" | tr -d '\n')" = "$output" ]
}

@test "table: aligned, totals by dtype; shards and directories; --stats counts NaN" {
    run_split "$PITH" inspect "$GOLDEN/models/distilbert-f32"
    [ "$status" = 0 ]
    [[ $output == *"name "*"dtype"*"shape"*"bytes"*"classifier.weight "*"F32"*"[2,64]"*"512"*"total"*"in 1 file"* ]]
    py 'l = out.split("\n\n")[0].split("\n"); assert len({len(x) for x in l}) == 1, {len(x) for x in l}'
    for d in "$GOLDEN"/models/*sharded*; do
        [ "$("$PITH" inspect --json "$d" | tr -d '\n' | /usr/bin/python3 -c 'import json, sys; print(len(json.load(sys.stdin)["files"]))')" -gt 1 ]
    done
    /usr/bin/python3 - <<'P'
import json, struct
h = json.dumps({"a\u001b[31mb": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
                "c": {"dtype": "C64", "shape": [0], "data_offsets": [16, 16]}}).encode()
open("x.safetensors", "wb").write(struct.pack("<Q", len(h)) + h + struct.pack("<4f", float("nan"), float("inf"), -1, 3))
P
    run_split "$PITH" inspect --stats x.safetensors
    [ "$status" = 0 ]
    [[ $output == *'a\x1b[31mb'* ]]
    [[ $output != *$'\e'* ]]
    [[ $output =~ -1\ +3\ +1\ +1\ +1 ]]
}

@test "what is refused: one line that names what the file really is" {
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n' >lfs.safetensors
    run_split "$PITH" inspect lfs.safetensors; fails 1 "git-lfs pointer"
    printf '<!DOCTYPE html><html></html>' >html.safetensors
    run_split "$PITH" inspect html.safetensors; fails 1 "HTML"
    printf 'GGUF\3\0\0\0' >gguf.safetensors
    run_split "$PITH" inspect gguf.safetensors; fails 1 "GGUF"
    printf 'PK\3\4xxxxxxxxxx' >zip.safetensors
    run_split "$PITH" inspect zip.safetensors; fails 1 "zip"
    printf '\x80\x02}q\0.xxxx' >pickle.safetensors
    run_split "$PITH" inspect pickle.safetensors; fails 1 "pickle"
    : >empty.safetensors
    run_split "$PITH" inspect empty.safetensors; fails 1 "empty.safetensors"
    head -c 1000 "$GOLDEN/models/bert-f32/model.safetensors" >cut.safetensors
    run_split "$PITH" inspect cut.safetensors; fails 1 "cut.safetensors"
    run_split "$PITH" inspect nothing; fails 1 "nothing"
    mkdir d
    run_split "$PITH" inspect d; fails 1 "d: "
}

@test "the corpus of 445 files: every verdict, within five seconds each" {
    need corpora/safetensors/gen_safetensors_bad.py corpora/run_corpus.py
    /usr/bin/python3 "$SHARED/corpora/safetensors/gen_safetensors_bad.py" c >/dev/null
    run /usr/bin/python3 "$SHARED/corpora/run_corpus.py" st c -- "$PITH" inspect {}
    echo "$output" | tail -5
    [ "$status" = 0 ]
    [[ $output == *"445 passed, 0 failed"* ]]
}
