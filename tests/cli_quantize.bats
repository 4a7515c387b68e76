# pith quantize and --dtype: packed directories compute what --dtype computes, to the bit; the target appears when it is
# whole; packed directories that are not what they say are refused.
bats_require_minimum_version 1.5.0
setup() {
    load cli
    load faults
    DEBRIS='.pith-*'
    mkdir -p "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work"
}

hash_of() { "$PITH" logits -q -m "$1" --ids-file "$2" --hash "${@:3}"; }
ids_of() { echo "$GOLDEN/expected/$(basename "$1")/ids.jsonl"; }
sets() { # the exact kernel sets of this machine
    for k in generic avx2 avx512 avx512vnni amx neon neondot neoni8mm; do
        "$PITH" logits -q -m "$GOLDEN/models/distilbert-f32" --ids 1 --hash --kernels $k >/dev/null 2>&1 && echo $k
    done
}
clean() { [ -z "$(find . -name '.pith-*')" ] || { find . -name '.pith-*'; return 1; }; }

# Opens a safetensors file, lets CODE change header h (a dict), data d (a bytearray), and writes it; pad spaces end the header.
edit() { # file code [pad]
    /usr/bin/python3 -c '
import json, struct, sys
b = open(sys.argv[1], "rb").read()
n, = struct.unpack("<Q", b[:8])
h, d, name = json.loads(b[8:8 + n]), bytearray(b[8 + n:]), "model.layers.0.self_attn.q_proj.weight"
def span(x): return h[x]["data_offsets"]
exec(sys.argv[2])
out = json.dumps(h).encode() + b" " * int(sys.argv[3])
open(sys.argv[1], "wb").write(struct.pack("<Q", len(out)) + out + d)' "$1" "$2" "${3:-0}"
}

# broken CODE PATTERN: q8 with its file changed so is refused with that, by what runs it and by verify.
broken() {
    rm -rf bad
    cp -r q8 bad
    edit bad/model.safetensors "$1"
    run_split "$PITH" logits -m bad --ids 1,2 --hash
    fails 1 "$2"
    run ! "$PITH" verify bad
}

# LONG=1: every way for every model; else a few of them, others for the next model.
@test "every golden model: packed it computes what --dtype computes, on every kernel set and with 1 or 2 threads" {
    n=0 turn=0
    every=$([ -n "${LONG:-}" ] && echo 1 || echo 7)
    same() { # type model options: turn by turn
        turn=$((turn + 1))
        [ $((turn % every)) = 0 ] || return 0
        [ "$(hash_of "$2" "$ids" "${@:3}")" = "$want" ] || { echo "$m as $1: other bits of $*"; return 1; }
    }
    read -ra kernels <<<"$(sets | tr '\n' ' ')"
    for m in "$GOLDEN"/models/*; do
        ids=$(ids_of "$m")
        for type in q8 q4 keep; do
            rm -rf packed
            "$PITH" quantize -q "$m" packed --type $type >out
            grep -q ' of weights became .* in packed$' out
            dtype=$([ $type = keep ] && echo auto || echo $type)
            want=$(hash_of "$m" "$ids" --dtype $dtype --kernels generic -t 1)
            for k in "${kernels[@]}"; do
                for t in 1 2; do
                    same $type "$m" --dtype $dtype --kernels "$k" -t $t
                    same $type packed --kernels "$k" -t $t
                done
            done
            [ "$(hash_of packed "$ids")" = "$want" ]
            same $type packed --no-mmap
            [ $type = keep ] || same $type packed --dtype $type
            n=$((n + 1))
        done
    done
    [ $n -gt 60 ] && [ $turn -ge $((5 * n)) ]
    clean
}

@test "one sequence at a time or all in a batch: the same logits" {
    for name in distilbert-f32 bert-bf16-sharded llama-odd gemma2-f32 gpt_oss-f32; do
        m=$GOLDEN/models/$name
        for type in q8 q4; do
            "$PITH" logits -q -m "$m" --dtype $type --ids-file "$(ids_of "$m")" -o all.f32
            : >each.f32
            while read -r ids; do
                "$PITH" logits -q -m "$m" --dtype $type --ids "$(tr -d '[] ' <<<"$ids")" -o one.f32
                cat one.f32 >>each.f32
            done <"$(ids_of "$m")"
            cmp all.f32 each.f32
        done
    done
}

@test "generation from a packed directory is that of --dtype; every number of threads tells the same" {
    need models/stories3M
    m=$SHARED/models/stories3M
    for type in q8 q4; do
        "$PITH" quantize -q "$m" "$type" --type $type >/dev/null
        want=$("$PITH" generate -q -m "$m" --dtype $type -n 40 --temp 0.8 --seed 3 --kernels generic -t 1 "Once upon a time")
        [ -n "$want" ]
        for t in 1 2 3; do [ "$("$PITH" generate -q -m $type -n 40 --temp 0.8 --seed 3 -t $t "Once upon a time")" = "$want" ]; done
        [ "$("$PITH" logits -q -m "$m" --ids 1,2 --hash)" != "$("$PITH" logits -q -m $type --ids 1,2 --hash)" ] # it is another model
    done
}

@test "a packed classifier: the labels of --dtype; parameters are the model's own" {
    tiny m
    printf 'a good film\nan awful plot\n' >t.txt
    for type in q8 q4 keep; do
        "$PITH" quantize -q m p --type $type --force >/dev/null
        dtype=$([ $type = keep ] && echo auto || echo $type)
        [ "$("$PITH" classify -q -m p -f t.txt --json)" = "$("$PITH" classify -q -m m --dtype $dtype -f t.txt --json)" ]
    done
    for m in "$GOLDEN"/models/{distilbert-f32,llama-odd,qwen2-tied-bf16,gemma2-f32}; do
        count=$("$PITH" verify "$m" | sed -n 's/.* \([0-9,]* parameters\)$/\1/p' | head -1)
        [ -n "$count" ]
        for type in q8 keep; do
            "$PITH" quantize -q "$m" p --type $type --force >/dev/null
            "$PITH" verify p >out
            grep -q "^ok  *tensors .* $count\$" out
            "$PITH" logits -v -m p --ids 1,2 --hash 2>&1 | grep -q " $count,"
        done
    done
}

@test "tied heads are packed once, beside the embedding; a copy of the embedding is not taken for a head" {
    m=$GOLDEN/models/qwen2-tied-bf16
    "$PITH" quantize -q "$m" tied >/dev/null
    run "$PITH" inspect tied
    [[ $output == *"lm_head.weight"*U64* ]]
    [[ $output == *"model.embed_tokens.weight"*BF16* ]]
    # An lm_head that the config ties away is not what is computed with, packed or not.
    cp -r "$m" copy
    chmod -R u+w copy
    edit copy/model.safetensors 'a, b = span("model.embed_tokens.weight")
h["lm_head.weight"] = dict(h["model.embed_tokens.weight"], data_offsets=[len(d), len(d) + b - a]); d += bytes(b - a)'
    for type in q8 keep; do
        dtype=$([ $type = keep ] && echo auto || echo $type)
        "$PITH" quantize -q copy p --type $type --force >/dev/null
        [ "$(hash_of p "$(ids_of "$m")")" = "$(hash_of "$m" "$(ids_of "$m")" --dtype $dtype)" ]
    done
    # Nor where only the others are packed: most are F32 here, the embedding and its copy BF16.
    edit copy/model.safetensors '
out, h2 = bytearray(), {}
for k, v in h.items():
    if k == "__metadata__": continue
    a, b = v["data_offsets"]; x = d[a:b]
    if "embed" not in k and "lm_head" not in k:
        x = b"".join(b"\0\0" + bytes(x[i:i + 2]) for i in range(0, len(x), 2)); v = dict(v, dtype="F32")
    h2[k] = dict(v, data_offsets=[len(out), len(out) + len(x)]); out += x
h, d = h2, out'
    "$PITH" quantize -q copy p --type keep --force >/dev/null
    [ "$(hash_of p "$(ids_of "$m")")" = "$(hash_of "$m" "$(ids_of "$m")")" ]
}

@test "what comes along, and the target: refused when it is there, replaced with --force, never half" {
    tiny m
    echo notes >m/README.md
    "$PITH" quantize m p >out 2>err
    [ ! -s err ]
    "$PITH" quantize m p --force -v 2>&1 >out | grep -q '^pith quantize: packed, written and opened in .* s; peak memory .*B$'
    cmp m/tokenizer.json p/tokenizer.json
    cmp m/config.json p/config.json
    cp -r p before
    run_split "$PITH" quantize m p
    fails 1 "p: exists already and is not empty; --force"
    diff -r p before
    "$PITH" quantize -q m p --type q4 --force >out
    ! cmp -s p/model.safetensors before/model.safetensors || false
    [[ $(stat -c %s p/model.safetensors) -lt $(stat -c %s before/model.safetensors) ]]
    mkdir empty
    "$PITH" quantize -q m empty >out
    cmp empty/model.safetensors before/model.safetensors # the same bytes each time
    clean
}

@test "errors: one line, nothing written" {
    tiny m
    run_split "$PITH" quantize m
    fails 2 "two paths are expected"
    run_split "$PITH" quantize m p --type q5
    fails 2 "q5"
    run_split "$PITH" quantize nothing p
    fails 1 "nothing: no such model directory"
    run_split "$PITH" quantize m/model.safetensors p
    fails 1 "m/model.safetensors: "
    run_split "$PITH" quantize m p.safetensors
    fails 1 "p.safetensors: names a file, but a model is a directory"
    run_split "$PITH" quantize m m/p
    [ "$status" = 1 ] || "$PITH" logits -q -m m/p --ids 1 --hash
    rm -rf m/p
    run_split "$PITH" quantize m m
    fails 1 "m: "
    cp -r m odd
    echo '{' >odd/tokenizer.json
    run_split "$PITH" quantize odd p
    fails 1 "p/tokenizer.json"
    cp -r m none
    rm none/model.safetensors
    run_split "$PITH" quantize none p
    fails 1 "none: "
    run_split "$PITH" quantize "$GOLDEN" p
    fails 1 "holds no config.json"
    [ ! -e p ]
    clean
}

@test "a packed directory: not packed again, not converted, not another type; verified and inspected as it is" {
    m=$GOLDEN/models/llama-odd
    "$PITH" quantize -q "$m" q8 >/dev/null
    "$PITH" quantize -q "$m" keep --type keep >/dev/null
    for d in q8 keep; do
        for type in q8 q4 keep; do
            run_split "$PITH" quantize $d p --type $type
            fails 1 "$d: these weights are packed already, as $([ $d = q8 ] && echo q8 || echo f32); quantise the directory they were made from"
        done
        run_split "$PITH" convert $d p
        fails 1 "$d: is packed by \`pith quantize\`"
        run_split "$PITH" convert $d/model.safetensors p.safetensors
        fails 1 "is packed by \`pith quantize\`"
        "$PITH" verify $d >out
        grep -q '^ok  *forward' out
        "$PITH" inspect $d --tree | grep -q q_proj
        "$PITH" inspect $d --stats >/dev/null
    done
    run_split "$PITH" logits -m q8 --dtype q4 --ids 1,2 --hash
    fails 1 "q8: these weights are packed as q8, and do not become q4; open the directory they were made from, or leave out --dtype"
    run_split "$PITH" logits -m keep --dtype q8 --ids 1,2 --hash
    fails 1 "packed as f32, and do not become q8"
    [ "$("$PITH" logits -q -m q8 --dtype q8 --ids 1,2 --hash)" = "$("$PITH" logits -q -m "$m" --dtype q8 --ids 1,2 --hash)" ]
    [ ! -e p ]
    clean
}

@test "weights that cannot be quantised: the tensor, row and column are named" {
    cp -r "$GOLDEN/models/llama-odd" m
    chmod -R u+w m
    for v in nan inf -inf 1e30; do
        cp "$GOLDEN/models/llama-odd/model.safetensors" m/
        edit m/model.safetensors "
a, b = span('model.layers.1.mlp.up_proj.weight'); w = h['model.layers.1.mlp.up_proj.weight']
assert w['dtype'] == 'F32'
i = a + 4 * (7 * w['shape'][1] + 45); d[i:i + 4] = struct.pack('<f', float('$v'))"
        for type in q8 q4; do
            run_split "$PITH" logits -m m --ids 1,2 --hash --dtype $type
            fails 1 "m: model.layers.1.mlp.up_proj.weight: row 7, column 45 is $(sed 's/1e30/1e+30/' <<<$v), which cannot be quantised"
            run_split "$PITH" quantize m p --type $type
            fails 1 "model.layers.1.mlp.up_proj.weight: row 7, column 45 is"
        done
        [ ! -e p ]
    done
    "$PITH" quantize -q m p --type keep >/dev/null # as they are
    clean
}

@test "hostile packed files: another layout, another type, wrong shapes, a packed tensor where rows or a vector are wanted" {
    "$PITH" quantize -q "$GOLDEN/models/llama-odd" q8 >/dev/null
    broken 'h["__metadata__"]["pith.layout"] = "1"' 'packed as "q8" in layout "1", which this version of pith does not know; make it again'
    broken 'h["__metadata__"]["pith.layout"] = "x" * 9999' 'which this version of pith does not know'
    broken 'h["__metadata__"]["pith.weights"] = "q3"' 'packed as "q3"'
    broken 'del h["__metadata__"]["pith.weights"]' 'packed as ""'
    broken 'h["__metadata__"]["pith.weights"] = "q4"' "bad: model.layers.0.self_attn.q_proj.weight: shape \\[2,33,8\\], expected \\[60,60\\]"
    broken 'h["__metadata__"]["pith.weights"] = "bf16"' "bad: model.layers.0.self_attn.q_proj.weight: shape \\[2,33,8\\], expected \\[60,60\\]"
    broken 'del h["__metadata__"]' "q_proj.weight: shape \\[2,33,8\\], expected \\[60,60\\]"
    broken 'h[name]["shape"] = [4, 66, 2]' "q_proj.weight: shape \\[4,66,2\\], expected \\[60,60\\]"
    broken 'h[name]["shape"] = [2, 8, 33]' "q_proj.weight: shape \\[2,8,33\\]"
    broken 'h[name]["dtype"] = "I64"' "q_proj.weight: shape \\[2,33,8\\]"
    broken 'h[name]["dtype"] = "F64"' "q_proj.weight: shape \\[2,33,8\\]"
    # 131 x 60, an embedding in a packed form: rows are read out of it, which panels do not allow.
    broken '
a, b = span("lm_head.weight"); x = d[a:b]; h["model.embed_tokens.weight"] = dict(h["lm_head.weight"], data_offsets=[len(d), len(d) + len(x)])
d += x; old = None
t = {k: v for k, v in h.items() if k != "__metadata__"}; out = bytearray()
for k, v in t.items():
    a, b = v["data_offsets"]; v["data_offsets"] = [len(out), len(out) + b - a]; out += d[a:b]
d = out' "model.embed_tokens.weight: shape \\[5,33,8\\], expected \\[131,60\\]"
    broken '
x = d[slice(*span(name))]; h["model.norm.weight"] = dict(h[name])
t = {k: v for k, v in h.items() if k != "__metadata__"}; out = bytearray()
for k, v in t.items():
    a, b = v["data_offsets"]; v["data_offsets"] = [len(out), len(out) + b - a]; out += d[a:b]
d = out' "model.norm.weight: shape \\[2,33,8\\], expected \\[60\\]"
    rm -rf bad
    cp -r q8 bad
    truncate -s -100 bad/model.safetensors
    run_split "$PITH" logits -m bad --ids 1,2 --hash
    fails 1 "truncated"
}

@test "verify looks into packed matrices" {
    m=$GOLDEN/models/llama-odd
    for type in q8 q4 keep; do "$PITH" quantize -q "$m" $type --type $type >/dev/null; done
    spoil() { # type offset bytes pattern
        rm -rf bad
        cp -r "$1" bad
        edit bad/model.safetensors "a, b = span(name); d[a + $2:a + $2 + $3] = $4"
        run "$PITH" verify bad
        [ "$status" = 1 ]
        [[ $output == *"$5"* ]]
    }
    # 60 x 60: two panels of one block of two groups: Q8 64 + 2 x 1024 bytes, Q4 256 + 2 x 512.
    spoil q8 $((2112 + 62)) 2 'b"\0\x7e"' 'model.layers.0.self_attn.q_proj.weight: 1 of its packed scales are NaN or infinite'
    spoil q8 $((2112 + 64 + 5)) 2 'b"\x80\x80"' '2 of its packed weights are outside -127..127'
    spoil q4 $((1280 + 6)) 2 'b"\0\xfc"' '1 of its packed scales are NaN or infinite'
    # s q + z of the first output's second group: 16 x 15 - 112 is 128, 16 x 15 - 113 is 127; a zero of -128, whatever q is.
    q4='b"\xf0\0"; d[a + 768:a + 1280] = bytes(512); d[a + 768] = 0xf0; d[a + 1280 - 512 + 131] = 0x0f; d[a + 129] ='
    spoil q4 64 2 "$q4 256 - 112" '2 of its packed weights are outside -127..127'
    spoil q4 64 2 "$q4 256 - 128" '32 of its packed weights are outside -127..127'
    edit bad/model.safetensors "a, b = span(name); d[a + 129] = 256 - 113"
    "$PITH" verify bad
    spoil keep 12 4 'b"\0\0\x80\x7f"' '1 of its packed values are NaN or infinite'
    for type in q8 q4 keep; do "$PITH" verify $type; done
}

@test "panels that do not lie on a cache line, or come in shards, compute the same" {
    m=$GOLDEN/models/llama-odd
    for type in q8 keep; do
        rm -rf p
        "$PITH" quantize -q "$m" p --type $type >/dev/null
        want=$(hash_of p "$(ids_of "$m")")
        for pad in 0 1 8 13; do
            rm -rf odd
            cp -r p odd
            edit odd/model.safetensors 'h["__metadata__"].pop("pith.pad", None)' $pad
            [ "$(hash_of odd "$(ids_of "$m")")" = "$want" ]
            [ "$(hash_of odd "$(ids_of "$m")" --no-mmap)" = "$want" ]
        done
        rm -rf odd
        cp -r p odd
        /usr/bin/python3 - odd <<'P'
import json, os, struct, sys
d = sys.argv[1] + "/"
b = open(d + "model.safetensors", "rb").read(); os.remove(d + "model.safetensors")
n, = struct.unpack("<Q", b[:8]); h = json.loads(b[8:8 + n]); meta = h.pop("__metadata__"); where = {}
for i in (0, 1):
    name, part, out = "model-%05d-of-00002.safetensors" % (i + 1), {"__metadata__": meta}, b""
    for j, (k, v) in enumerate(h.items()):
        if j % 2 != i: continue
        x = b[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]
        part[k] = dict(v, data_offsets=[len(out), len(out) + len(x)]); out += x; where[k] = name
    t = json.dumps(part).encode()
    open(d + name, "wb").write(struct.pack("<Q", len(t)) + t + out)
json.dump({"metadata": {}, "weight_map": where}, open(d + "model.safetensors.index.json", "w"))
P
        [ "$(hash_of odd "$(ids_of "$m")")" = "$want" ]
    done
}

@test "what 8 and 4 bits cost in quality stays within bounds (LONG=1: on all texts)" {
    need models/stories3M models/distilbert-imdb-sst2-small data/imdb_test_2000.csv
    cd - >/dev/null
    size=$([ -n "${LONG:-}" ] && echo "--tokens 4000 --rows 2000" || echo "--tokens 200 --rows 100")
    # shellcheck disable=SC2086
    run --separate-stderr /usr/bin/python3 tools/quant_quality.py --pith "$PITH" --shared "$SHARED" $size
    [ "$status" = 0 ]
    py '
rows = [[c.strip() for c in l.split("|")[1:-1]] for l in out.splitlines() if l.startswith("| ")]
kl = {(r[0], r[1]): float(r[4]) for r in rows if r[1] in ("q8", "q4") and len(r) == 7}
equal = {(r[0], r[1]): (float(r[3]), float(r[4][:-1])) for r in rows if r[1] in ("q8", "q4") and len(r) == 6}
assert len(kl) == len(equal) == 4, out
for (name, t), v in kl.items(): assert 0 < v < {"q8": 0.005, "q4": 0.25}[t], (name, t, v)
points, same = (0.3, 99.5) if os.environ.get("LONG") else (1, 99) # one of 100
for k, v in equal.items(): assert abs(v[0]) <= points and v[1] >= same, (k, v)'
}

@test "an interrupt: 130, no target, nothing left behind" {
    /usr/bin/python3 - "$GOLDEN/models/llama-odd" <<'P'
import os, signal, subprocess, sys, time
seen = 0
for delay in [0.002 * i for i in range(12)]:
    p = subprocess.Popen([os.environ["PITH"], "quantize", "-q", sys.argv[1], "p", "--force"], stdout=subprocess.DEVNULL,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    time.sleep(delay)
    p.send_signal(signal.SIGINT)
    rc = p.wait(60)
    assert rc in (0, 130, -signal.SIGINT), rc # -SIGINT: before the program had a handler
    left = [x for x in os.listdir() if x.startswith(".pith")]
    assert not left, (rc, left)
    seen += rc == 130
    assert os.path.isdir("p") or rc != 0
print("# interrupted %d times of 12" % seen)
P
}

@test "each call that fails: absent, as it was, or whole; one line; nothing left behind" {
    [[ $PITH != *tsan/pith ]] || skip "clang's OpenMP writes a file of its own, and ends the program where it cannot"
    faults_need
    mkdir d
    cp -r "$GOLDEN/models/llama-odd" src
    "$PITH" quantize -q src new >/dev/null
    "$PITH" quantize -q src old --type q4 >/dev/null
    one() { "$PITH" quantize -q src d/t --force; }
    faults_sweep 28 d/t "" new one # ENOSPC
    [ "$mattered" -ge 15 ]
    faults_sweep 5+ d/t old new one # EIO
    [ "$mattered" -ge 15 ]
}
