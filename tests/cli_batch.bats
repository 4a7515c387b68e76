# Rows in and out of pith classify: formats, fields, broken rows, output files, going on with them.
setup() {
    load cli
    tiny "$BATS_TEST_TMPDIR/m"
    cd "$BATS_TEST_TMPDIR"
    export PITH_CLASSIFY_MODEL=m
    printf '%s\n' '{"id":12345678901234567890,"text":"a good film","x":1.0e+02,"nested":{"a":[1,{"b":null}]}}' \
        '{"text":"it is bad","label":"gold","input_label":7,"s":"q\"\\\u00e9\ud83d\ude00/"}' '' '  ' \
        '{ "text" : "x\u0000y" , "score" : 0.10 }' >rows.jsonl
    printf 'id,text,label\r\n1,"a good, ""fine"" film",pos\r\n2,"two\nlines",\r\n3,x,neg\r\n' >rows.csv
}

@test "jsonl: the row's own fields come out exactly as they went in; ones called like a result are renamed" {
    output=$("$PITH" classify -f rows.jsonl --json)
    py 'assert len(rows) == 3
assert "\"id\":12345678901234567890,\"text\":\"a good film\",\"x\":1.0e+02,\"nested\":{\"a\":[1,{\"b\":null}]}}" in out
assert "\"s\":\"q\\\"\\\\\\u00e9\\ud83d\\ude00/\"" in out
a, b, c = rows
assert b["input_input_label"] == "gold" and b["input_label"] == 7 and b["label"] in ("NEGATIVE", "POSITIVE")
assert "\"input_score\":0.10" in out and c["text"] == "x\0y"
assert list(a)[:6] == ["label","score","scores","logits","n_tokens","truncated"]'
}

@test "jsonl: the same from stdin, with CRLF, with a byte order mark, with another field" {
    want=$("$PITH" classify -f rows.jsonl --json)
    [ "$("$PITH" classify --format jsonl --json <rows.jsonl)" = "$want" ]
    [ "$(sed 's/$/\r/' rows.jsonl | "$PITH" classify --format jsonl --json)" = "$want" ]
    [ "$(sed 's/^/ \t\r/' rows.jsonl | "$PITH" classify --format jsonl --json)" = "$want" ]
    [ "$( (printf '\xef\xbb\xbf'; cat rows.jsonl) | "$PITH" classify --format jsonl --json)" = "$want" ]
    cp rows.jsonl rows.ndjson
    [ "$("$PITH" classify -f rows.ndjson --json)" = "$want" ]
    output=$(echo '{"body":"a good film"}' | "$PITH" classify --format jsonl --field body --json)
    py 'assert rows[0]["body"] == "a good film"'
}

@test "csv: quotes, line breaks in quotes, CRLF, BOM; the row's own columns are kept" {
    output=$("$PITH" classify -f rows.csv --json)
    py 'a, b, c = rows
assert a["text"] == "a good, \"fine\" film" and b["text"] == "two\nlines" and c["id"] == "3"
assert a["input_label"] == "pos" and b["input_label"] == "" and a["label"] in ("NEGATIVE", "POSITIVE")'
    want=$output
    [ "$( (printf '\xef\xbb\xbf'; cat rows.csv) | "$PITH" classify --format csv --json)" = "$want" ]
    output=$("$PITH" classify -f rows.csv --output-format csv)
    py 'import csv, io
r = list(csv.DictReader(io.StringIO(out)))
assert list(r[0]) == ["id", "text", "input_label", "label", "score", "n_tokens", "truncated"], r[0]
assert r[0]["text"] == "a good, \"fine\" film" and r[1]["text"] == "two\nlines" and len(r) == 3'
}

@test "csv: one column needs no name; no header; column by number" {
    printf 'whatever\ngood\nbad\n' >one.csv
    output=$("$PITH" classify -f one.csv --json)
    py 'assert [r["whatever"] for r in rows] == ["good", "bad"]'
    tail -n +2 rows.csv >bare.csv
    output=$("$PITH" classify -f bare.csv --no-header --column 2 --json)
    py 'assert len(rows) == 3 and rows[0]["column_2"] == "a good, \"fine\" film" and rows[2]["column_1"] == "3"'
    [ "$("$PITH" classify -f bare.csv --no-header --column 2 --output-format csv | wc -l)" = 4 ]
    run_split "$PITH" classify -f bare.csv --no-header --column text; fails 1 "without a header columns are numbers, 1 to 3"
    run_split "$PITH" classify -f bare.csv --no-header --column 4; fails 1 "1 to 3"
}

@test "tsv: no quoting" {
    printf 'label\ttext\n0\t"open quote\n1\tb, c "" d\n' >r.tsv
    output=$("$PITH" classify -f r.tsv --json)
    py 'assert [r["text"] for r in rows] == ["\"open quote", "b, c \"\" d"]'
}

@test "output formats by suffix, to a file: the same rows as on stdout" {
    for f in jsonl csv txt json; do
        run_split "$PITH" classify -f rows.csv -o "out.$f"
        [ "$status" = 0 ]
        [ -z "$output" ]
    done
    [ "$(cat out.jsonl)" = "$("$PITH" classify -f rows.csv --json)" ]
    [ "$(cat out.csv)" = "$("$PITH" classify -f rows.csv --output-format csv)" ]
    [ "$(cat out.txt)" = "$("$PITH" classify -f rows.csv)" ]
    [ "$(cat out.json)" = "$("$PITH" classify -f rows.csv --output-format json)" ]
    output=$(cat out.json)
    py 'j = json.loads(out); assert [r["id"] for r in j] == ["1", "2", "3"]'
    "$PITH" classify -f rows.jsonl -o out.csv 2>err
    grep -q "2 rows have fields that the first row lacks" err
    output=$(cat out.csv)
    py 'import csv, io
r = list(csv.DictReader(io.StringIO(out)))
assert list(r[0])[:4] == ["id", "text", "x", "nested"] and r[0]["id"] == "12345678901234567890" and r[0]["nested"] == "{\"a\":[1,{\"b\":null}]}"
assert r[1]["id"] == ""'
}

@test "an output file keeps its mode, a link stays a link, its own input may be replaced, nothing else stays behind" {
    echo old >o.jsonl; chmod 640 o.jsonl; ln -s o.jsonl link.jsonl
    "$PITH" classify -f rows.jsonl -o link.jsonl
    [ -L link.jsonl ]
    [ "$(stat -c %a o.jsonl)" = 640 ]
    [ "$(wc -l <o.jsonl)" = 3 ]
    umask 027
    "$PITH" classify -f rows.jsonl -o new.jsonl
    [ "$(stat -c %a new.jsonl)" = 640 ]
    cp rows.csv same.csv
    "$PITH" classify -f same.csv -o same.csv
    [ "$(head -1 same.csv)" = "id,text,input_label,label,score,n_tokens,truncated" ]
    [ "$(find . -name '*tmp*' | wc -l)" = 0 ]
}

@test "a broken row ends the work: line, reason, what is there; no output file" {
    bad() { # line, message
        echo '{"text":"good"}' >b.jsonl; printf '%s\n' "$1" >>b.jsonl; echo '{"text":"bad"}' >>b.jsonl
        rm -f o.jsonl
        run_split "$PITH" classify -f b.jsonl -o o.jsonl
        fails 1 "b.jsonl: line 2: $2"
        [ ! -e o.jsonl ]
        [ "$(find . -name '*tmp*' | wc -l)" = 0 ]
    }
    bad '{"text":"x"' "not valid JSON: it ends too early"
    bad '{"text":"x",}' "not valid JSON at column 13"
    bad '{"text":"x"} y' "not valid JSON: text after the value, at column 14"
    bad '{"text":01}' "not valid JSON"
    bad '{"text":"a	b"}' "not valid JSON"
    bad 'plain' "not valid JSON at column 1"
    bad '"text"' "expected an object, found a string"
    bad '[1]' "expected an object, found an array"
    bad '{"body":"x","n":1}' "no field 'text' (--field); the row has: body, n"
    bad '{}' "no field 'text' (--field); the row has: none"
    bad '{"text":null}' "field 'text': expected a string, found null"
    bad '{"text":["x"]}' "field 'text': expected a string, found an array"
    bad '{"text":1}' "field 'text': expected a string, found a number"
    printf 'text,n\na,1\nb\n' >b.csv
    run_split "$PITH" classify -f b.csv
    [ "$status" = 1 ]
    [[ $error == *"b.csv: line 3: 1 fields, expected 2 as in the header"* ]]
    printf 'text\na\n"b\nc\n' >b.csv
    run_split "$PITH" classify -f b.csv
    [ "$status" = 1 ]
    [[ $error == *"b.csv: line 3: a quote opened in this record never closes"* ]]
}

@test "rows before the broken one are written to stdout" {
    printf '{"text":"good"}\n{}\n{"text":"bad"}\n' >b.jsonl
    run_split "$PITH" classify -f b.jsonl --json
    [ "$status" = 1 ]
    [ "$(wc -l <<<"$output")" = 1 ]
}

@test "--on-error skip and null: line numbers, a summary, status 1" {
    printf '{"text":"good","id":1}\n{"id":2}\nnope\n{"text":"bad","id":4}\n' >b.jsonl
    run_split "$PITH" classify -f b.jsonl --json --on-error skip
    [ "$status" = 1 ]
    py 'assert [r["id"] for r in rows] == [1, 4]'
    [[ $error == *"b.jsonl: line 2: no field 'text'"*"b.jsonl: line 3: not valid JSON"*"2 of 4 rows failed and were left out"* ]]
    run_split "$PITH" classify -f b.jsonl --json --on-error null
    [ "$status" = 1 ]
    py 'assert len(rows) == 4 and rows[1]["label"] is None and rows[1]["id"] == 2 and rows[2]["scores"] is None
assert "no field" in rows[1]["error"] and "error" not in rows[0]'
    [[ $error == *"2 of 4 rows failed and have a result of null"* ]]
    run_split "$PITH" classify -f b.jsonl --output-format csv --on-error null
    py 'import csv, io
r = list(csv.DictReader(io.StringIO(out)))
assert [x["id"] for x in r] == ["1", "2", "", "4"] and r[1]["label"] == "" and "no field" in r[1]["error"] and r[0]["error"] == ""'
    run_split "$PITH" classify -f b.jsonl --on-error null
    [ "$(wc -l <<<"$output")" = 4 ]
    [[ $output == *null* ]]
    # Rows that only the tokenizer refuses are told apart from their neighbours.
    /usr/bin/python3 -c "open('u.txt', 'wb').write(b''.join(b'b\xff\n' if i in (3, 40, 41) else b'good\n' for i in range(50)))"
    run_split "$PITH" classify -f u.txt --json --strict --on-error null
    py 'assert [i for i, r in enumerate(rows) if r["label"] is None] == [3, 40, 41] and len(rows) == 50'
    [[ $error == *"u.txt: line 42: "*UTF-8* ]]
}

@test "files that are no rows: missing, a folder, no column, empty, compressed, UTF-16, a JSON array" {
    run_split "$PITH" classify -f none.csv; fails 1 "none.csv: cannot open: No such file"
    run_split "$PITH" classify -f m; fails 1 "is a directory"
    run_split "$PITH" classify -f rows.csv --column body; fails 1 "there is no column 'body' (--column); its columns are: id, text, label"
    run_split "$PITH" classify -f rows.csv --pair-column body; fails 1 "no column 'body' (--pair-column)"
    : >empty.csv
    run_split "$PITH" classify -f empty.csv; fails 1 "empty.csv: it is empty, expected a header row"
    gzip -c rows.csv >z.csv
    run_split "$PITH" classify -f z.csv; fails 1 "this is gzip data"
    iconv -f UTF-8 -t UTF-16 rows.csv >w.csv
    run_split "$PITH" classify -f w.csv; fails 1 "this is UTF-16 text"
    echo '[]' >a.json
    run_split "$PITH" classify -f a.json; fails 1 "rows are read from jsonl"
    run_split "$PITH" classify -f rows.csv -o m; fails 1 "is a directory"
    run_split "$PITH" classify -f rows.csv -o nowhere/x.csv; fails 1 "nowhere/x.csv: cannot create a file in nowhere: No such file"
}

@test "a header alone gives a header alone" {
    head -1 rows.csv >h.csv
    run_split "$PITH" classify -f h.csv --output-format csv
    [ "$status" = 0 ]
    [ "$output" = "id,text,input_label,label,score,n_tokens,truncated" ]
}

# ---- resume ----

many() { /usr/bin/python3 -c "
import json
for i in range($1): print(json.dumps({'id': i, 'text': 'a good film' + ' bad' * (i % 7)}))"; }

@test "resume: an output cut anywhere is completed to the same bytes" {
    many 40 >in.jsonl
    /usr/bin/python3 -c "
import json, csv, sys
w = csv.writer(open('in.csv', 'w', newline='')); w.writerow(['id', 'text'])
for l in open('in.jsonl'): r = json.loads(l); w.writerow([r['id'], r['text'] + (chr(10) + 'x' if r['id'] % 3 == 0 else '')])"
    for kind in "in.jsonl o.jsonl" "in.csv o.csv" "in.csv o.jsonl" "in.jsonl o.csv" "in.jsonl o.txt"; do
        set -- $kind
        rm -f "$2"
        "$PITH" classify -f "$1" -o "$2" --resume
        cp "$2" whole
        size=$(stat -c %s whole)
        for n in 0 1 30 $((size / 3)) $((size / 2)) $((size - 1)) "$size"; do
            head -c "$n" whole >"$2"
            "$PITH" classify -f "$1" -o "$2" --resume 2>err
            cmp whole "$2"
        done
    done
}

@test "resume: an output of another input, model or options is refused and left alone" {
    many 20 >in.jsonl
    "$PITH" classify -f in.jsonl -o o.jsonl
    head -12 o.jsonl >part; 
    for try in "-f rows.jsonl" "-f in.jsonl --activation sigmoid" "-f in.jsonl --max-length 4" "-f in.jsonl --top-k 1"; do
        cp part o.jsonl
        run_split "$PITH" classify $try -o o.jsonl --resume
        fails 1 "is no earlier part of this run"
        cmp part o.jsonl
    done
    sed -i 12s/good/odd/ part; cp part o.jsonl
    run_split "$PITH" classify -f in.jsonl -o o.jsonl --resume
    fails 1 "o.jsonl: row 12 is not what"
    head -5 in.jsonl >short.jsonl; "$PITH" classify -f in.jsonl -o o.jsonl
    run_split "$PITH" classify -f short.jsonl -o o.jsonl --resume
    fails 1 "has 20 rows, but the input only 5"
}

@test "resume after a row that failed: mend it and go on" {
    many 10 >good.jsonl
    sed '6s/.*/{"id":5}/' good.jsonl >in.jsonl
    run_split "$PITH" classify -f in.jsonl -o o.jsonl --resume
    fails 1 "in.jsonl: line 6: no field 'text'"
    [ "$(wc -l <o.jsonl)" = 5 ]
    run_split "$PITH" classify -f good.jsonl -o o.jsonl --resume
    [ "$status" = 0 ]
    [[ $error == *"going on after 5 rows"* ]]
    [ "$(cat o.jsonl)" = "$("$PITH" classify -f good.jsonl --json)" ]
    # --on-error null: a failed row counts as done.
    rm o.jsonl; "$PITH" classify -f in.jsonl -o o.jsonl --resume --on-error null 2>/dev/null && false
    cp o.jsonl whole; head -6 whole >o.jsonl
    run_split "$PITH" classify -f in.jsonl -o o.jsonl --resume --on-error null
    [ "$status" = 0 ]
    [ "$(wc -l <<<"$error")" = 1 ]
    cmp whole o.jsonl
}
