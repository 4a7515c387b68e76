// gguf: a LLaMA directory (safetensors) as one GGUF file that llama.cpp opens, every matrix of one type.
// usage: node gguf.mjs DIR FILE.gguf BF16|F16|Q8_0|Q4_0|Q4_1
// After the GGUF specification (version 3). llama.cpp rotates neighbouring elements where the checkpoint rotates halves,
// so the rows of q and k change places. No vocabulary: only token ids go in and out.
import fs from 'node:fs';
import path from 'node:path';
import { Weights, halfOfBf16, toHalf } from './weights.mjs';

const BLOCK = 32;

// Each packs one row of n floats into out at byte `at`; returns where it ended.
function q8_0(x, n, out, at) {
    for (let b = 0; b < n; b += BLOCK) {
        let most = 0;
        for (let i = b; i < b + BLOCK; i++) most = Math.max(most, Math.abs(x[i]));
        const d = Math.fround(most / 127), inverse = d ? 1 / d : 0;
        at = out.writeUInt16LE(toHalf(d), at);
        for (let i = b; i < b + BLOCK; i++, at++) {
            const v = x[i] * inverse;
            out[at] = Math.trunc(v + (v < 0 ? -0.5 : 0.5)) & 255;
        }
    }
    return at;
}

function nibbles(x, b, out, at, inverse, add) {
    for (let i = b; i < b + BLOCK / 2; i++, at++) {
        const low = Math.min(15, Math.trunc(x[i] * inverse + add));
        const high = Math.min(15, Math.trunc(x[i + BLOCK / 2] * inverse + add));
        out[at] = low | (high << 4);
    }
    return at;
}

function q4_0(x, n, out, at) {
    for (let b = 0; b < n; b += BLOCK) {
        let far = 0;
        for (let i = b; i < b + BLOCK; i++) if (Math.abs(x[i]) > Math.abs(far)) far = x[i];
        const d = far / -8;
        at = out.writeUInt16LE(toHalf(d), at);
        at = nibbles(x, b, out, at, d ? 1 / d : 0, 8.5);
    }
    return at;
}

function q4_1(x, n, out, at) {
    for (let b = 0; b < n; b += BLOCK) {
        let low = x[b], high = x[b];
        for (let i = b + 1; i < b + BLOCK; i++) {
            if (x[i] < low) low = x[i];
            if (x[i] > high) high = x[i];
        }
        const d = (high - low) / 15, inverse = d ? 1 / d : 0;
        at = out.writeUInt16LE(toHalf(d), at);
        at = out.writeUInt16LE(toHalf(low), at);
        at = nibbles(x, b, out, at, inverse, 0.5 - low * inverse);
    }
    return at;
}

// type: its number in GGUF; file: general.file_type; bytes of 32 weights
const types = {
    F32: { type: 0, bytes: 128 },
    F16: { type: 1, file: 1, bytes: 64 },
    BF16: { type: 30, file: 32, bytes: 64 },
    Q8_0: { type: 8, file: 7, bytes: 34, pack: q8_0 },
    Q4_0: { type: 2, file: 2, bytes: 18, pack: q4_0 },
    Q4_1: { type: 3, file: 3, bytes: 20, pack: q4_1 },
};

function text(s) {
    const b = Buffer.from(s), n = Buffer.alloc(8);
    n.writeBigUInt64LE(BigInt(b.length));
    return Buffer.concat([n, b]);
}
function u32(v) { const b = Buffer.alloc(4); b.writeUInt32LE(v); return b; }
function u64(v) { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(v)); return b; }
function real(v) { const b = Buffer.alloc(4); b.writeFloatLE(v); return b; }
const pair = { u32: (k, v) => Buffer.concat([text(k), u32(4), u32(v)]), real: (k, v) => Buffer.concat([text(k), u32(6), real(v)]),
    text: (k, v) => Buffer.concat([text(k), u32(8), text(v)]) };

function metadata(c, type) {
    const heads = c.num_attention_heads, dim = c.head_dim ?? c.hidden_size / heads;
    return [
        pair.text('general.architecture', 'llama'),
        pair.u32('general.file_type', types[type].file),
        pair.u32('llama.context_length', c.max_position_embeddings),
        pair.u32('llama.embedding_length', c.hidden_size),
        pair.u32('llama.block_count', c.num_hidden_layers),
        pair.u32('llama.feed_forward_length', c.intermediate_size),
        pair.u32('llama.attention.head_count', heads),
        pair.u32('llama.attention.head_count_kv', c.num_key_value_heads ?? heads),
        pair.u32('llama.attention.key_length', dim),
        pair.u32('llama.attention.value_length', dim),
        pair.u32('llama.rope.dimension_count', dim),
        pair.real('llama.rope.freq_base', c.rope_theta ?? 10000),
        pair.real('llama.attention.layer_norm_rms_epsilon', c.rms_norm_eps),
        pair.u32('llama.vocab_size', c.vocab_size),
        pair.text('tokenizer.ggml.model', 'no_vocab'),
    ];
}

// What GGUF divides each frequency by, where config.json asks for Llama 3's scaling.
function ropeFactors(c) {
    const s = c.rope_scaling;
    if (!s) return null;
    if ((s.rope_type ?? s.type) !== 'llama3') throw new Error(`rope_scaling ${s.rope_type ?? s.type} is not converted`);
    const dim = c.head_dim ?? c.hidden_size / c.num_attention_heads, whole = s.original_max_position_embeddings;
    return Float32Array.from({ length: dim / 2 }, (_, i) => {
        const turns = whole / (2 * Math.PI * c.rope_theta ** (2 * i / dim));
        if (turns > s.high_freq_factor) return 1;
        if (turns < s.low_freq_factor) return s.factor;
        const mix = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
        return 1 / ((1 - mix) / s.factor + mix);
    });
}

// {to, from | values, heads} of every tensor, as they stand in the file.
function plan(c, w) {
    const list = [{ to: 'token_embd.weight', from: 'model.embed_tokens.weight' }], factors = ropeFactors(c);
    const heads = c.num_attention_heads;
    for (let i = 0; i < c.num_hidden_layers; i++) {
        const from = `model.layers.${i}.`, to = `blk.${i}.`;
        list.push({ to: to + 'attn_norm.weight', from: from + 'input_layernorm.weight' },
            { to: to + 'attn_q.weight', from: from + 'self_attn.q_proj.weight', heads },
            { to: to + 'attn_k.weight', from: from + 'self_attn.k_proj.weight', heads: c.num_key_value_heads ?? heads },
            { to: to + 'attn_v.weight', from: from + 'self_attn.v_proj.weight' },
            { to: to + 'attn_output.weight', from: from + 'self_attn.o_proj.weight' },
            { to: to + 'ffn_norm.weight', from: from + 'post_attention_layernorm.weight' },
            { to: to + 'ffn_gate.weight', from: from + 'mlp.gate_proj.weight' },
            { to: to + 'ffn_up.weight', from: from + 'mlp.up_proj.weight' },
            { to: to + 'ffn_down.weight', from: from + 'mlp.down_proj.weight' });
    }
    list.push({ to: 'output_norm.weight', from: 'model.norm.weight' });
    if (w.has('lm_head.weight') && !c.tie_word_embeddings) list.push({ to: 'output.weight', from: 'lm_head.weight' });
    if (factors) list.push({ to: 'rope_freqs.weight', values: factors });
    return list;
}

const round = (n) => Math.ceil(n / 32) * 32;

// Row r of the file is row order(r) of the checkpoint.
function order(t, rows) {
    if (!t.heads) return (r) => r;
    const dim = rows / t.heads;
    return (r) => Math.floor(r / dim) * dim + (r % dim >> 1) + (r % 2 ? dim / 2 : 0);
}

function packRows(w, t, type, rows, width, put) {
    const step = Math.max(1, Math.min(rows, Math.floor((1 << 23) / width))), row = order(t, rows), of = types[type];
    const whole = t.heads ? rows : step; // rows that change places are read together
    for (let first = 0; first < rows; first += whole) {
        const n = Math.min(whole, rows - first), plain = type === 'BF16' || type === 'F16';
        const source = plain && w.dtype(t.from) === 'BF16' ? w.raw(t.from, first * width, n * width) : w.f32(t.from, first * width, n * width);
        const out = Buffer.alloc(n * width / BLOCK * of.bytes), halves = plain ? new Uint16Array(out.buffer, out.byteOffset, n * width) : null;
        const table = type === 'F16' ? halfOfBf16() : null;
        for (let r = 0, at = 0; r < n; r++) {
            const from = (t.heads ? row(r) : r) * width, x = source.subarray(from, from + width);
            if (!plain) at = of.pack(x, width, out, at);
            else if (source instanceof Float32Array) for (let i = 0; i < width; i++) halves[r * width + i] = half(type, x[i]);
            else if (table) for (let i = 0; i < width; i++) halves[r * width + i] = table[x[i]];
            else halves.set(x, r * width);
        }
        put(out);
    }
}

const one = new Float32Array(1), pattern = new Uint32Array(one.buffer);
function half(type, x) {
    if (type === 'F16') return toHalf(x);
    one[0] = x;
    return (pattern[0] + 0x7fff + ((pattern[0] >>> 16) & 1)) >>> 16;
}

// Bytes that one new token reads: every matrix but the embedding's, unless it is the head as well.
export function bytesPerToken(dir, bits) {
    const c = JSON.parse(fs.readFileSync(path.join(dir, 'config.json'))), w = new Weights(dir);
    const head = w.has('lm_head.weight') && !c.tie_word_embeddings;
    let n = 0;
    for (const [name, t] of w.tensors)
        if (t.shape.length === 2 && (!name.includes('embed') || !head)) n += t.shape[0] * t.shape[1];
    return n * bits / 8;
}

export function writeGguf(dir, file, type) {
    const c = JSON.parse(fs.readFileSync(path.join(dir, 'config.json'))), w = new Weights(dir);
    if (c.model_type !== 'llama') throw new Error(`${dir}: model_type ${c.model_type} is not converted, only llama`);
    const list = plan(c, w), infos = [];
    let offset = 0;
    for (const t of list) {
        t.shape = t.values ? [t.values.length] : w.shape(t.from);
        t.type = t.shape.length === 2 ? type : 'F32';
        const n = t.shape.reduce((a, b) => a * b, 1), width = t.shape[t.shape.length - 1];
        if (t.shape.length === 2 && width % BLOCK) throw new Error(`${t.from}: rows of ${width}, not a multiple of ${BLOCK}`);
        t.bytes = t.type === 'F32' ? n * 4 : n / BLOCK * types[t.type].bytes;
        infos.push(text(t.to), u32(t.shape.length), ...[...t.shape].reverse().map(u64), u32(types[t.type].type), u64(offset));
        offset += round(t.bytes);
    }
    const pairs = metadata(c, type), out = fs.openSync(file + '.part', 'w');
    let at = 0;
    const put = (b) => { for (let n = 0; n < b.length;) n += fs.writeSync(out, b, n, b.length - n); at += b.length; };
    const align = () => put(Buffer.alloc(round(at) - at));
    put(Buffer.concat([Buffer.from('GGUF'), u32(3), u64(list.length), u64(pairs.length), ...pairs, ...infos]));
    align();
    for (const t of list) {
        if (t.type === 'F32') put(Buffer.from((t.values ?? w.f32(t.from)).buffer));
        else packRows(w, t, t.type, t.shape[0], t.shape[1], put);
        align();
    }
    fs.closeSync(out);
    fs.renameSync(file + '.part', file);
}

if (process.argv[1] && path.basename(process.argv[1]) === 'gguf.mjs') {
    const [, , dir, file, type] = process.argv;
    if (!types[type]?.file) {
        console.error('usage: node gguf.mjs DIR FILE.gguf BF16|F16|Q8_0|Q4_0|Q4_1');
        process.exit(2);
    }
    writeGguf(dir, file, type);
}
