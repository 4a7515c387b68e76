# pith tokenize: the machine-readable forms against the goldens, the table, the ways back.
setup() {
    load cli
}

same_lines() { # got want: compared line by line as JSON
    /usr/bin/python3 - "$1" "$2" <<'P'
import json, sys
a, b = ([json.loads(l) for l in open(p, encoding='utf-8', newline='\n').read().split('\n') if l] for p in sys.argv[1:])
bad = [i + 1 for i, (x, y) in enumerate(zip(a, b)) if x != y]
assert len(a) == len(b) and not bad, (len(a), len(b), bad[:10])
print(len(a))
P
}

@test "bert-base-uncased: 4,297 lines and 186 texts, with and without special tokens, and back" {
    need golden/tokenizer tokenizers/bert-base-uncased
    g=$SHARED/golden/tokenizer t=$SHARED/tokenizers/bert-base-uncased o=$BATS_TEST_TMPDIR/o
    "$PITH" tokenize -m "$t" --ids <"$g/corpus.txt" >"$o"
    [ "$(same_lines "$o" "$g/corpus.bert-base-uncased.jsonl")" = 4297 ]
    "$PITH" tokenize -m "$t" --ids --no-special <"$g/corpus.txt" >"$o"
    [ "$(same_lines "$o" "$g/corpus.bert-base-uncased.plain.jsonl")" = 4297 ]
    "$PITH" tokenize -m "$t" --decode <"$g/corpus.bert-base-uncased.plain.jsonl" >"$o"
    [ "$(same_lines "$o" "$g/corpus.bert-base-uncased.dec.jsonl")" = 4297 ]
    "$PITH" tokenize -m "$t" --ids --json-lines <"$g/corpus_multi.jsonl" >"$o"
    [ "$(same_lines "$o" "$g/multi.bert-base-uncased.jsonl")" = 186 ]
    "$PITH" tokenize -m "$t" --ids --json-lines --no-special <"$g/corpus_multi.jsonl" >"$o"
    [ "$(same_lines "$o" "$g/multi.bert-base-uncased.plain.jsonl")" = 186 ]
    "$PITH" tokenize -m "$t" --decode <"$g/multi.bert-base-uncased.plain.jsonl" >"$o"
    [ "$(same_lines "$o" "$g/multi.bert-base-uncased.dec.jsonl")" = 186 ]
}

@test "every offset cuts its piece out of the text" {
    need golden/tokenizer tokenizers/bert-base-uncased
    "$PITH" tokenize -m "$SHARED/tokenizers/bert-base-uncased" --json <"$SHARED/golden/tokenizer/corpus.txt" >"$BATS_TEST_TMPDIR/o"
    /usr/bin/python3 - "$BATS_TEST_TMPDIR/o" "$SHARED/golden/tokenizer/corpus.txt" <<'P'
import json, sys
lines = open(sys.argv[2], 'rb').read().split(b'\n')
checked = 0
for text, l in zip(lines, open(sys.argv[1], encoding='utf-8', newline='\n').read().split('\n')):
    if not l: continue
    r = json.loads(l)
    last = 0
    for piece, (b, e), special in zip(r['pieces'], r['offsets'], r['special']):
        if special: continue
        assert 0 <= b <= e <= len(text), r
        got = text[b:e]
        if got.isascii() and got.decode().isprintable() and piece.isascii() and not piece.startswith('['):
            assert got.decode().lower() == piece.removeprefix('##'), (got, piece)
            checked += 1
assert checked > 20000, checked
P
}

@test "the table: ids, pieces, byte offsets; special tokens have none" {
    cd "$BATS_TEST_TMPDIR"
    tiny m
    run_split "$PITH" tokenize -m m "Good filmx"
    [ "$status" = 0 ]
    py 'l = [x.split() for x in out.split("\n")]
assert l[0] == ["id", "piece", "bytes"], l
assert [x[1:] for x in l[1:]] == [["[CLS]", "-"], ["good", "0-4"], ["film", "5-9"], ["##x", "9-10"], ["[SEP]", "-"]], l'
    run_split "$PITH" tokenize -m m --pair bad good
    py 'l = [x.split() for x in out.split("\n")]; assert l[2][1:] == ["good", "1", "0-4"] and l[4][1:] == ["bad", "2", "0-3"], l'
}

@test "texts as arguments and lines; NUL and CR are text; the last line may lack its end" {
    cd "$BATS_TEST_TMPDIR"
    tiny m
    want=$("$PITH" tokenize -m m --ids "good film" "" "x")
    [ "$(printf 'good film\n\nx\n' | "$PITH" tokenize -m m --ids)" = "$want" ]
    [ "$(printf 'good film\n\nx' | "$PITH" tokenize -m m --ids -)" = "$want" ]
    output=$(printf 'good\0\rfilm\n\xef\xbb\xbfx\n' | "$PITH" tokenize -m m --ids)
    py 'assert len(rows) == 2'
    [ "$(printf '"good film"\n\n"\\u0078"\n' | "$PITH" tokenize -m m --ids --json-lines)" = "$(sed 2d <<<"$want")" ]
    [ -z "$("$PITH" tokenize -m m --ids </dev/null)" ]
    output=$("$PITH" tokenize -m m --ids --max-length 4 "good film good film")
    py 'assert len(rows[0]) == 4'
    output=$("$PITH" tokenize -m m --ids "a[SEP]b"; "$PITH" tokenize -m m --ids --no-parse-special "a[SEP]b")
    py 'assert rows[0][2] == 3 and len(rows[1]) > len(rows[0])'
}

@test "--decode from arguments and lines" {
    cd "$BATS_TEST_TMPDIR"
    tiny m
    ids=$("$PITH" tokenize -m m --ids "good filmx")
    [ "$("$PITH" tokenize -m m --decode "$ids")" = '{"skip":"good filmx","keep":"[CLS] good filmx [SEP]"}' ]
    [ "$("$PITH" tokenize -m m --decode <<<"$ids")" = "$("$PITH" tokenize -m m --decode "$ids")" ]
}

@test "a directory of tokenizer files alone is enough; bad input names its line" {
    cd "$BATS_TEST_TMPDIR"
    tiny m
    mkdir t; cp m/tokenizer.json t/
    [ "$("$PITH" tokenize -m t --ids "good")" = "$("$PITH" tokenize -m m --ids "good")" ]
    printf '"a"\nb\n' >f
    status=0; "$PITH" tokenize -m t --ids --json-lines <f >out 2>err || status=$?
    [ "$status" = 1 ]
    grep -q "line 2: not valid JSON" err
    status=0; printf '[1]\n[1,x]\n' | "$PITH" tokenize -m t --decode >out 2>err || status=$?
    [ "$status" = 1 ]
    grep -q "line 2: not valid JSON" err
    status=0; printf 'a\nb\xff\n' | "$PITH" tokenize -m t --ids --strict >out 2>err || status=$?
    [ "$status" = 1 ]
    [ "$(wc -l <err)" = 1 ]
    grep -q "line 2: .*UTF-8" err
    run_split "$PITH" tokenize -m "$GOLDEN/models/bert-f32" x
    fails 1 "tokenizer.json"
}
