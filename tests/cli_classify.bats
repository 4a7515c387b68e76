# pith classify: texts in every form it takes, results in every form it gives.
setup() {
    load cli
    tiny "$BATS_TEST_TMPDIR/m"
    cd "$BATS_TEST_TMPDIR"
}

@test "JSON of a row: exactly the documented members, consistent with each other" {
    run_split "$PITH" classify -m m --json "a good film"
    [ "$status" = 0 ]
    [ -z "$error" ]
    py 'r, = rows
import math
assert list(r) == ["label","score","scores","logits","n_tokens","truncated"], r
assert list(r["scores"]) == ["NEGATIVE","POSITIVE"], r
assert r["score"] == r["scores"][r["label"]] == max(r["scores"].values())
e = [math.exp(x) for x in r["logits"]]
assert all(abs(a / sum(e) - b) < 1e-6 for a, b in zip(e, r["scores"].values()))
assert r["n_tokens"] == 5 and r["truncated"] is False'
}

@test "the bundled model is the default, from any folder, by name and without a name" {
    cd /
    run_split "$PITH" classify "A wonderful, moving film." "A dull, terrible waste of time."
    [ "$status" = 0 ]
    [ -z "$error" ]
    [[ $output == POSITIVE*$'\n'NEGATIVE* ]]
    [ "$("$PITH" classify -m sentiment "A wonderful, moving film." "A dull, terrible waste of time.")" = "$output" ]
    [ "$("$PITH" tokenize --ids "a" | head -c 1)" = "[" ]
    [ "$("$PITH" logits --text "a" | head -c 9)" = '{"shape":' ]
}

@test "known texts of the shared model: labels, logits, token counts" {
    cd "$BATS_TEST_DIRNAME/.."
    need models/distilbert-imdb-sst2-small/golden.json
    output=$(/usr/bin/python3 -c '
import json, sys
for r in json.load(open(sys.argv[1])): print(json.dumps({"text": r["text"]}))' "$REVIEWS/golden.json" |
        "$PITH" classify -m "$REVIEWS" --json --format jsonl --max-length 256)
    py 'want = json.load(open(sys.argv[1]))
assert len(rows) == len(want) > 3
for r, w in zip(rows, want):
    assert r["text"] == w["text"] and r["label"] == w["label"] and r["n_tokens"] == len(w["ids"]), (r, w)
    assert max(abs(a - b) for a, b in zip(r["logits"], w["logits"])) < 1e-4' "$REVIEWS/golden.json"
}

@test "text form: one readable line a text, the label's score with four digits" {
    run_split "$PITH" classify -m m "a good film" $'two\nlines\tand \e[31mred'
    [ "$status" = 0 ]
    [ "$(wc -l <<<"$output")" = 2 ]
    [[ ${lines[0]-$output} =~ ^(POSITIVE|NEGATIVE)\ \ 0\.[0-9]{4}\ \ a\ good\ film ]]
    [[ $output == *'two lines and \x1b[31mred'* ]]
}

@test "top-k" {
    run_split "$PITH" classify -m m --top-k all "a good film"
    [[ $output =~ ^[A-Z]+\ \ 0\.[0-9]+\ \ [A-Z]+\ \ 0\.[0-9]+\ \ a\ good\ film$ ]]
    run_split "$PITH" classify -m m --json --top-k 1 "a good film"
    py 'r, = rows; assert list(r["scores"]) == [r["label"]] and len(r["logits"]) == 2'
    tiny odd distilbert-odd
    run_split "$PITH" classify -m odd --json --top-k 3 "a good film"
    py 'r, = rows; s = list(r["scores"].values()); assert len(s) == 3 and s == sorted(s, reverse=True) and s[0] == r["score"]'
    run_split "$PITH" classify -m odd --output-format csv --top-k 2 "a good film"
    py 'assert out.split("\n")[0] == "text,label,score,label_2,score_2,n_tokens,truncated", out'
    run_split "$PITH" classify -m odd --output-format csv --top-k all "a good film"
    py 'assert out.split("\n")[0] == "text,label,score,score_L0,score_L1,score_L2,score_L3,score_L4,n_tokens,truncated", out'
}

@test "activation: softmax, sigmoid, none" {
    output=$(for a in softmax sigmoid none auto; do "$PITH" classify -m m --json --activation $a "a good film"; done)
    py 'import math
soft, sig, none, auto = rows
assert soft == auto and abs(sum(soft["scores"].values()) - 1) < 1e-6
assert list(none["scores"].values()) == none["logits"] == soft["logits"]
assert all(abs(1 / (1 + math.exp(-x)) - s) < 1e-6 for x, s in zip(sig["logits"], sig["scores"].values()))'
}

@test "stdin: a row a line, dash or not, LF or CRLF, last line without an end, a byte order mark" {
    want=$("$PITH" classify -m m --json "a good film" "it is bad" "")
    [ "$(printf 'a good film\nit is bad\n\n' | "$PITH" classify -m m --json 2>/dev/null)" = "$want" ]
    [ "$(printf '\xef\xbb\xbfa good film\r\nit is bad\r\n\r\n' | "$PITH" classify -m m --json - 2>/dev/null)" = "$want" ]
    [ "$(printf 'a good film\nit is bad' | "$PITH" classify -m m --json)" = "$(head -2 <<<"$want")" ]
    [ "$(printf 'a good film\nit is bad' | "$PITH" classify -m m --json -f -)" = "$(head -2 <<<"$want")" ]
}

@test "stdin that is empty: no rows, no failure, a note" {
    run_split "$PITH" classify -m m
    [ "$status" = 0 ]
    [ -z "$output" ]
    [[ $error == *"stdin: there are no rows"* ]]
    run_split "$PITH" classify -m m --output-format json
    [ "$(tr -d '\n' <<<"$output")" = "[]" ]
}

@test "a pipe that writes a line and waits gets its answer before the next line" {
    /usr/bin/python3 - <<'P'
import os, subprocess, select
p = subprocess.Popen([os.environ["PITH"], "classify", "-m", "m"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for text in (b"a good film", b"it is bad", b"x"):
    p.stdin.write(text + b"\n"); p.stdin.flush()
    assert select.select([p.stdout], [], [], 20)[0], "no answer"
    line = p.stdout.readline()
    assert line.endswith(text + b"\n"), line
p.stdin.close()
assert p.wait() == 0
P
}

@test "an empty text, 10 MB of text, one word of 1 MB, NUL bytes" {
    run_split "$PITH" classify -m m ""
    [ "$status" = 0 ]
    [[ $output == *"(an empty text)"* ]]
    /usr/bin/python3 -c "open('big', 'w').write('a good film is great ' * 500000); open('word', 'w').write('x' * 1000000)
open('nul', 'wb').write(b'good\0film')"
    output=$("$PITH" classify -m m --json -f big 2>err)
    py 'r, = rows; assert r["n_tokens"] == 72 and r["truncated"] is True'
    grep -q "1 of 1 rows were longer than the model reads" err
    output=$("$PITH" classify -m m --json -f word)
    py 'r, = rows; assert r["n_tokens"] == 3 and not r["truncated"]'
    output=$("$PITH" classify -m m --json -f nul)
    py 'r, = rows; assert r["n_tokens"] >= 3'
}

@test "long texts: nothing is cut silently" {
    text=$(printf 'good bad film %.0s' {1..60})
    run_split "$PITH" classify -m m "$text"
    [[ $output == *"[72 of 182 tokens read]"* ]]
    output=$(for l in truncate head-tail window; do "$PITH" classify -m m --json --long $l "$text"; done)
    py 'cut, ends, win = rows
assert cut["truncated"] and ends["truncated"] and not win["truncated"]
assert cut["n_tokens"] == ends["n_tokens"] == 72 and win["n_tokens"] > 180 and win["windows"] > 2
assert "windows" not in cut and cut["logits"] != ends["logits"]'
    output=$(for s in 10 35 60; do "$PITH" classify -m m --json --long window --stride $s "$text"; done)
    py 'assert rows[0]["windows"] > rows[1]["windows"] > rows[2]["windows"] == 3, rows'
    output=$(for p in mean max; do "$PITH" classify -m m --json --long window --pool $p "$text"; done)
    py 'a, b = rows; assert all(x <= y for x, y in zip(a["logits"], b["logits"])) and a["logits"] != b["logits"]'
    output=$("$PITH" classify -m m --json --max-length 10 "$text")
    py 'r, = rows; assert r["n_tokens"] == 10 and r["truncated"]'
    run_split "$PITH" classify -m m --max-length 73 x
    fails 1 "--max-length 73: the model reads 72 tokens at most"
    run_split "$PITH" classify -m m --max-length 2 x
    fails 1 "leaves no room"
}

@test "pairs" {
    output=$("$PITH" classify -m m --json --pair "it is bad" "a good film" "b")
    one=$output
    py 'a, b = rows; assert a["n_tokens"] == 10 and b["n_tokens"] == 8'
    printf '{"a":"a good film","b":"it is bad"}\n{"a":"b","b":"it is bad"}\n' >p.jsonl
    output="$one
$("$PITH" classify -m m --json -f p.jsonl --field a --pair-field b)"
    py 'assert [r["logits"] for r in rows[:2]] == [r["logits"] for r in rows[2:]]'
    printf 'one,two\na good film,it is bad\nb,it is bad\n' >p.csv
    output="$one
$("$PITH" classify -m m --json -f p.csv --column one --pair-column two)"
    py 'assert [r["logits"] for r in rows[:2]] == [r["logits"] for r in rows[2:]] and rows[2]["two"] == "it is bad"'
}

@test "invalid UTF-8 is read as U+FFFD and told, or refused with --strict; the line is named" {
    printf 'good\nb\xffd\nfilm\n' >bad.txt
    printf 'good\nb\xef\xbf\xbdd\nfilm\n' >same.txt
    [ "$("$PITH" classify -m m --json -f bad.txt 2>err)" = "$("$PITH" classify -m m --json -f same.txt)" ]
    grep -q "1 of 3 rows held invalid UTF-8" err
    output=$("$PITH" classify -m m --strict --json -f bad.txt 2>err) && false
    [ "$(wc -l <err)" = 1 ]
    grep -q "bad.txt: line 2: .*UTF-8" err
    [ "$(wc -l <<<"$output")" = 1 ]
}

@test "special tokens in a text are recognised, or text with --no-parse-special" {
    output=$("$PITH" classify -m m --json "good [SEP] film"; "$PITH" classify -m m --json --no-parse-special "good [SEP] film")
    py 'assert rows[0]["n_tokens"] == 5 and rows[1]["n_tokens"] > 5'
}

@test "explain: words with byte offsets and influence; lines, or words in JSON" {
    output=$("$PITH" classify -m m --json --explain "héé  good film.")
    py 'r, = rows; text = "héé  good film.".encode()
assert [text[w["begin"]:w["end"]].decode() for w in r["words"]] == [w["text"] for w in r["words"]] == ["héé", "good", "film."]
assert all(-1 <= w["influence"] <= 1 for w in r["words"]) and any(w["influence"] for w in r["words"])'
    whole=$("$PITH" classify -m m --json "good film"; "$PITH" classify -m m --json " film")
    output="$whole
$("$PITH" classify -m m --json --explain "good film")"
    py 'a, b, c = rows; assert abs(a["score"] - b["scores"][a["label"]] - c["words"][0]["influence"]) < 1e-6'
    run_split "$PITH" classify -m m --explain "good film"
    [ "$(wc -l <<<"$output")" = 3 ]
    [[ $output =~ [+-]0\.[0-9]{4}\ \ good ]]
}

@test "colour only on a terminal that wants it" {
    command -v script >/dev/null || skip "no script(1)"
    tty() { script -qec "$*" /dev/null </dev/null; }
    tty "$PITH classify -m m --explain 'good film'" | grep -q $'\e\\['
    if NO_COLOR=1 tty "$PITH classify -m m --explain 'good film'" | grep -q $'\e'; then false; fi
    if TERM=dumb tty "$PITH classify -m m --explain 'good film'" | grep -q $'\e'; then false; fi
    if "$PITH" classify -m m --explain 'good film' | grep -q $'\e'; then false; fi
}

@test "a terminal without text is told what to do" {
    command -v script >/dev/null || skip "no script(1)"
    status=0
    output=$(script -qec "$PITH classify -m m" /dev/null </dev/tty 2>/dev/null || script -qec "$PITH classify -m m" /dev/null) || status=$?
    [ "$status" = 2 ]
    [[ $output == *"no text: give it as an argument"* ]]
}

@test "the same bits for every number of threads, batch size, kernel set and way of reading" {
    /usr/bin/python3 -c "
import random
random.seed(1)
w = 'good bad film movie great awful plot love hate x yy zzz'.split()
print('\n'.join(' '.join(random.choice(w) for _ in range(random.choice([0, 1, 3, 9, 40, 200]))) for _ in range(120)))" >t.txt
    sets=$("$PITH" classify -v -m m x 2>&1 >/dev/null | sed -n 's/.*kernels \([a-z0-9]*\).*/\1/p')
    want=$("$PITH" classify -q -m m --json -f t.txt | sha256sum)
    n=0
    for k in generic avx2 avx512 $sets; do
        PITH_KERNELS=$k "$PITH" classify -m m x >/dev/null 2>&1 || continue
        for t in 1 2; do for b in 64 8192; do
            [ "$("$PITH" classify -q -m m --json --kernels $k -t $t --batch-tokens $b -f t.txt | sha256sum)" = "$want" ]
            n=$((n + 1))
        done; done
    done
    [ "$n" -ge 8 ]
    [ "$("$PITH" classify -q -m m --json --pin --threads 3 <t.txt | sha256sum)" = "$want" ]
    [ "$("$PITH" classify -q -m m --json --no-mmap <t.txt | sha256sum)" = "$want" ]
    [ "$(while read -r l; do echo "$l"; done <t.txt | "$PITH" classify -q -m m --json | sha256sum)" = "$want" ]
}

@test "logits that are not numbers are an error, never a label" {
    /usr/bin/python3 - <<'P'
import struct
b = bytearray(open("m/model.safetensors", "rb").read())
n = struct.unpack("<Q", b[:8])[0]
import json
h = json.loads(b[8:8 + n])
at = 8 + n + h["classifier.bias"]["data_offsets"][0]
b[at:at + 4] = struct.pack("<f", float("nan"))
open("m/model.safetensors", "wb").write(b)
P
    run_split "$PITH" classify -m m "a good film"
    fails 1 "text 1: the logits are not numbers (NaN)"
    printf 'x\ny\n' >t.txt
    output=$("$PITH" classify -m m -f t.txt --on-error null --json 2>/dev/null) && false
    py 'assert [r["label"] for r in rows] == [None, None] and "NaN" in rows[0]["error"]'
}
