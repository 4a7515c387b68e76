# pith eval: figures on labelled rows.
setup() {
    load cli
}

# figures RUN... : rows, correct, and that accuracy, F1 and the matrix say the same, computed again here
same() { # rows correct
    py 'r, = rows
n, c = int(sys.argv[1]), int(sys.argv[2])
assert (r["rows"], r["correct"]) == (n, c), r
assert abs(r["accuracy"] - c / n) < 1e-12
m = r["confusion"]; k = len(m)
assert sum(map(sum, m)) == n and sum(m[i][i] for i in range(k)) == c and len(r["labels"]) == k
f = []
for i in range(k):
    t = sum(m[i]); p = sum(row[i] for row in m)
    if t + p: f.append(2 * m[i][i] / (t + p))
assert abs(r["macro_f1"] - sum(f) / len(f)) < 1e-12' "$1" "$2"
}

@test "IMDB at 512 tokens: exactly 1753 of 2000" {
    need data/imdb_test_2000.csv models/distilbert-imdb-sst2-small
    [[ $PITH != *san/pith ]] || skip "too slow under a sanitizer"
    output=$("$PITH" eval -q -m "$REVIEWS" -f "$SHARED/data/imdb_test_2000.csv" --json)
    same 2000 1753
}

@test "IMDB at 256 tokens: exactly 1710 of 2000" {
    need data/imdb_test_2000.csv models/distilbert-imdb-sst2-small
    [[ $PITH != *san/pith ]] || skip "too slow under a sanitizer"
    output=$("$PITH" eval -q -m "$REVIEWS" -f "$SHARED/data/imdb_test_2000.csv" --max-length 256 --json)
    same 2000 1710
}

@test "the bundled model on IMDB: what its card says, at least 87% (LONG=1)" {
    [ -n "${LONG:-}" ] || { echo "# skip: make test-long measures it"; skip "make test-long measures it"; }
    need data/imdb_test_2000.csv
    [[ $PITH != *san/pith ]] || skip "too slow under a sanitizer"
    output=$("$PITH" eval -q -f "$SHARED/data/imdb_test_2000.csv" --json)
    py 'r, = rows
card = open(sys.argv[1]).read()
assert r["rows"] == 2000 and r["accuracy"] >= 0.87
assert "%.2f" % (100 * r["accuracy"]) in card or "%.1f" % (100 * r["accuracy"]) in card or "%d/2000" % r["correct"] in card, r["correct"]' \
        "$BATS_TEST_DIRNAME/../models/bundled/sentiment/README.md"
}

@test "SST-2, from a file without quoting: exactly 720 of 872" {
    need data/sst2_dev.tsv models/distilbert-imdb-sst2-small
    output=$("$PITH" eval -m "$REVIEWS" -f "$SHARED/data/sst2_dev.tsv" --column text --label-column label --json)
    same 872 720
}

@test "a published BERT, labels by name: 11 of 18, 60 of 60, 12 of 18" {
    need models/ticket-bert
    d=$SHARED/models/ticket-bert
    output=$("$PITH" eval -m "$d" -f "$d/validation.jsonl" --json); same 18 11
    output=$("$PITH" eval -m "$d" -f "$d/train.jsonl" --json); same 60 60
    output=$("$PITH" eval -m "$d" -f "$d/test.jsonl" --field text --label-field label --json); same 18 12
}

@test "agrees with classify, row by row; --output writes the rows" {
    tiny "$BATS_TEST_TMPDIR/m"
    cd "$BATS_TEST_TMPDIR"
    /usr/bin/python3 -c "
import json, random
random.seed(3)
w = 'good bad film movie great awful plot love hate x yy zzz'.split()
for i in range(100): print(json.dumps({'text': ' '.join(random.choice(w) for _ in range(1 + i % 20)), 'label': random.choice([0, 1, 'NEGATIVE', 'POSITIVE', '1'])}))" >r.jsonl
    "$PITH" classify -m m -f r.jsonl -o rows.jsonl
    correct=$(/usr/bin/python3 -c "
import json
n = ['NEGATIVE', 'POSITIVE']
print(sum(r['label'] in (r['input_label'], n[int(r['input_label'])] if str(r['input_label']).isdigit() else '') for r in map(json.loads, open('rows.jsonl'))))")
    output=$("$PITH" eval -m m -f r.jsonl -o again.jsonl --json)
    same 100 "$correct"
    cmp rows.jsonl again.jsonl
    [ "$("$PITH" eval -m m --format jsonl --json <r.jsonl)" = "$output" ]
}

@test "text form: accuracy, macro F1, speed, and the matrix with the labels' names" {
    tiny "$BATS_TEST_TMPDIR/m"
    cd "$BATS_TEST_TMPDIR"
    printf 'text,label\ngood,0\nbad,1\nfilm,NEGATIVE\n' >r.csv
    run_split "$PITH" eval -m m -f r.csv
    [ "$status" = 0 ]
    [ -z "$error" ]
    [[ $output =~ accuracy\ +[01]\.[0-9]{4}\ +\([0-3]\ of\ 3\ rows\) ]]
    [[ $output == *"macro F1"*"rows/s"*predicted*NEGATIVE*POSITIVE*recall*precision* ]]
}

@test "a label that the model does not have is a broken row" {
    tiny "$BATS_TEST_TMPDIR/m"
    cd "$BATS_TEST_TMPDIR"
    printf 'text,label\ngood,0\nbad,2\nfilm,positive\nx,\n' >r.csv
    run_split "$PITH" eval -m m -f r.csv
    fails 1 "r.csv: line 3: label '2' is not one of the model's: NEGATIVE, POSITIVE"
    run_split "$PITH" eval -m m -f r.csv --json --on-error skip
    [ "$status" = 1 ]
    py 'r, = rows; assert r["rows"] == 1 and r["failed"] == 3'
    [[ $error == *"line 4: label 'positive'"*"3 of 4 rows failed"* ]]
    run_split "$PITH" eval -m m -f r.csv --label-column gold; fails 1 "no column 'gold' (--label-column); its columns are: text, label"
    echo '{"text":"x"}' >r.jsonl
    run_split "$PITH" eval -m m -f r.jsonl; fails 1 "no field 'label' (--label-field); the row has: text"
    echo x >r.txt
    run_split "$PITH" eval -m m -f r.txt; fails 1 "lines of text have no labels"
    printf 'text,label\n' >r.csv
    run_split "$PITH" eval -m m -f r.csv
    [ "$status" = 1 ]
    [[ $error == *"no labelled rows"* ]]
}
