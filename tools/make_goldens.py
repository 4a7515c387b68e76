#!/usr/bin/python3
"""Goldens of our own: tiny random decoders and what they compute, in float64 with NumPy alone.

  tools/make_goldens.py OUT           writes OUT/models/<name> and OUT/expected/<name> (tests/golden holds them)
  tools/make_goldens.py --wide PITH   makes a random LLaMA of 16 layers x 2048, runs it here and through PITH, compares

The layout is that of tests/golden/README.md. The formulas are those of transformers 4.57; nothing here is shared with
the C code. The same seeds give the same files."""
import json, math, os, shutil, struct, subprocess, sys, tempfile, time
os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")  # a virtual machine's CPU is sometimes taken for a Prescott
import numpy as np


# ---- safetensors ----

def bf16(x):
    """float32 -> the 16 upper bits, rounded to nearest even."""
    u = np.ascontiguousarray(x, "<f4").view("<u4")
    return ((u + 0x7FFF + (u >> 16 & 1)) >> 16).astype("<u2")


def from_bf16(u):
    return (u.astype("<u4") << 16).view("<f4")


def save(path, tensors):
    """tensors: name -> float32 array, or uint16 array holding BF16."""
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "BF16" if t.dtype == np.uint16 else "F32", "shape": list(t.shape),
                        "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(np.ascontiguousarray(t).tobytes())


# ---- the models ----

def shapes(c):
    """name -> shape, of everything but layers; and of one layer."""
    h, f, d = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    q, kv = c["num_attention_heads"] * d, c["num_key_value_heads"] * d
    ends = {"model.embed_tokens.weight": (c["vocab_size"], h), "model.norm.weight": (h,)}
    if "ForSequenceClassification" in c["architectures"][0]:
        ends["score.weight"] = (len(c["id2label"]), h)
    elif not c["tie_word_embeddings"]:
        ends["lm_head.weight"] = (c["vocab_size"], h)
    layer = {"self_attn.q_proj.weight": (q, h), "self_attn.k_proj.weight": (kv, h), "self_attn.v_proj.weight": (kv, h),
             "self_attn.o_proj.weight": (h, q), "mlp.gate_proj.weight": (f, h), "mlp.up_proj.weight": (f, h),
             "mlp.down_proj.weight": (h, f), "input_layernorm.weight": (h,), "post_attention_layernorm.weight": (h,)}
    if c["model_type"] == "gemma2":
        layer["pre_feedforward_layernorm.weight"] = layer["post_feedforward_layernorm.weight"] = (h,)
    return ends, layer


def draw(rng, name, shape, c, head_sd=1.0):
    """Matrices keep the size of what passes through them; a head gives logits of sd head_sd."""
    if len(shape) == 1:
        return (rng.standard_normal(shape) * 0.1 + (0 if c["model_type"] == "gemma2" else 1)).astype("<f4")
    if name == "model.embed_tokens.weight":
        return rng.standard_normal(shape).astype("<f4") * np.float32(0.5)
    sd = (head_sd if name in ("lm_head.weight", "score.weight") else 1) / math.sqrt(shape[1])
    return rng.standard_normal(shape, "<f4") * np.float32(sd)


def frequencies(c, length):
    d, theta = c["head_dim"], c["rope_theta"]
    r = c.get("rope_scaling") or {"rope_type": "default"}
    positions = c["max_position_embeddings"]
    if r["rope_type"] == "dynamic" and length > positions:
        theta *= (r["factor"] * length / positions - (r["factor"] - 1)) ** (d / (d - 2))
    f = theta ** -(np.arange(0, d, 2) / d)
    return f / r["factor"] if r["rope_type"] == "linear" else f


def norm(x, w, c):
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + c["rms_norm_eps"])
    return y * (1 + w if c["model_type"] == "gemma2" else w)


def act(x, c):
    if c["model_type"] == "gemma2":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / (1 + np.exp(-x))


def attention(h, w, c, i):
    n, d = len(h), c["head_dim"]
    heads = lambda name, k: (h @ w[name].T).reshape(n, k, d).transpose(1, 0, 2)
    q = heads("self_attn.q_proj.weight", c["num_attention_heads"])
    k = heads("self_attn.k_proj.weight", c["num_key_value_heads"])
    v = heads("self_attn.v_proj.weight", c["num_key_value_heads"])
    angle = np.arange(n)[:, None] * frequencies(c, n)[None]
    cos, sin = np.cos(angle), np.sin(angle)

    def rope(x):
        a, b = x[..., :d // 2], x[..., d // 2:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    group = c["num_attention_heads"] // c["num_key_value_heads"]
    q, k, v = rope(q), rope(k).repeat(group, 0), v.repeat(group, 0)
    s = q @ k.transpose(0, 2, 1) / math.sqrt(c.get("query_pre_attn_scalar", d))
    if c.get("attn_logit_softcapping"):
        s = np.tanh(s / c["attn_logit_softcapping"]) * c["attn_logit_softcapping"]
    back = np.arange(n)[:, None] - np.arange(n)[None]
    window = c["sliding_window"] if c["model_type"] == "gemma2" and i % 2 == 0 else n
    s = np.where((back < 0) | (back >= window), -np.inf, s)
    p = np.exp(s - s.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return (p @ v).transpose(1, 0, 2).reshape(n, -1) @ w["self_attn.o_proj.weight"].T


def layer(x, w, c, i):
    gemma = c["model_type"] == "gemma2"
    mlp = lambda h: (act(h @ w["mlp.gate_proj.weight"].T, c) * (h @ w["mlp.up_proj.weight"].T)) @ w["mlp.down_proj.weight"].T
    a = attention(norm(x, w["input_layernorm.weight"], c), w, c, i)
    x = x + (norm(a, w["post_attention_layernorm.weight"], c) if gemma else a)
    f = mlp(norm(x, w["pre_feedforward_layernorm.weight" if gemma else "post_attention_layernorm.weight"], c))
    return x + (norm(f, w["post_feedforward_layernorm.weight"], c) if gemma else f)


def embed(ids, ends, c):
    x = ends["model.embed_tokens.weight"][ids]
    return x * math.sqrt(c["hidden_size"]) if c["model_type"] == "gemma2" else x


def finish(x, ends, c):
    """hidden states and logits: of every position, or of the last token's class."""
    x = norm(x, ends["model.norm.weight"], c)
    if "score.weight" in ends:
        return x, x[-1] @ ends["score.weight"].T
    logits = x @ ends.get("lm_head.weight", ends["model.embed_tokens.weight"]).T
    cap = c.get("final_logit_softcapping")
    return x, np.tanh(logits / cap) * cap if cap else logits


# ---- tiny ones ----

TINY = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 56, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "max_position_embeddings": 64, "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
        "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32", "model_type": "llama",
        "architectures": ["LlamaForCausalLM"]}
LABELS = {"id2label": {"0": "bad", "1": "good", "2": "odd"}, "label2id": {"bad": 0, "good": 1, "odd": 2}}
MODELS = {
    # within max_position_embeddings, at it, and past it
    "llama-dynamic": ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, (1, 7, 33, 63, 64, 65, 100, 150)),
    "llama-linear": ({"rope_scaling": {"type": "linear", "factor": 4.0}, "tie_word_embeddings": True}, (1, 2, 7, 33, 64)),
    "llama-classify": ({"architectures": ["LlamaForSequenceClassification"], **LABELS}, (1, 2, 7, 33, 64)),
    "gemma2-classify": ({"architectures": ["Gemma2ForSequenceClassification"], "model_type": "gemma2", "sliding_window": 6,
                         "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 12, "tie_word_embeddings": True,
                         "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, **LABELS}, (1, 2, 7, 33, 64)),
}


def make_tiny(out):
    for seed, (name, (changes, lengths)) in enumerate(MODELS.items()):
        c = {**TINY, **changes}
        rng = np.random.default_rng(100 + seed)
        ends, one = shapes(c)
        tensors = {k: draw(rng, k, s, c, 3.0) for k, s in ends.items()}
        for i in range(c["num_hidden_layers"]):
            tensors.update({f"model.layers.{i}.{k}": draw(rng, k, s, c) for k, s in one.items()})
        model, expected = os.path.join(out, "models", name), os.path.join(out, "expected", name)
        for d in (model, expected):
            shutil.rmtree(d, ignore_errors=True)
            os.makedirs(d)
        with open(os.path.join(model, "config.json"), "w") as f:
            f.write(json.dumps(c, indent=1) + "\n")
        save(os.path.join(model, "model.safetensors"), tensors)
        if "rope_type" not in (c.get("rope_scaling") or {"rope_type": ""}):
            c["rope_scaling"] = {**c["rope_scaling"], "rope_type": c["rope_scaling"]["type"]}
        w = {k: t.astype("<f8") for k, t in tensors.items()}
        with open(os.path.join(expected, "ids.jsonl"), "w") as lines:
            for q, n in enumerate(lengths):
                ids = [int(v) for v in rng.integers(3, c["vocab_size"], n)]
                x = embed(ids, w, c)
                for i in range(c["num_hidden_layers"]):
                    x = layer(x, {k: w[f"model.layers.{i}.{k}"] for k in one}, c, i)
                hidden, logits = finish(x, w, c)
                lines.write(json.dumps(ids) + "\n")
                hidden.astype("<f4").tofile(os.path.join(expected, f"np.{q}.hidden.f32"))
                logits.astype("<f4").tofile(os.path.join(expected, f"np.{q}.logits.f32"))
                with open(os.path.join(expected, f"np.{q}.json"), "w") as f:
                    f.write(json.dumps({"logits_shape": list(logits.shape), "hidden_shape": list(hidden.shape)}) + "\n")
        print(f"{name}: {len(lengths)} sequences")


# ---- the wide one ----

WIDE = {**TINY, "vocab_size": 1024, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 16,
        "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 128, "torch_dtype": "bfloat16",
        "max_position_embeddings": 2048, "rope_theta": 500000.0}
WIDE_TOKENS, WIDE_SD = 64, 6.0


def make_wide(pith):
    """Layers are drawn, run in float64 and written one by one, one shard each. Weights are BF16, and so exact here."""
    c, rng, start = WIDE, np.random.default_rng(7), time.time()
    ends, one = shapes(c)
    with tempfile.TemporaryDirectory(prefix="pith-wide-") as d:
        with open(os.path.join(d, "config.json"), "w") as f:
            f.write(json.dumps(c))
        packed = {k: bf16(draw(rng, k, s, c, WIDE_SD)) for k, s in ends.items()}
        w = {k: from_bf16(t).astype("<f8") for k, t in packed.items()}
        ids = [int(v) for v in rng.integers(3, c["vocab_size"], WIDE_TOKENS)]
        files, n = {}, c["num_hidden_layers"] + 1
        shard = lambda i: f"model-{i + 1:05}-of-{n:05}.safetensors"
        save(os.path.join(d, shard(0)), packed)
        files.update({k: shard(0) for k in packed})
        x = embed(ids, w, c)
        for i in range(c["num_hidden_layers"]):
            packed = {k: bf16(draw(rng, k, s, c)) for k, s in one.items()}
            x = layer(x, {k: from_bf16(t).astype("<f8") for k, t in packed.items()}, c, i)
            packed = {f"model.layers.{i}.{k}": t for k, t in packed.items()}
            save(os.path.join(d, shard(i + 1)), packed)
            files.update({k: shard(i + 1) for k in packed})
        with open(os.path.join(d, "model.safetensors.index.json"), "w") as f:
            f.write(json.dumps({"metadata": {}, "weight_map": files}))
        want = finish(x, w, c)[1]
        print(f"reference: {time.time() - start:.0f} s, logits {want.shape}, sd {want.std():.2f}")
        out = os.path.join(d, "logits.f32")
        start = time.time()
        subprocess.run([pith, "logits", "-m", d, "--ids", ",".join(map(str, ids)), "--output", out], check=True)
        got = np.fromfile(out, "<f4").reshape(want.shape)
    worst, allowed = float(np.abs(got - want).max()), 1e-4 * max(1.0, want.std() / WIDE_SD)
    print(f"pith: {time.time() - start:.0f} s, largest difference {worst:.2e}, allowed {allowed:.2e}")
    return 0 if worst <= allowed else 1


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--wide":
        sys.exit(make_wide(sys.argv[2]))
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    make_tiny(sys.argv[1])
