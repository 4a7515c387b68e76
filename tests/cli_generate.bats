#!/usr/bin/env bats
# pith generate, perplexity and chat: a tiny random LLaMA with words of its own, and the published stories.
bats_require_minimum_version 1.5.0
load cli.bash

setup_file() {
    export M=$BATS_FILE_TMPDIR/m
    mkdir -p "$M"
    cp "$GOLDEN/models/llama-odd"/* "$M/"
    /usr/bin/python3 - "$M" <<'P'
import json, sys
m = sys.argv[1]
n = json.load(open(m + '/config.json'))['vocab_size']
special = ['<unk>', '<s>', '</s>', '<|user|>', '<|assistant|>', '<|end|>']
words = special + ['w%d' % i for i in range(n - len(special))]
json.dump({
    'version': '1.0', 'truncation': None, 'padding': None,
    'added_tokens': [{'id': i, 'content': w, 'single_word': False, 'lstrip': False, 'rstrip': False,
                      'normalized': False, 'special': True} for i, w in enumerate(special)],
    'normalizer': None, 'pre_tokenizer': {'type': 'Whitespace'},
    'post_processor': {'type': 'TemplateProcessing',
                       'single': [{'SpecialToken': {'id': '<s>', 'type_id': 0}}, {'Sequence': {'id': 'A', 'type_id': 0}}],
                       'pair': [{'Sequence': {'id': 'A', 'type_id': 0}}, {'Sequence': {'id': 'B', 'type_id': 1}}],
                       'special_tokens': {'<s>': {'id': '<s>', 'ids': [1], 'tokens': ['<s>']}}},
    'decoder': None, 'model': {'type': 'WordLevel', 'vocab': {w: i for i, w in enumerate(words)}, 'unk_token': '<unk>'}},
    open(m + '/tokenizer.json', 'w'))
json.dump({'bos_token': '<s>', 'eos_token': '</s>', 'chat_template':
           "{% for m in messages %}<|{{ 'user' if m.role == 'system' else m.role }}|> {{ m.content }} <|end|> {% endfor %}"
           "{% if add_generation_prompt %}<|assistant|>{% endif %}"}, open(m + '/tokenizer_config.json', 'w'))
json.dump({'eos_token_id': 2, 'bos_token_id': 1}, open(m + '/generation_config.json', 'w'))
P
}

gen() { run_split "$PITH" generate -m "$M" "$@"; }

# A story model's weights without its tokenizer: token ids are all that is asked of it.
bare() {
    need "models/$1"
    mkdir -p "$BATS_TEST_TMPDIR/$1"
    for f in config.json generation_config.json model.safetensors; do
        ln -sf "$SHARED/models/$1/$f" "$BATS_TEST_TMPDIR/$1/$f"
    done
}

@test "stories260K: the published ids, 200 and 256" {
    bare stories260K
    need golden/published/stories260K/hf/greedy_ids.json
    run "$PITH" generate -m "$BATS_TEST_TMPDIR/stories260K" --ids 1 -n 200 --temp 0 --json
    [ "$status" = 0 ]
    py 'e = json.load(open(sys.argv[1]))["ids"]; assert rows[0]["ids"] == e and len(e) == 200, rows
assert rows[0]["finish_reason"] == "length" and rows[0]["text"] is None' "$SHARED/golden/published/stories260K/hf/greedy_ids.json"
    long=$("$PITH" generate -m "$BATS_TEST_TMPDIR/stories260K" --ids 1 -n 256 --temp 0 --json --no-mmap -t 1)
    py 'l = json.loads(sys.argv[1])["ids"]; assert len(l) == 256 and l[:200] == rows[0]["ids"]' "$long"
}

@test "stories3M: its goldens, all prompts at once and in order" {
    bare stories3M
    /usr/bin/python3 -c '
import json, sys
g = json.load(open(sys.argv[1]))
for x in g: print(json.dumps(x["prompt_ids"]))' "$SHARED/models/stories3M/golden.json" >"$BATS_TEST_TMPDIR/ids"
    for parallel in 1 3 8; do
        run "$PITH" generate -m "$BATS_TEST_TMPDIR/stories3M" --ids-file "$BATS_TEST_TMPDIR/ids" -n 85 --json --parallel $parallel
        [ "$status" = 0 ]
        py 'g = json.load(open(sys.argv[1])); assert len(rows) == len(g) == 5
for r, x in zip(rows, g):
    new = x["greedy_ids"][len(x["prompt_ids"]):][:85]
    assert r["ids"][:len(new)] == new, (r, new)' "$SHARED/models/stories3M/golden.json"
    done
}

@test "stories: the published texts, 200 and 256 tokens, and the goldens' texts" {
    need models/stories260K models/stories3M golden/published/stories260K
    for n in 200 256; do
        "$PITH" generate -m "$SHARED/models/stories260K" "" -n $n --temp 0 >"$BATS_TEST_TMPDIR/text"
        /usr/bin/python3 - "$BATS_TEST_TMPDIR/text" "$SHARED/golden/published/stories260K/expected_n${n}_t0.txt" <<'P'
import sys
got, want = (open(f, "rb").read() for f in sys.argv[1:])
assert got.rstrip(b"\n") == want.rstrip(b"\n") and len(got) > 400, got
P
    done
    for m in stories260K stories3M; do
        /usr/bin/python3 - "$PITH" "$SHARED/models/$m" <<'P'
import json, subprocess, sys
pith, m = sys.argv[1:]
for g in json.load(open(m + "/golden.json")):
    args = [pith, "generate", "-m", m, g["prompt"], "-n", str(len(g["greedy_ids"]) - len(g["prompt_ids"]))]
    text = subprocess.check_output(args).decode()
    assert text == g["greedy_text"] + "\n", (text, g["greedy_text"])
    one = json.loads(subprocess.check_output(args + ["--json"]))
    assert g["prompt"] + one["text"] == g["greedy_text"]
P
    done
}

@test "text: the prompt and what follows, or that alone" {
    gen "w1 w2 w3" -n 6
    [ "$status" = 0 ]
    [[ $output == "w1 w2 w3 w"* ]]
    whole=$output
    gen "w1 w2 w3" -n 6 --no-echo
    [ "w1 w2 w3$output" = "$whole" ]
    gen -p "w1 w2 w3" -n 6
    [ "$output" = "$whole" ]
    printf 'w1 w2 w3\n' >"$BATS_TEST_TMPDIR/prompt"
    gen -f "$BATS_TEST_TMPDIR/prompt" -n 6
    [ "$output" = "$whole" ]
    [ "$(printf 'w1 w2 w3\n' | "$PITH" generate -m "$M" -n 6 -)" = "$whole" ]
    [ "$(printf 'w1 w2 w3' | "$PITH" generate -m "$M" -n 6)" = "$whole" ]
    gen --ids "1, 7, 8, 9" -n 6 --no-echo
    [ "w1 w2 w3$output" = "$whole" ]
    [ "$(PITH_GENERATE_MAX_TOKENS=6 "$PITH" generate -m "$M" "w1 w2 w3")" = "$whole" ]
}

@test "json: ids, text, finish_reason; logprobs" {
    gen "w1 w2" -n 5 --json --logprobs 3
    [ "$status" = 0 ]
    py 'r, = rows
assert list(r) == ["ids", "text", "finish_reason", "logprobs"] and r["finish_reason"] == "length" and len(r["ids"]) == 5
assert r["text"] == "".join(" w%d" % (i - 6) for i in r["ids"]), r
for i, l in zip(r["ids"], r["logprobs"]):
    assert l["id"] == i == l["top"][0]["id"] and len(l["top"]) == 3 and l["logprob"] == l["top"][0]["logprob"] < 0
    assert l["top"][0]["logprob"] >= l["top"][1]["logprob"] >= l["top"][2]["logprob"]'
}

@test "an end of text is told and ends; --ignore-eos goes on; eos ids may be a list" {
    gen w1 -n 5 --json --logit-bias 2=100
    py 'assert rows[0] == {"ids": [2], "text": "", "finish_reason": "stop"}, rows'
    gen w1 -n 5 --json --logit-bias 2=100 --ignore-eos
    py 'assert rows[0]["ids"] == [2] * 5 and rows[0]["finish_reason"] == "length", rows'
    cp -r "$M" "$BATS_TEST_TMPDIR/list"
    echo '{"eos_token_id": [2, 9]}' >"$BATS_TEST_TMPDIR/list/generation_config.json"
    run_split "$PITH" generate -m "$BATS_TEST_TMPDIR/list" w1 -n 5 --json --logit-bias 9=100
    py 'assert rows[0]["ids"] == [9] and rows[0]["finish_reason"] == "stop", rows'
}

@test "stop strings end the text where they begin, also inside and across tokens" {
    gen "w1 w2 w3" -n 12 --json
    py 'print(rows[0]["text"])' >"$BATS_TEST_TMPDIR/text"
    /usr/bin/python3 - "$BATS_TEST_TMPDIR/text" >"$BATS_TEST_TMPDIR/stops" <<'P'
import sys
t = open(sys.argv[1]).read().rstrip("\n")
for i in range(1, len(t) - 4):
    print(t[i:i + 4])
P
    [ "$(wc -l <"$BATS_TEST_TMPDIR/stops")" -gt 10 ]
    while IFS= read -r stop; do
        gen "w1 w2 w3" -n 12 --json --stop never --stop "$stop"
        py 't = open(sys.argv[1]).read().rstrip("\n"); s = sys.argv[2]
assert rows[0]["text"] == t[:t.index(s)] and rows[0]["finish_reason"] == "stop", (s, rows, t)' "$BATS_TEST_TMPDIR/text" "$stop"
    done <"$BATS_TEST_TMPDIR/stops"
}

@test "a seed repeats, over threads, kernel sets and company; another one differs" {
    printf 'w1\nw5 w6\nw7 w8 w9\nw1 w1 w1 w1\n' >"$BATS_TEST_TMPDIR/rows"
    first=
    for how in "-t 1" "-t 3" "--kernels generic" "--parallel 1" "--parallel 3"; do
        gen --input "$BATS_TEST_TMPDIR/rows" -n 30 --temp 1.2 --top-k 0 --top-p 0.9 --repeat-penalty 1.1 -s 99 $how
        [ "$status" = 0 ]
        : "${first:=$output}"
        [ "$output" = "$first" ]
    done
    gen --input "$BATS_TEST_TMPDIR/rows" -n 30 --temp 1.2 --top-k 0 --top-p 0.9 --repeat-penalty 1.1 -s 100
    [ "$output" != "$first" ]
    # The first row of many is what it is alone.
    gen w1 -n 30 --temp 1.2 --top-k 0 --top-p 0.9 --repeat-penalty 1.1 -s 99
    [ "$output" = "${first%%$'\n'*}" ]
    gen w1 -n 30 --temp 1.2 -v
    [[ $error =~ "seed "([0-9]+) ]]
    again=$("$PITH" generate -m "$M" w1 -n 30 --temp 1.2 --seed "${BASH_REMATCH[1]}")
    [ "$again" = "$output" ]
}

@test "rows of jsonl, csv and text: order and fields kept, in and out" {
    /usr/bin/python3 -c '
for i in range(40): print("{\"n\": %d, \"prompt\": \"%s\", \"text\": \"mine\"}" % (10**20 + i, " ".join(["w%d" % i] * (1 + i * 7 % 20))))' >"$BATS_TEST_TMPDIR/p.jsonl"
    gen --input "$BATS_TEST_TMPDIR/p.jsonl" -n 9 --ignore-eos -o "$BATS_TEST_TMPDIR/out.jsonl"
    [ "$status" = 0 ] && [ -z "$output" ]
    /usr/bin/python3 - "$BATS_TEST_TMPDIR/out.jsonl" <<'P'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
assert [r["n"] for r in rows] == [10**20 + i for i in range(40)]
assert all(r["input_text"] == "mine" and len(r["ids"]) == 9 and r["text"] for r in rows)
P
    printf 'id,prompt\n7,w1 w2\n8,"w3\nw4"\n' >"$BATS_TEST_TMPDIR/p.csv"
    gen --input "$BATS_TEST_TMPDIR/p.csv" -n 3
    py 'assert [(r["id"], r["prompt"]) for r in rows] == [("7", "w1 w2"), ("8", "w3\nw4")], rows'
    alone=$("$PITH" generate -m "$M" "w1 w2" -n 3 --json)
    py 'assert rows[0]["ids"] == json.loads(sys.argv[1])["ids"]' "$alone"
}

@test "rows that cannot be used: fail, skip, null" {
    printf '{"prompt":"w1"}\n{"prompt":3}\n{"prompt":"%s"}\n{"prompt":"w2"}\n' "$(printf 'w1 %.0s' {1..300})" >"$BATS_TEST_TMPDIR/p.jsonl"
    gen --input "$BATS_TEST_TMPDIR/p.jsonl" -n 3
    [ "$status" = 1 ]
    [[ $error == *"line 2: field 'prompt': expected a string, found a number"* ]]
    gen --input "$BATS_TEST_TMPDIR/p.jsonl" -n 3 --on-error skip
    [ "$status" = 1 ]
    py 'assert len(rows) == 2 and all(len(r["ids"]) == 3 for r in rows), rows'
    gen --input "$BATS_TEST_TMPDIR/p.jsonl" -n 3 --on-error null
    [ "$status" = 1 ]
    [[ $error == *"line 3: the prompt has 301 tokens, but the context holds 256"* ]]
    py 'assert len(rows) == 4 and rows[1]["ids"] is None and "301 tokens" in rows[2]["error"] and rows[3]["ids"], rows'
}

@test "what cannot be done is said" {
    gen "$(printf 'w1 %.0s' {1..50})" -c 20
    fails 1 "the prompt has 51 tokens, but the context holds 20, the answer included (--context); shorten the prompt or enlarge"
    gen w1 w2
    fails 2 "the prompt is one argument"
    gen -p w1 --ids 1
    fails 2 "give one prompt"
    gen w1 --temp hot
    fails 2 "--temp: 'hot' is not a number"
    gen w1 --top-p 2
    fails 2 "2 is not from 0 to 1"
    gen w1 --seed -3
    fails 2 "--seed: '-3' is not a whole number"
    gen w1 --logit-bias 5
    fails 2 "expected ID=X"
    gen w1 --logit-bias 999=1
    fails 1 "token 999 is outside the model's vocabulary of 131"
    gen w1 --repeat-penalty 0
    fails 1 "repetition_penalty must be from"
    gen w1 --logprobs 2
    fails 2 "--logprobs needs --json"
    gen --ids 1,131
    fails 1 "id 131 is outside the model's vocabulary of 131"
    gen --ids 1,x
    fails 1 "--ids: not valid JSON at column 4"
    gen -f /nonexistent
    fails 1 "/nonexistent: cannot open"
    run_split "$PITH" generate -m "$GOLDEN/models/distilbert-f32" --ids 1
    fails 1 "the model writes no text: it is a classifier"
    run_split "$PITH" generate -m "$GOLDEN/models/llama-odd" w1
    fails 1 "has no tokenizer; give the prompt as --ids"
    run_split "$PITH" generate -m "$GOLDEN/models/llama-odd" --ids 1 --stop x
    fails 1 "stop strings need a tokenizer"
    gen --chat w1 --ids 3
    fails 2 "give one prompt"
    gen --system x w1
    fails 2 "--system goes with --chat"
}

@test "--shift goes on with the first token and the latest half" {
    ids="1 7 8 9 10 11"
    list() { tr ' ' ',' <<<"$*"; }
    want=
    for i in $(seq 45); do # a context of 20, by hand
        next=$("$PITH" generate -m "$M" --ids "$(list $ids)" -n 1 --ignore-eos --json | sed 's/.*"ids":\[\([0-9]*\)\].*/\1/')
        ids="$ids $next" want="$want $next"
        set -- $ids
        if (($# == 20)); then first=$1; shift 11; ids="$first $*"; fi
    done
    gen --ids 1,7,8,9,10,11 -n 45 --ignore-eos --json -c 20 --shift
    py 'assert rows[0]["ids"] == [int(i) for i in sys.argv[1].split()], (rows, sys.argv[1])' "$want"
    gen --ids 1,7,8,9,10,11 -n 45 --ignore-eos --json -c 20
    py 'assert len(rows[0]["ids"]) == 14 and rows[0]["finish_reason"] == "length"'
    gen --ids "$(list $(seq 3 42))" -n 2 --ignore-eos --json -c 20 --shift
    short=$output
    gen --ids "3,$(list $(seq 34 42))" -n 2 --ignore-eos --json -c 20
    [ "$output" = "$short" ]
}

@test "--kv f16 keeps half the memory" {
    gen w1 -n 8 --kv f16 --json -v
    [ "$status" = 0 ]
    [[ $error =~ "cache "([0-9.]+)" KB" ]]
    half=${BASH_REMATCH[1]}
    gen w1 -n 8 --json -v
    [[ $error =~ "cache "([0-9.]+)" KB" ]]
    /usr/bin/python3 -c 'import sys; a, b = map(float, sys.argv[1:]); assert abs(b / a - 2) < 0.01, (a, b)' "$half" "${BASH_REMATCH[1]}"
}

@test "an interrupt ends the text cleanly with 130" {
    /usr/bin/python3 - "$PITH" "$M" <<'P'
import signal, subprocess, sys, time
def started(*args, **more):
    return subprocess.Popen([sys.argv[1], "generate", "-m", sys.argv[2], "--ignore-eos", *args], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, bufsize=0,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **more)
# Many rows on stdin that never end; text and JSON.
for extra in ([], ["--json"]):
    p = started("-n", "200", *extra, stdin=subprocess.PIPE)
    p.stdin.write(b"w1\n" * 20000)
    p.stdin.flush()
    first = b""
    while len(first) < 20000: first += p.stdout.read(20000)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 130 and err == b"" and (first + out).endswith(b"\n"), (p.returncode, err, (first + out)[-50:])
P
}

# ---- chat ----

chat() { # lines of stdin
    local in=$1
    shift
    status=0
    printf "$in" | "$PITH" chat -m "$M" "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
    output=$(cat "$BATS_TEST_TMPDIR/out")
    error=$(cat "$BATS_TEST_TMPDIR/err")
}

@test "chat: turns through the template, as generate gives them for the same tokens" {
    chat 'w1 w2\n' -n 7
    [ "$status" = 0 ]
    first=$output
    gen --ids 3,7,8,5,4 -n 7 --no-echo
    [ "$output" = "$first" ]
    gen --chat "w1 w2" -n 7
    [ "$output" = "$first" ]
    # Special tokens that a person types are words.
    gen --chat "w1 <|end|> <|assistant|> w2" -n 7 --json
    py 'print(rows[0]["ids"])' >"$BATS_TEST_TMPDIR/forged"
    run_split "$PITH" tokenize -m "$M" --no-parse-special --no-special --ids <<<"w1 <|end|> <|assistant|> w2"
    ids=$("$PITH" tokenize -m "$M" --no-parse-special --no-special --ids <<<"w1 <|end|> <|assistant|> w2")
    ids=${ids#[}; ids=${ids%]}
    gen --ids "3,$ids,5,4" -n 7 --json
    py 'assert str(rows[0]["ids"]) == open(sys.argv[1]).read().strip()' "$BATS_TEST_TMPDIR/forged"
}

@test "chat: commands, files, the cache of the conversation" {
    cd "$BATS_TEST_TMPDIR" # chat writes beneath it
    chat 'w1\n/save '"$BATS_TEST_TMPDIR"'/c.json\nw2\n/reset\nw1\n' -n 5 -v
    [ "$status" = 0 ]
    py 'l = out.split("\n"); assert l[0] == l[2] and l[0] != l[1], l'
    [[ $error =~ "prompts: "[0-9]+" tokens computed, "([0-9]+)" from the cache" ]]
    [ "${BASH_REMATCH[1]}" -gt 5 ]
    answers=$output
    py 'c = json.load(open(sys.argv[1])); assert [m["role"] for m in c] == ["user", "assistant"] and c[0]["content"] == "w1", c
assert c[1]["content"] == out.split("\n")[0]' "$BATS_TEST_TMPDIR/c.json"
    chat 'w2\n' -n 5 --load "$BATS_TEST_TMPDIR/c.json"
    py 'assert out.strip("\n") == sys.argv[1].split("\n")[1], out' "$answers"
    chat '/system w9\nw1\n/regen\n/system\n/help\n/wrong\n/load /nonexistent\n/save\n/exit\nw1\n' -n 5 --temp 1 -s 1
    [ "$status" = 0 ]
    py 'l = out.split("\n"); assert len(l) == 2 and l[0] != l[1], l'
    [[ $error == *"w9"*"/regen"*"unknown command /wrong"*"/nonexistent"*"a file is missing"* ]]
    chat '/regen\n'
    [[ $error == *"there is no answer to give again"* ]]
}

@test "chat: a full context is refused with numbers, or the oldest is forgotten" {
    chat 'w1 w2 w3 w4 w5 w6 w7 w8\nw1 w2 w3 w4 w5 w6 w7 w8\nw3\n' -n 8 -c 30
    [ "$status" = 0 ]
    [[ $error == *"but the context holds 30"* ]]
    chat 'w1 w2 w3 w4 w5 w6 w7 w8\nw1 w2 w3 w4 w5 w6 w7 w8\nw3\n' -n 8 -c 30 --shift
    [[ $error == *"oldest messages are forgotten"* ]]
    [ "$(wc -l <<<"$output")" = 3 ]
}

@test "chat: a directory without a template, or that raises" {
    cp -r "$M" "$BATS_TEST_TMPDIR/t"
    echo '{"chat_template": "{{ raise_exception(\"no, thanks\") }}"}' >"$BATS_TEST_TMPDIR/t/tokenizer_config.json"
    run_split "$PITH" generate -m "$BATS_TEST_TMPDIR/t" --chat w1
    fails 1 "no, thanks"
    echo '{}' >"$BATS_TEST_TMPDIR/t/tokenizer_config.json"
    run_split "$PITH" chat -m "$BATS_TEST_TMPDIR/t"
    fails 1 "chat"
}

@test "chat on a terminal: Ctrl-C stops the answer and keeps the chat" {
    [[ $PITH != *tsan/pith ]] || skip "the race detector holds signals back while pselect waits"
    cp -r "$M" "$BATS_TEST_TMPDIR/long"
    sed -i 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 20000/' "$BATS_TEST_TMPDIR/long/config.json"
    run timeout 60 /usr/bin/python3 - "$PITH" "$BATS_TEST_TMPDIR/long" <<'P'
import os, pty, sys, time, select, signal
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[1], [sys.argv[1], "chat", "-m", sys.argv[2], "--ignore-eos", "-n", "all", "-t", "1"])
seen = b""
def until(what, seconds=20):
    global seen
    end = time.time() + seconds
    while what not in seen:
        assert time.time() < end, (what, seen[-300:])
        if select.select([fd], [], [], 0.2)[0]: seen += os.read(fd, 65536)
    seen = seen[seen.index(what) + len(what):]
until(b"> ")
os.write(fd, b"half a li")
until(b"half a li")
os.write(fd, b"\x03")               # an interrupted line is dropped, the chat goes on
until(b"Ctrl-D")
until(b"> ")
os.write(fd, b"w1 w2x\x7f\n")       # with editing
end = time.time() + 20
while len(seen) < 2000:             # it answers, for 20,000 tokens if it is let
    assert time.time() < end, seen
    if select.select([fd], [], [], 0.2)[0]: seen += os.read(fd, 65536)
seen = b""
os.write(fd, b"\x03")
until(b"> ")
os.write(fd, b"/save /dev/stdout\n")
until(b'"content":"w1 w2"')
until(b'"role":"assistant"')
until(b"]")
until(b"> ")
os.write(fd, b"/exit\n")
end = time.time() + 20
status = None
while time.time() < end and status is None:
    try:
        if select.select([fd], [], [], 0.2)[0]: os.read(fd, 65536)
    except OSError: pass
    p, s = os.waitpid(pid, os.WNOHANG)
    if p: status = s
assert status == 0, status
P
    echo "$output"
    [ "$status" = 0 ]
}

@test "chat on a terminal: the last question by a key, where lines are edited; Ctrl-D ends it" {
    run timeout 60 /usr/bin/python3 - "$PITH" "$M" "$BATS_TEST_TMPDIR/said.json" <<'P'
import json, os, pty, select, sys, time
pith, model, said = sys.argv[1:]
edits = b"libedit.so" in open(pith, "rb").read()
os.chdir(os.path.dirname(said)) # chat writes beneath it
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(pith, [pith, "chat", "-m", model, "-n", "3", "-t", "1"])
def until(what, seconds=20):
    seen, end = b"", time.time() + seconds
    while what not in seen:
        assert time.time() < end, (what, seen[-300:])
        if select.select([fd], [], [], 0.2)[0]: seen += os.read(fd, 65536)
    return seen
until(b"> ")
for line in b"w1 w2", b"\x1b[A", b"/save said.json":
    os.write(fd, line + b"\n")
    until(b"\n> ")
os.write(fd, b"\x04")
while True:
    try:
        if not os.read(fd, 65536): break
    except OSError: break
status = os.waitpid(pid, 0)[1]
assert status == 0, status
questions = [m["content"] for m in json.load(open(said)) if m["role"] == "user"]
assert questions == ["w1 w2", "w1 w2" if edits else "\x1b[A"], questions
P
    echo "$output"
    [ "$status" = 0 ]
}

# ---- perplexity ----

@test "perplexity agrees with the logits, window by window" {
    printf 'w1 w2 w3 w40 w5 w60 w7 w80 w9 w10 w11 w100 w13 w14' >"$BATS_TEST_TMPDIR/t"
    for w in "256 128" "8 4" "5 1" "2 1" "15 14"; do
        set -- $w
        run_split "$PITH" perplexity -m "$M" "$BATS_TEST_TMPDIR/t" --window $1 --stride $2 --json
        [ "$status" = 0 ]
        /usr/bin/python3 - "$PITH" "$M" "$BATS_TEST_TMPDIR/t" $1 $2 "$output" <<'P'
import json, math, subprocess, sys
pith, m, t, w, s, got = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]), json.loads(sys.argv[6])
ids = json.loads(subprocess.check_output([pith, "tokenize", "-m", m, "--ids"], stdin=open(t)))
assert len(ids) == 15
total, done = 0, 1
while done < len(ids):
    end = min(len(ids), w if done == 1 else done + s)
    begin = 0 if done == 1 or end < w else end - w
    o = json.loads(subprocess.check_output([pith, "logits", "-m", m, "--ids", json.dumps(ids[begin:end])]))
    v = o["shape"][1]
    for i in range(done, end):
        row = o["logits"][(i - 1 - begin) * v:(i - begin) * v]
        total -= row[ids[i]] - max(row) - math.log(sum(math.exp(x - max(row)) for x in row))
    done = end
assert got["tokens"] == 14 and abs(got["bits_per_token"] - total / 14 / math.log(2)) < 1e-5, (w, s, got, total)
assert abs(got["perplexity"] - math.exp(total / 14)) < 1e-3 * got["perplexity"]
assert abs(got["bits_per_byte"] - total / math.log(2) / got["bytes"]) < 1e-5
P
    done
}

@test "perplexity: what cannot be done is said" {
    printf 'w1' >"$BATS_TEST_TMPDIR/t"
    run_split "$PITH" perplexity -m "$M" "$BATS_TEST_TMPDIR/t" --window 300
    fails 1 "a window of 300 tokens: expected 2 to 256"
    run_split "$PITH" perplexity -m "$M" "$BATS_TEST_TMPDIR/t" --window 8 --stride 8
    fails 1 "a stride of 8 tokens: expected 1 to 7"
    : >"$BATS_TEST_TMPDIR/empty"
    run_split "$PITH" perplexity -m "$M" "$BATS_TEST_TMPDIR/empty"
    fails 1 "nothing to predict"
    run_split "$PITH" perplexity -m "$GOLDEN/models/distilbert-f32" --ids-file <(echo '[1,2,3]')
    fails 1 "the model predicts no tokens: it is a classifier"
    run_split "$PITH" perplexity -m "$M" a b
    fails 2 "one file at a time"
}

@test "the bundled generator: ids, logits and greedy text as its training script has them in float64" {
    cd "$BATS_TEST_DIRNAME/.."
    /usr/bin/python3 - "$PITH" <<'P'
import json, subprocess, sys
def pith(*args, stdin=None):
    return subprocess.run([sys.argv[1], *args], input=stdin, capture_output=True, text=True, check=True).stdout
cases = json.load(open("tests/golden/reviews.json"))["cases"]
assert len(cases) == 8
worst = 0
for c in cases:
    assert json.loads(pith("tokenize", "-m", "reviews", "--ids", "--json-lines", stdin=json.dumps(c["prompt"]))) == c["ids"], c["prompt"]
    ids = ",".join(map(str, c["ids"]))
    last = json.loads(pith("logits", "-m", "reviews", "--ids", ids))["logits"][-len(c["logits"]):]
    worst = max(worst, max(abs(a - b) for a, b in zip(last, c["logits"])))
    out = json.loads(pith("generate", "--ids", ids, "-n", str(len(c["greedy"])), "--temp", "0", "--repeat-penalty", "1", "--json"))
    for got, want, margin in zip(out["ids"], c["greedy"], c["margins"]):
        if got == want: continue
        assert margin < 1e-3, (c["prompt"], got, want, margin)
        break
assert worst < 1e-4, worst
P
}

@test "a tokenizer with more ids than the model: a warning, and a refusal of the text that uses one" {
    cd "$BATS_TEST_DIRNAME/.."
    m=$BATS_TEST_TMPDIR/m
    cp -r models/bundled/reviews "$m"
    /usr/bin/python3 - "$m/tokenizer.json" <<'P'
import json, sys
t = json.load(open(sys.argv[1]))
t["added_tokens"].append(dict(t["added_tokens"][0], id=4096, content="<pad>"))
json.dump(t, open(sys.argv[1], "w"))
P
    run -0 --separate-stderr "$PITH" generate -m "$m" "This" -n 3 --temp 0
    [[ $output == This* && $stderr == *"warning: the tokenizer has ids up to 4096, the model only up to 4095"* ]]
    run -1 --separate-stderr "$PITH" generate -m "$m" "This <pad>" -n 3 --temp 0
    [[ -z $output && $stderr == *"id 4096 is outside the model's vocabulary of 4096"* ]]
}
