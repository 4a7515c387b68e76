# pith bench: figures that hang together, in three formats; random shapes leave nothing behind.
bats_require_minimum_version 1.5.0
setup() { load cli; export TMPDIR=$BATS_TEST_TMPDIR; }

@test "jsonl: limits first, then figures that hang together" {
    run --separate-stderr "$PITH" bench --seconds 0 --quick --format jsonl
    [ "$status" = 0 ]
    py '
limits, row = rows
assert limits["work"] == "limits" and limits["threads"] >= 1 and limits["read_gb_s"] > 0.1, limits
assert row["work"] == "encode" and row["sequences"] == 8 and row["length"] == 128 and row["runs"] >= 3, row
lo, mid, hi = row["seconds"]
assert 0 < lo <= mid <= hi
assert abs(row["tokens_per_second"] - 8 * 128 / mid) <= 0.01 * row["tokens_per_second"], row
if limits["fma_gflop_s"]:
    assert abs(row["share"] - row["rate"] / limits["fma_gflop_s"]) < 0.01 and row["share"] < 1.1, (row, limits)
'
}

@test "the work that is counted is that of the shape" {
    run --separate-stderr "$PITH" bench -m "$GOLDEN/models/distilbert-f32" --seconds 0 --format csv
    [ "$status" = 0 ]
    printf '%s\n' "$output" >"$BATS_TEST_TMPDIR/rows.csv"
    /usr/bin/python3 - "$BATS_TEST_TMPDIR/rows.csv" "$GOLDEN/models/distilbert-f32/config.json" <<'P'
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1]))); c = json.load(open(sys.argv[2]))
d, f, n = c["dim"], c["hidden_dim"], c["n_layers"]
assert rows and {r["work"] for r in rows} == {"encode"}
for r in rows:
    seqs, length = int(r["sequences"]), int(r["length"])
    assert length <= c["max_position_embeddings"]
    ops = 2 * seqs * (length * (n * (4 * d * d + 2 * d * f) + 2 * n * d * length) + d * d + d * len(c.get("id2label", {0: 0, 1: 0})))
    got = float(r["rate"]) * 1e9 * float(r["seconds_median"])
    assert abs(got - ops) < 0.05 * ops + 1e4, (r, ops, got)
P
}

@test "a packed directory: the work that is counted is that of the model it was made of" {
    for type in keep q8 q4; do
        "$PITH" quantize -q --type $type "$BATS_TEST_DIRNAME/../models/bundled/sentiment" "$BATS_TEST_TMPDIR/$type"
        "$PITH" bench -m "$BATS_TEST_TMPDIR/$type" --seconds 0 --quick --format csv >"$BATS_TEST_TMPDIR/rows.csv" 2>/dev/null
        /usr/bin/python3 - "$BATS_TEST_TMPDIR/rows.csv" "$BATS_TEST_TMPDIR/$type/config.json" $type <<'P'
import csv, json, sys
(row,), c = csv.DictReader(open(sys.argv[1])), json.load(open(sys.argv[2]))
d, f, n, length = c["dim"], c["hidden_dim"], c["n_layers"], int(row["length"])
ops = 2 * 8 * (length * (n * (4 * d * d + 2 * d * f) + 2 * n * d * length) + d * d)
got = float(row["rate"]) * 1e9 * float(row["seconds_median"])
assert row["sequences"] == "8" and abs(got - ops) < 0.02 * ops, (row, ops, got)
assert row["unit"] == ("GFLOP/s" if sys.argv[3] == "keep" else "GOP/s"), row
P
    done
}

@test "a model that writes: prefill and decode" {
    run --separate-stderr "$PITH" bench -m reviews --seconds 0 --format csv
    [ "$status" = 0 ]
    py '
lines = out.strip().split("\n")
assert lines[0].startswith("work,sequences,length,runs,"), lines[0]
assert [l.split(",")[:3] for l in lines[1:]] == [["prefill", "1", "128"], ["decode", "1", "128"], ["decode", "8", "128"], ["chats", "32", "64"]], lines
assert all(float(l.split(",")[8]) > 0 for l in lines[1:])
'
}

@test "markdown tells the machine, the model and the shares" {
    run --separate-stderr "$PITH" bench --seconds 0 --quick
    [ "$status" = 0 ]
    [[ $output == *"parameters"*"kernels"*"limits:"*"GB/s read"*"| encode | 8 | 128 |"* ]]
}

@test "a shape of random weights is measured and removed (LONG=1)" {
    [ -n "${LONG:-}" ] || { echo "# skip: make test-long does"; skip "make test-long does"; }
    run --separate-stderr "$PITH" bench --shape smollm2-135m --dtype q8 --seconds 0 --quick --format jsonl
    [ "$status" = 0 ]
    py 'assert [r["work"] for r in rows] == ["limits", "prefill", "decode"] and rows[1]["unit"] == "GOP/s", rows'
    [ -z "$(find "$TMPDIR" -name 'pith-bench-*')" ]
}

@test "what cannot be measured" {
    run_split "$PITH" bench -m nowhere
    fails 1 "nowhere"
    run_split "$PITH" bench --shape llama-70b
    fails 2 "llama-70b"
    run_split "$PITH" bench -m sentiment --shape smollm2-135m
    fails 2 "either a model or a shape"
    run_split "$PITH" bench extra
    fails 2 "extra"
    TMPDIR=$BATS_TEST_TMPDIR/none run_split "$PITH" bench --shape smollm2-135m --quick
    fails 1 "TMPDIR"
}
