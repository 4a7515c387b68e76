# pith verify: the report, its exit status, and forwards recorded and replayed. What the checks of files find is tested in
# C (test_verify); here, that it is told.
setup() {
    load cli
    cd "$BATS_TEST_TMPDIR"
    SENTIMENT=$GOLDEN/../../models/bundled/sentiment
    REVIEWS_LM=$GOLDEN/../../models/bundled/reviews
}

# edit FILE CODE: CODE changes `d`, the JSON of FILE; `p` are its prompts.
edit() {
    /usr/bin/python3 -c '
import json, sys
d = json.load(open(sys.argv[1])); p = d.get("prompts")
'"$2"'
json.dump(d, open(sys.argv[1], "w"))' "$1"
}

# expectation MODEL: the golden of a tiny model as a recording, as a program beside pith would write it.
expectation() {
    /usr/bin/python3 - "$GOLDEN/expected/$1" <<'P'
import array, json, sys
prompts = []
for i, ids in enumerate(map(json.loads, open(sys.argv[1] + "/ids.jsonl"))):
    j = json.load(open("%s/np.%d.json" % (sys.argv[1], i)))
    x = array.array("f", open("%s/np.%d.logits.f32" % (sys.argv[1], i), "rb").read())
    p = {"prompt": None, "ids": ids, "logits": list(x[-j["logits_shape"][-1]:])}
    if j.get("label"): p["label"] = j["label"]
    if j.get("greedy"): p["new_ids"] = j["greedy"][:16]
    prompts.append(p)
assert prompts
json.dump({"kind": "pith-recording", "version": 1, "by": "transformers 4.57.1", "prompts": prompts}, sys.stdout)
P
}

# flip FILE TENSOR ELEMENT BIT: of a float32 tensor.
flip() {
    /usr/bin/python3 - "$@" <<'P'
import json, struct, sys
path, name, i, bit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
b = bytearray(open(path, "rb").read())
n, = struct.unpack("<Q", b[:8])
t = json.loads(b[8:8 + n])[name]
assert t["dtype"] == "F32"
b[8 + n + t["data_offsets"][0] + 4 * i + bit // 8] ^= 1 << bit % 8
open(path, "wb").write(b)
P
}

verdicts() { printf '%s' "$output" | /usr/bin/python3 -c 'import json, sys; print(" ".join(r["verdict"] for r in json.load(sys.stdin)["forward"]["prompts"]))'; }

@test "a model that is as it should be: a line a check, exit status 0, nothing on stderr" {
    for m in "$SENTIMENT" "$REVIEWS_LM" "$GOLDEN/models/llama-classify" "$GOLDEN/models/bert-bf16-sharded"; do
        run_split "$PITH" verify "$m"
        echo "$output$error"
        [ "$status" = 0 ] && [ -z "$error" ]
        for check in files tensors tokenizer values checksums forward; do grep -qE "^(ok|skipped) +$check( |$)" <<<"$output"; done
        grep -qE "^ok +files " <<<"$output"
        grep -qE "^ok +forward +3 prompts run, finite numbers from 3$" <<<"$output"
        [[ $output == *"$m: the weights are what they should be"* && $output != *$'\e'* ]]
    done
}

@test "a file alone: the forward is skipped, and says why" {
    run_split "$PITH" verify "$SENTIMENT/model.safetensors"
    [ "$status" = 0 ]
    grep -qE "^skipped +forward +a file alone" <<<"$output"
}

@test "--record, then --against: the same bits with any threads, kernels and way of reading" {
    for m in "$SENTIMENT" "$REVIEWS_LM" "$GOLDEN/models/gemma-f32" "$GOLDEN/models/llama-classify"; do
        rm -f r.json
        run_split "$PITH" verify "$m" --record r.json
        [ "$status" = 0 ] && [ "$(ls)" = "$(printf 'err\nout\nr.json')" ]
        n=$(/usr/bin/python3 -c 'import json; print(len(json.load(open("r.json"))["prompts"]))')
        for how in "" "--threads 1" ${LONG:+"--kernels generic"} "--no-mmap"; do # again.json is of generic
            run_split "$PITH" verify "$m" --against r.json --json $how
            echo "$output"
            [ "$status" = 0 ] && [ -z "$error" ]
            [ "$(verdicts | tr ' ' '\n' | sort | uniq -c | tr -s ' ')" = " $n bit-equal" ]
        done
        "$PITH" verify "$m" --record again.json --kernels generic --threads 1 >/dev/null
        cmp r.json again.json
        rm again.json
    done
    run_split "$PITH" verify "$GOLDEN/models/llama-classify" --against r.json
    grep -qE "^ok +forward +3 of 3 prompts bit-equal$" <<<"$output"
    grep -qE "^ +1  bit-equal +1 token id$" <<<"$output"
}

@test "what is recorded: what logits, classify, tokenize and generate say" {
    "$PITH" verify "$SENTIMENT" --record s.json >/dev/null
    "$PITH" verify "$REVIEWS_LM" --record r.json >/dev/null
    /usr/bin/python3 - "$PITH" "$SENTIMENT" "$REVIEWS_LM" <<'P'
import json, subprocess, sys
pith, sentiment, reviews = sys.argv[1:]
def ask(*a, text=None): return subprocess.run([pith, *a], input=text, capture_output=True, check=True, text=True).stdout
for name, m in (("s.json", sentiment), ("r.json", reviews)):
    r = json.load(open(name))
    assert r["kind"] == "pith-recording" and r["version"] == 1 and r["by"].startswith("pith ") and len(r["prompts"]) == 6
    assert any(len(p["ids"]) > 90 for p in r["prompts"]) and any(ord(c) > 0xffff for p in r["prompts"] for c in p["prompt"])
    for p in r["prompts"]:
        ids = ",".join(map(str, p["ids"]))
        assert json.loads(ask("tokenize", "-m", m, "--ids", "--json-lines", text=json.dumps(p["prompt"]))) == p["ids"]
        assert ask("logits", "-m", m, "--ids", ids, "--hash").strip() == p["hash"]
        x = json.loads(ask("logits", "-m", m, "--ids", ids))
        v = x["shape"][-1]
        last = x["logits"][-v:]
        if m == sentiment:
            assert p["logits"] == last and "new_ids" not in p
            assert p["label"] == json.loads(ask("classify", "-m", m, "--json", "--", p["prompt"]))["label"]
        else:
            assert p["top"] == sorted(([i, y] for i, y in enumerate(last)), key=lambda t: (-t[1], t[0]))[:32] and "label" not in p
            g = json.loads(ask("generate", "-m", m, "--ids", ids, "-n", "16", "--temp", "0", "--repeat-penalty", "1", "--json"))
            assert g["ids"] == p["new_ids"] and g["text"] == p["text"]
P
}

@test "--prompts: one a line, Unicode and long ones; what cannot be recorded is refused" {
    printf 'Dull.\r\n\n\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x8c\x8d\n%s\nlast' "$(yes word | head -3000 | tr '\n' ' ')" >p.txt
    run_split "$PITH" verify "$SENTIMENT" --prompts p.txt --record r.json --json
    [ "$status" = 0 ] && [ "$(verdicts)" = "runs runs runs runs" ]
    /usr/bin/python3 -c 'import json; p = json.load(open("r.json"))["prompts"]; assert [x["prompt"] for x in p][:2] == ["Dull.", "ä你🌍"] and p[3]["prompt"] == "last", p'
    run_split "$PITH" verify "$SENTIMENT" --against r.json --json
    [ "$status" = 0 ] && [ "$(verdicts)" = "bit-equal bit-equal bit-equal bit-equal" ]
    "$PITH" verify "$REVIEWS_LM" --prompts p.txt --record l.json >/dev/null # the third fills the model's context
    run_split "$PITH" verify "$REVIEWS_LM" --against l.json --json
    [ "$status" = 0 ] && [ "$(verdicts)" = "bit-equal bit-equal bit-equal bit-equal" ]
    printf 'good\nbad \xff\n' >bad.txt
    run_split "$PITH" verify "$SENTIMENT" --prompts bad.txt --record new.json; fails 1 "bad.txt: line 2: "
    printf 'a\0b\n' >bad.txt
    run_split "$PITH" verify "$SENTIMENT" --prompts bad.txt --record new.json; fails 1 "bad.txt: line 1: a prompt has a NUL byte"
    printf '\n\n' >bad.txt
    run_split "$PITH" verify "$SENTIMENT" --prompts bad.txt --record new.json; fails 1 "bad.txt: there are no prompts"
    run_split "$PITH" verify "$SENTIMENT" --prompts none.txt; fails 1 "none.txt: cannot open"
    run_split "$PITH" verify "$GOLDEN/models/bert-f32" --prompts p.txt; fails 1 "has no tokenizer"
    [ "$(ls)" = "$(printf '%s\n' bad.txt err l.json out p.txt r.json)" ] # nothing half-written stays
}

@test "expectations of another engine: every golden model, within tolerance" {
    n=0
    for d in "$GOLDEN"/expected/*; do
        m=${d##*/}
        expectation "$m" >x.json
        run_split "$PITH" verify "$GOLDEN/models/$m" --against x.json --json
        [ "$status" = 0 ] || { echo "$m: $output$error"; false; }
        [[ $(verdicts) != *[!a-z\ -]* && $(verdicts) != *[drunb]i[fn]* ]]
        n=$((n + 1))
    done
    [ $n -gt 20 ]
}

@test "expectations of another engine: the bundled models' texts, tokens and labels or continuations" {
    /usr/bin/python3 - "$GOLDEN" <<'P'
import json, sys
s = json.load(open(sys.argv[1] + "/sentiment.json"))
json.dump({"kind": "pith-recording", "prompts": [{"prompt": x["text"], "ids": x["ids"], "logits": x["logits"], "label": x["label"]} for x in s]}, open("s.json", "w"))
out = []
for c in json.load(open(sys.argv[1] + "/reviews.json"))["cases"]:
    top = sorted(enumerate(c["logits"]), key=lambda t: -t[1])[:32]
    out.append({"prompt": c["prompt"], "ids": c["ids"], "top": top, "new_ids": c["greedy"][:16]})
json.dump({"kind": "pith-recording", "prompts": out}, open("r.json", "w"))
P
    for x in "$SENTIMENT s.json" "$REVIEWS_LM r.json"; do
        set -- $x
        run_split "$PITH" verify "$1" --against "$2"
        echo "$output"
        [ "$status" = 0 ] && grep -qE "^ok +forward +[0-9]+ of [0-9]+ prompts bit-equal" <<<"$output"
        [[ $output == *"    against $2"* && $output == *"within tolerance"* && $output != *remark* ]]
    done
    # Both at once; each is wrong for the other.
    run_split "$PITH" verify "$SENTIMENT" --against s.json --against r.json
    [ "$status" = 1 ]
    [[ $output == *"against s.json"*"within tolerance"*"against r.json"*"DIFFERENT"*"the tokenizer is another"* ]]
}

@test "what differs is told: by how much, which label, which token" {
    "$PITH" verify "$SENTIMENT" --record s.json >/dev/null
    "$PITH" verify "$REVIEWS_LM" --record r.json >/dev/null
    told() { # model recording code pattern
        cp "$2" x.json
        edit x.json "$3"
        run_split "$PITH" verify "$1" --against x.json
        echo "$output$error"
        [ "$status" = 1 ] && [[ $output =~ $4 && $output == *": 1 problem"* ]]
        run_split "$PITH" verify "$1" --against x.json --json
        [ "$status" = 1 ] && py 'r = json.loads(out); assert [f["check"] for f in r["findings"] if f["failed"]] == ["forward"] and r["checks"]["forward"]["status"] == r["verdict"] == "failed" and [x["verdict"] for x in r["forward"]["prompts"]].count("different") == 1'
    }
    told "$SENTIMENT" s.json 'p[1]["logits"][0] += 0.5' '2  DIFFERENT  .*max \|diff\| 0.5, tolerance 0.000'
    told "$SENTIMENT" s.json 'p[0]["label"] = {"POSITIVE": "NEGATIVE", "NEGATIVE": "POSITIVE"}[p[0]["label"]]' '1  DIFFERENT  .*label [A-Z]+, recorded [A-Z]+'
    told "$SENTIMENT" s.json 'p[0]["label"] = "none"' 'recorded none, which is none of the model'
    told "$SENTIMENT" s.json 'p[0]["logits"].append(1)' 'the model gives 2 logits, recorded are 3'
    told "$SENTIMENT" s.json 'del p[0]["logits"]; p[0]["hidden"] = [1, 2]' 'recorded are 2 hidden'
    told "$SENTIMENT" s.json 'p[0]["ids"][1] += 1' "tokens: number 2 is [0-9]+ 'a', recorded [0-9]+: the tokenizer is another"
    told "$SENTIMENT" s.json 'p[0]["prompt"] += " more"' "tokens: number 8 is [0-9]+ 'more', recorded 3"
    told "$SENTIMENT" s.json 'p[0].update(prompt=None); p[0]["ids"][1] = 2**31 - 1' 'outside the model.s vocabulary'
    told "$SENTIMENT" s.json 'p[0].update(prompt=None, ids=[5] * 100000)' 'DIFFERENT'
    told "$SENTIMENT" s.json 'p[0]["new_ids"] = [1]' 'the model writes no text'
    told "$REVIEWS_LM" r.json 'p[0]["new_ids"][3] += 1' 'new token 4 is [0-9]+ .*, recorded [0-9]+'
    told "$REVIEWS_LM" r.json 'del p[0]["hash"]; del p[0]["top"][0]' 'has logit [0-9.]+, above the 31 recorded highest'
    told "$REVIEWS_LM" r.json 'p[0]["top"][0][0] = 99999' 'logit 99999 is recorded, the model has 4096'
    # Of logits that are nearly equal another engine may take either; not where all bits are the same.
    "$PITH" verify "$GOLDEN/models/llama-odd" --record o.json >/dev/null
    told "$GOLDEN/models/llama-odd" o.json 'q = next(x for x in p if len(x.get("new_ids", [])) > 5); q["new_ids"][5] ^= 1; del q["new_ids"][6:]' 'new token 6 is'
    edit x.json 'for q in p: del q["hash"]; q["logits"][0] += 1e-5'
    run_split "$PITH" verify "$GOLDEN/models/llama-odd" --against x.json
    [ "$status" = 1 ]
    run_split "$PITH" verify "$GOLDEN/models/llama-odd" --against x.json --tolerance 2
    echo "$output"
    [ "$status" = 0 ] && [[ $output == *"within tolerance"*"new token 6 is"*"nearly equal logits"* ]]
}

@test "a bit of a weight: the manifest tells where, the replay what it does" {
    tiny m
    "$PITH" verify m --record r.json --manifest m.json >/dev/null
    flip m/model.safetensors classifier.weight 3 0
    run_split "$PITH" verify m --against r.json
    echo "$output"
    [ "$status" = 0 ]
    [[ $output == *"within tolerance"*"remark   r.json: "*"gives the same bits on every machine"*"should be, 1 remark"* ]]
    run_split "$PITH" verify m --against r.json --tolerance 0
    [ "$status" = 1 ] && [[ $output == *DIFFERENT* ]]
    flip m/model.safetensors classifier.weight 3 29
    run_split "$PITH" verify m --against r.json
    [ "$status" = 1 ] && [[ $output == *"DIFFERENT"*"max |diff|"* ]]
    run_split "$PITH" verify m --against m.json --against r.json
    echo "$output"
    [ "$status" = 1 ]
    [[ $output == *"FAILED   checksums"*"problem  classifier.weight: "*"FAILED   forward"*"DIFFERENT"* ]]
    run_split "$PITH" verify m --against m.json --no-forward --json
    [ "$status" = 1 ]
    py 'r = json.loads(out)
assert r["verdict"] == "failed" and r["checks"]["checksums"]["status"] == "failed" and r["checks"]["forward"]["why"] == "as asked"
f = [f for f in r["findings"] if f["subject"] == "classifier.weight"]
assert len(f) == 1 and f[0]["check"] == "checksums" and f[0]["failed"] and "byte" in f[0]["message"], r["findings"]'
}

@test "--manifest and --against: all holds, several at once; it is not replaced unasked" {
    tiny m
    run_split "$PITH" verify m --manifest a.json
    echo "$output"
    [ "$status" = 0 ] && grep -qE "^skipped +checksums +written, " <<<"$output"
    "$PITH" verify m/model.safetensors --manifest b.json >/dev/null
    run_split "$PITH" verify m --against a.json --against b.json
    echo "$output"
    [ "$status" = 0 ] && grep -qE "^ok +checksums" <<<"$output"
    run_split "$PITH" verify m --manifest a.json; fails 1 "a.json: exists; --force"
    run_split "$PITH" verify m --against a.json --skip checksums; fails 2 "--against a manifest needs the checksums"
    echo >>m/tokenizer_config.json
    run_split "$PITH" verify m --against a.json --against b.json --no-mmap
    echo "$output"
    [ "$status" = 1 ] && [[ $output == *"problem  tokenizer_config.json: "* ]]
    "$PITH" verify m --manifest a.json --force >/dev/null
    run_split "$PITH" verify m --against a.json
    [ "$status" = 0 ]
    sed -i 's/"kind": "pith-manifest"/"kind": "shopping-list"/' a.json
    run_split "$PITH" verify m --against a.json; fails 1 "a.json: "
    [ "$(ls)" = "$(printf '%s\n' a.json b.json err m out)" ]
}

@test "a truncated or missing shard, a missing or foreign tensor, a NaN, another vocabulary: named" {
    cp -r "$GOLDEN/models/distilbert-sharded" m
    shards=(m/*.safetensors)
    truncate -s -10 "${shards[0]}"
    run_split "$PITH" verify m
    echo "$output"
    [ "$status" = 1 ] && [[ $output == *"FAILED   files"*"problem  ${shards[0]#m/}: "*runcated* ]]
    grep -qE "^skipped +forward +the model does not open$" <<<"$output"
    rm "${shards[0]}"
    run_split "$PITH" verify m
    [ "$status" = 1 ] && [[ $output == *"problem  ${shards[0]#m/}: is not there"* ]]
    rename() { # of a tensor, in a copy of a tiny model
        rm -rf m
        cp -r "$GOLDEN/models/distilbert-f32" m
        /usr/bin/python3 - m/model.safetensors "$1" "$2" <<'P'
import sys
path, old, new = sys.argv[1], sys.argv[2].encode(), sys.argv[3].encode()
b = open(path, "rb").read()
assert len(old) == len(new) and b.count(b'"' + old + b'"') == 1
open(path, "wb").write(b.replace(b'"' + old + b'"', b'"' + new + b'"'))
P
    }
    rename classifier.bias classifier.bios
    run_split "$PITH" verify m
    echo "$output"
    [ "$status" = 1 ] && [[ $output == *"FAILED   tensors"*classifier.bias* && $output == *classifier.bios* ]]
    rename classifier.bias classifier.bias
    flip m/model.safetensors classifier.bias 0 30
    printf '\0\0\xc0\x7f' | dd of=m/model.safetensors bs=1 seek="$(($(stat -c %s m/model.safetensors) - 4))" conv=notrunc status=none
    run_split "$PITH" verify m
    echo "$output"
    [ "$status" = 1 ] && [[ $output == *"FAILED   values"*NaN* ]]
    rm -rf m
    tiny m
    edit m/tokenizer.json 'd["model"]["vocab"]["[unused3]"] = 9000'
    run_split "$PITH" verify m
    echo "$output"
    [ "$status" = 1 ] && [[ $output == *"FAILED   tokenizer"*"problem  "*"ids up to 9000"*"vocab_size"* ]]
}

@test "another tokenizer, or none: told as such" {
    tiny m
    "$PITH" verify m --record r.json >/dev/null
    sed -i 's/"lowercase": true/"lowercase": false/' m/tokenizer.json
    run_split "$PITH" verify m --against r.json
    echo "$output"
    [ "$status" = 1 ] && [[ $output == *"DIFFERENT"*"tokens: number "*"the tokenizer is another"* && $output != *"max |diff|"* ]]
    rm m/tokenizer*.json
    run_split "$PITH" verify m --against r.json
    [ "$status" = 1 ] && [[ $output == *"DIFFERENT"*"the model has no tokenizer now"* ]]
}

@test "weights that give NaN, or say nothing: broken, and not recorded" {
    cp -r "$GOLDEN/models/distilbert-f32" m
    /usr/bin/python3 - m/model.safetensors <<'P'
import json, struct, sys
b = bytearray(open(sys.argv[1], "rb").read())
n, = struct.unpack("<Q", b[:8])
h = json.loads(b[8:8 + n])
for name in ("classifier.weight", "classifier.bias"):
    lo, hi = h[name]["data_offsets"]
    b[8 + n + lo:8 + n + hi] = bytes(hi - lo)
open(sys.argv[1], "wb").write(b)
P
    run_split "$PITH" verify m --skip values --record r.json
    echo "$output$error"
    [ "$status" = 1 ] && [[ $output == *"FAILED   forward"*"all 2 logits are 0: the weights say nothing"* && $error == *"r.json: not written"* && ! -e r.json ]]
    printf '\0\0\xc0\x7f' | dd of=m/model.safetensors bs=1 seek="$(($(stat -c %s m/model.safetensors) - 4))" conv=notrunc status=none
    run_split "$PITH" verify m --skip values --json
    echo "$output"
    [ "$status" = 1 ] && [[ $(verdicts) == "broken broken broken" && $output == *"are NaN or infinite"* ]]
}

@test "hostile recordings: one line that names the key" {
    bad() { # JSON, pattern
        printf '%s' "$1" >x.json
        run_split "$PITH" verify "$SENTIMENT" --against x.json
        fails 1 "${2//[/\\[}"
    }
    head='{"kind":"pith-recording","prompts":'
    bad '' 'x.json'
    bad '[1]' 'x.json: expected an object'
    bad '{"prompts":[]}' 'x.json: kind is missing'
    bad '{"kind":3}' 'x.json: kind: expected a string, found 3'
    bad '{"kind":"pith-recording"}' 'x.json: prompts is missing'
    bad "${head}{}}" 'prompts: expected an array'
    bad "${head}[]}" 'prompts: expected at least one prompt'
    bad "${head}[7]}" 'prompts[0]: expected an object'
    bad "${head}[{}]}" 'prompts[0].ids is missing'
    bad "${head}[{\"ids\":[]}]}" 'prompts[0].ids: expected at least one token id'
    bad "${head}[{\"ids\":[1,-1]}]}" 'prompts[0].ids[1]: expected a whole number'
    bad "${head}[{\"ids\":[2147483648]}]}" 'prompts[0].ids[0]: expected a whole number'
    bad "${head}[{\"ids\":[1.5]}]}" 'prompts[0].ids[0]: expected a whole number'
    bad "${head}[{\"ids\":[1]}]}" 'expected one of "logits", "top" and "hidden"'
    bad "${head}[{\"ids\":[1],\"logits\":[1],\"top\":[[1,1]]}]}" 'no two'
    bad "${head}[{\"ids\":[1],\"logits\":[]}]}" 'prompts[0].logits: expected at least one number'
    bad "${head}[{\"ids\":[1],\"logits\":[1,\"x\"]}]}" 'prompts[0].logits[1]: expected a number'
    bad "${head}[{\"ids\":[1],\"logits\":[1e300]}]}" 'prompts[0].logits[0]: expected a number that a float holds'
    bad "${head}[{\"ids\":[1],\"logits\":[null,1]}]}" 'prompts[0].logits[0]: expected a number'
    bad "${head}[{\"ids\":[1],\"top\":[[1]]}]}" 'prompts[0].top[0]: expected a pair'
    bad "${head}[{\"ids\":[1],\"top\":[[1,2,3]]}]}" 'prompts[0].top[0]: expected a pair'
    bad "${head}[{\"ids\":[1],\"top\":[[-1,2]]}]}" 'prompts[0].top[0][0]: expected a whole number'
    bad "${head}[{\"ids\":[1],\"logits\":[1],\"hash\":\"xyz\"}]}" 'prompts[0].hash: expected 16 hex digits'
    bad "${head}[{\"ids\":[1],\"logits\":[1],\"label\":1}]}" 'prompts[0].label: expected a string'
    bad "${head}[{\"ids\":[1],\"logits\":[1],\"new_ids\":[\"a\"]}]}" 'prompts[0].new_ids[0]: expected a whole number'
    bad "${head}[{\"ids\":[1],\"logits\":[1]}],\"version\":2}" 'version: expected a whole number from 1 to 1'
    bad "$(printf '%0.s[' $(seq 5000))" 'x.json'
    # Damaged anywhere, a recording ends in a verdict or a line, never in a crash.
    "$PITH" verify "$SENTIMENT" --record r.json >/dev/null
    /usr/bin/python3 - "$PITH" "$SENTIMENT" <<'P'
import random, subprocess, sys
b = open("r.json", "rb").read()
rnd = random.Random(7)
for i in range(40):
    x = bytearray(b)
    for _ in range(rnd.choice((1, 3))):
        at = rnd.randrange(len(x))
        if rnd.random() < 0.2: del x[at:]
        else: x[at] = rnd.choice(b'0123456789[]{}",-e\\n')
        if not x: break
    open("x.json", "wb").write(x)
    p = subprocess.run([sys.argv[1], "verify", sys.argv[2], "--against", "x.json"], capture_output=True)
    assert p.returncode in (0, 1) and p.stderr.count(b"\n") == (0 if p.stdout else 1), (i, p)
P
}

@test "exit status and usage: nothing is written or replaced that was not asked for" {
    run_split "$PITH" verify; fails 2 "no path"
    run_split "$PITH" verify a b; fails 2 "'b' is one too many"
    run_split "$PITH" verify nothing; fails 1 "nothing: "
    run_split "$PITH" verify "$SENTIMENT" --skip value; fails 2 "did you mean 'values'?"
    run_split "$PITH" verify "$SENTIMENT" --record r --no-forward; fails 2 "--record needs the forward"
    run_split "$PITH" verify "$SENTIMENT" --record r --manifest r; fails 2 "the same file"
    run_split "$PITH" verify "$SENTIMENT" --tolerance -1; fails 2 "--tolerance"
    run_split "$PITH" verify "$SENTIMENT" --tolerance nan; fails 2 "--tolerance"
    run_split "$PITH" verify "$SENTIMENT" --against none.json; fails 1 "none.json"
    run_split "$PITH" verify "$SENTIMENT/model.safetensors" --record r; fails 1 "needs a model's directory"
    run_split "$PITH" verify "$SENTIMENT" --record no/such/r; fails 1 "no/such/r"
    run_split "$PITH" verify "$SENTIMENT" --kernels nosuch; [ "$status" = 1 ] && [[ $output == *"FAILED   forward"*"nosuch"*"--no-forward"* ]]
    [ "$(ls)" = "$(printf 'err\nout')" ]
    echo mine >r.json
    run_split "$PITH" verify "$SENTIMENT" --record r.json; fails 1 "r.json: exists; --force replaces it"
    [ "$(cat r.json)" = mine ]
    "$PITH" verify "$SENTIMENT" --record r.json --force >/dev/null
    run_split "$PITH" verify "$SENTIMENT" --against r.json --prompts <(echo hi) --json
    [ "$status" = 0 ] && [[ $(verdicts) == "bit-equal bit-equal bit-equal bit-equal bit-equal bit-equal runs" ]]
    run_split "$PITH" verify "$SENTIMENT" --skip forward --skip files,; fails 2 "--skip"
    run_split "$PITH" verify "$SENTIMENT" -v -t 1 --kernels generic
    [ "$status" = 0 ] && [[ $error == *"kernels generic, 1 thread"*" GB/s), forward in "*"peak memory"* ]]
    run_split "$PITH" verify "$SENTIMENT" --no-forward
    [ "$status" = 0 ] && grep -qE "^skipped +forward +as asked" <<<"$output"
}

@test "a directory that is no model: told, with exit status 1" {
    mkdir m
    run_split "$PITH" verify m
    echo "$output$error"
    [ "$status" = 1 ] && [[ $output == *"FAILED"*"config.json"* ]]
    cp -r "$GOLDEN/models/bert-f32"/* m
    echo '{"model_type": "gpt9"}' >m/config.json
    run_split "$PITH" verify m
    [ "$status" = 1 ] && [[ $output == *gpt9* ]]
}

@test "--json: every key, and what the text says" {
    run_split "$PITH" verify "$REVIEWS_LM" --json
    [ "$status" = 0 ] && [ -z "$error" ]
    py 'r = json.loads(out)
assert list(r) == ["path", "verdict", "problems", "remarks", "checks", "findings", "totals", "forward"], list(r)
assert list(r["checks"]) == ["files", "tensors", "tokenizer", "values", "checksums", "forward"]
for c in r["checks"].values():
    assert set(c) - {"why"} == {"status", "done", "failed", "remarks"} and c["done"] == (c["status"] != "skipped") == ("why" not in c), c
assert r["verdict"] == "ok" and r["problems"] == 0 and r["remarks"] == len(r["findings"])
assert set(r["totals"]) == {"files", "tensors", "bytes", "parameters"}
for p in r["forward"]["prompts"]:
    assert set(p) == {"recording", "number", "prompt", "n_tokens", "verdict", "max_diff", "tolerance", "message"}
    assert p["verdict"] == "runs" and p["recording"] is None and p["max_diff"] is None and p["n_tokens"] > 3'
}

@test "colours and progress on a terminal only" {
    type script >/dev/null || { echo "# skip: no script(1)"; skip "no script(1)"; }
    tty() { TERM=xterm script -qec "$*" /dev/null </dev/null; }
    [[ $(tty "$PITH" verify "$SENTIMENT") == *$'\e[32mok'* ]]
    [[ $(tty NO_COLOR=1 "$PITH" verify "$SENTIMENT") != *$'\e['*m* ]]
    [[ $("$PITH" verify "$SENTIMENT" 2>&1) != *$'\e'* ]]
    yes "A film about people, and what became of them in the end." | head -100000 >p.txt
    interrupted_at '\r[\d,]+ prompts, [\d.,]+ prompts/s, \d+%, [\d:]+ left' "$PITH" verify "$SENTIMENT" --prompts p.txt --record r.json
    [ -z "$(ls | grep r.json)" ]
    head -6000 p.txt >few.txt
    run_split "$PITH" verify "$SENTIMENT" -t 1 --prompts few.txt
    [ "$status" = 0 ] && [ -z "$error" ]
}
