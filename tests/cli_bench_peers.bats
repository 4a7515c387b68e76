# tools/bench_peers: the converters against independent readers, and, where the peers are installed, all of it once.

bats_require_minimum_version 1.5.0
load cli.bash

setup_file() {
    export PEERS=${PITH_PEERS:-$PWD/build/peers}
}

node_or_skip() {
    command -v node >/dev/null || { echo "# skip: no node"; skip "no node"; }
}

@test "bench --write puts a shape's model into a new directory, and never over another" {
    d=$BATS_TEST_TMPDIR/d
    run -0 --separate-stderr "$PITH" bench --shape smollm2-135m --write "$d"
    [ -z "$output$stderr" ]
    run -0 "$PITH" inspect "$d" --json
    py 'assert "576" in out and "BF16" in out'
    run -1 --separate-stderr "$PITH" bench --shape smollm2-135m --write "$d"
    [[ $stderr == *"$d: cannot be made (File exists)"* ]]
    run -2 --separate-stderr "$PITH" bench --write "$d-2"
    [ ! -e "$d-2" ]
}

@test "GGUF: every type holds the bundled model's weights, read by another reader" {
    node_or_skip
    /usr/bin/python3 -c 'import numpy' 2>/dev/null || { echo "# skip: no numpy"; skip "no numpy"; }
    model=models/bundled/reviews
    for type in BF16 F16 Q8_0 Q4_0 Q4_1; do
        node tools/peers/gguf.mjs $model "$BATS_TEST_TMPDIR/$type.gguf" $type
    done
    run -0 /usr/bin/python3 - $model "$BATS_TEST_TMPDIR" <<'P'
import json, struct, sys, numpy as np
model, place = sys.argv[1:]
b = open(model + '/model.safetensors', 'rb').read()
n = struct.unpack_from('<Q', b)[0]
head = json.loads(b[8:8 + n])
config = json.load(open(model + '/config.json'))

def wanted(name, heads=0):
    t = head[name]
    assert t['dtype'] == 'BF16'
    x = np.frombuffer(b, '<u2', int(np.prod(t['shape'])), 8 + n + t['data_offsets'][0]).astype(np.uint32) << 16
    x = x.view(np.float32).reshape(t['shape'])
    if heads:  # the two halves of each head take turns
        x = x.reshape(heads, 2, -1, x.shape[1]).swapaxes(1, 2).reshape(x.shape)
    return x

def half(x): return x.copy().view('<f2').astype(np.float32)

def unpack(kind, raw, count):
    if kind == 0: return np.frombuffer(raw, '<f4', count), 0
    if kind == 1: return np.frombuffer(raw, '<f2', count).astype(np.float32), 2e-3
    if kind == 30: return (np.frombuffer(raw, '<u2', count).astype(np.uint32) << 16).view(np.float32), 0
    blocks = np.frombuffer(raw, np.uint8, count // 32 * {8: 34, 2: 18, 3: 20}[kind]).reshape(count // 32, -1)
    d = half(blocks[:, :2])
    if kind == 8: return (blocks[:, 2:].copy().view(np.int8) * d).ravel(), np.repeat(d, 32)
    q = blocks[:, 2 if kind == 2 else 4:]
    q = np.concatenate([q & 15, q >> 4], 1).astype(np.float32)
    x = (q - 8) * d if kind == 2 else q * d + half(blocks[:, 2:4])
    return x.ravel(), np.repeat(np.abs(d), 32)

def read(path):
    g = open(path, 'rb').read()
    assert g[:4] == b'GGUF'
    at = 4
    def take(f):
        nonlocal at
        v = struct.unpack_from('<' + f, g, at)[0]
        at += struct.calcsize(f)
        return v
    def text():
        nonlocal at
        k = take('Q')
        at += k
        return g[at - k:at].decode()
    assert take('I') == 3
    tensors, pairs = take('Q'), take('Q')
    meta = {}
    for _ in range(pairs):
        k, kind = text(), take('I')
        meta[k] = {4: lambda: take('I'), 6: lambda: take('f'), 8: text}[kind]()
    infos = [(text(), [take('Q') for _ in range(take('I'))][::-1], take('I'), take('Q')) for _ in range(tensors)]
    at = (at + 31) // 32 * 32
    return meta, {name: (shape, kind, g[at + offset:]) for name, shape, kind, offset in infos}

def names(i):
    p = 'model.layers.%d.' % i
    q = {'attn_norm': 'input_layernorm', 'attn_v': 'self_attn.v_proj', 'attn_output': 'self_attn.o_proj', 'ffn_norm': 'post_attention_layernorm',
         'ffn_gate': 'mlp.gate_proj', 'ffn_up': 'mlp.up_proj', 'ffn_down': 'mlp.down_proj'}
    return {'blk.%d.%s.weight' % (i, k): (p + v + '.weight', 0) for k, v in q.items()} | {
        'blk.%d.attn_q.weight' % i: (p + 'self_attn.q_proj.weight', config['num_attention_heads']),
        'blk.%d.attn_k.weight' % i: (p + 'self_attn.k_proj.weight', config['num_key_value_heads'])}

every = {'token_embd.weight': ('model.embed_tokens.weight', 0), 'output_norm.weight': ('model.norm.weight', 0)}
for i in range(config['num_hidden_layers']): every |= names(i)
for kind, number in {'BF16': 30, 'F16': 1, 'Q8_0': 8, 'Q4_0': 2, 'Q4_1': 3}.items():
    meta, tensors = read('%s/%s.gguf' % (place, kind))
    assert meta['llama.embedding_length'] == config['hidden_size'] and meta['llama.rope.freq_base'] == config['rope_theta'], meta
    assert tensors.keys() == every.keys(), (set(tensors) ^ set(every))
    for name, (source, heads) in every.items():
        shape, found, raw = tensors[name]
        x = wanted(source, heads)
        assert list(x.shape) == shape and found == (number if x.ndim == 2 else 0), (kind, name, shape, found)
        y, step = unpack(found, raw, x.size)
        x = x.ravel()
        # half a step, and what half precision takes from the scale; 15 levels over 16 values lose a whole one at an end
        room = {0: 0, 30: 0, 1: 1e-3 * np.abs(x) + 1e-7, 8: 0.57, 2: 1.01, 3: 0.52}[found]
        if found in (2, 3, 8): room = room * step + 2e-3 * np.abs(x) + 1e-7
        assert (np.abs(x - y) <= room).all(), (kind, name, np.abs(x - y).max())
P
    [ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "a model that cannot be converted is refused in one line" {
    node_or_skip
    run -1 --separate-stderr node tools/peers/gguf.mjs models/bundled/sentiment "$BATS_TEST_TMPDIR/x.gguf" Q8_0
    [[ $stderr == *"model_type distilbert is not converted, only llama"* ]]
    run -1 --separate-stderr node tools/peers/onnx.mjs models/bundled/reviews "$BATS_TEST_TMPDIR/x.onnx" fp32
    [[ $stderr == *"model_type llama is not converted, only distilbert"* ]]
    run -2 node tools/peers/gguf.mjs models/bundled/reviews "$BATS_TEST_TMPDIR/x.gguf" Q3
    [ -z "$(ls "$BATS_TEST_TMPDIR"/*.gguf "$BATS_TEST_TMPDIR"/*.onnx 2>/dev/null)" ]
}

@test "bench_peers --smoke: ONNX Runtime and llama.cpp compute what pith computes, and every table is there" {
    node_or_skip
    [ -e "$PEERS/node_modules/onnxruntime-node" ] && [ -e "$PEERS/node_modules/@node-llama-cpp/linux-x64" ] ||
        { echo "# skip: no peers installed (tools/bench_peers --prepare)"; skip "no peers installed (tools/bench_peers --prepare)"; }
    run -0 --separate-stderr env PITH_PEERS="$PEERS" PITH="$PITH" BUILD="${BUILD:-build}" tools/bench_peers --smoke --jsonl "$BATS_TEST_TMPDIR/figures"
    for title in 'limits, measured' 'compute the same' 'sequences a second' 'prefill' 'decode' 'first word' 'Peak resident'; do
        [[ $output == *"$title"* ]] || { echo "no '$title'"; false; }
    done
    [[ $output != *NaN* && $output != *undefined* ]]
    output=$(cat "$BATS_TEST_TMPDIR/figures")
    py '
of = lambda s: [r for r in rows if r["section"] == s]
assert len(of("check")) == 13 and all(r["ok"] for r in of("check")), of("check")
assert {(s["engine"].split(" ")[0]) for r in of("encoder") for s in r["sides"]} == {"pith", "ONNX"}
assert {(s["engine"].split(" ")[0]) for r in of("decode") + of("prefill") for s in r["sides"]} == {"pith", "llama.cpp"}
assert all(s["median"] > 0 and s["least"] <= s["median"] <= s["most"] for r in of("encoder") + of("decode") + of("prefill") + of("start") for s in r["sides"])'
}
