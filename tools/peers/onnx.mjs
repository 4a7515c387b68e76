// onnx: a DistilBERT classifier (safetensors) as an ONNX file, in the four forms that users of ONNX Runtime have.
// usage: node onnx.mjs DIR FILE.onnx fp32|fp32-fused|int8|int8-fused
// fp32: the operators that PyTorch's exporter writes. fused: ONNX Runtime's own (Attention, SkipLayerNormalization,
// BiasGelu), as its transformers optimizer makes them. int8: what its dynamic quantiser makes of either: weights of 8 bits
// with a scale for each output, activations quantised when they are known. The protobuf is written by hand.
import fs from 'node:fs';
import path from 'node:path';
import { Weights } from './weights.mjs';

// ---- protobuf: a message is a list of buffers; its length is known without joining them ----

function varint(v) {
    const out = [];
    for (let n = BigInt.asUintN(64, BigInt(v)); ; n >>= 7n) {
        out.push(Number(n & 127n) | (n > 127n ? 128 : 0));
        if (n <= 127n) return Buffer.from(out);
    }
}
const length = (m) => m.reduce((n, b) => n + b.length, 0);
const number = (field, v) => [varint(field << 3), varint(v)];
const message = (field, m) => [varint((field << 3) | 2), varint(length(m)), ...m];
const text = (field, s) => message(field, [Buffer.from(s)]);
function real(field, v) {
    const b = Buffer.alloc(4);
    b.writeFloatLE(v);
    return [varint((field << 3) | 5), b];
}

// ---- ONNX: field numbers are those of onnx.proto3 ----

const FLOAT = 1, INT8 = 3, INT32 = 6, INT64 = 7, OURS = 'com.microsoft';

function attribute(name, v) {
    if (Array.isArray(v)) return [...text(1, name), ...v.flatMap((x) => number(8, x)), ...number(20, 7)];
    if (Number.isInteger(v)) return [...text(1, name), ...number(3, v), ...number(20, 2)];
    return [...text(1, name), ...real(2, v), ...number(20, 1)];
}

class Graph {
    constructor() {
        this.nodes = [];
        this.constants = [];
        this.known = new Set();
    }

    // Returns the name of the first output.
    node(op, inputs, outputs, attributes = {}, domain = '') {
        const list = [outputs].flat();
        this.nodes.push(...message(1, [...inputs.flatMap((s) => text(1, s)), ...list.flatMap((s) => text(2, s)), ...text(3, list[0] + '_node'), ...text(4, op),
            ...Object.entries(attributes).flatMap(([k, v]) => message(5, attribute(k, v))), ...(domain ? text(7, domain) : [])]));
        return list[0];
    }

    constant(name, shape, data) {
        if (this.known.has(name)) return name;
        this.known.add(name);
        const type = data instanceof Float32Array ? FLOAT : data instanceof Int8Array ? INT8 : INT64;
        const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
        this.constants.push(...message(5, [...shape.flatMap((n) => number(1, n)), ...number(2, type), ...text(8, name), ...message(9, [bytes])]));
        return name;
    }

    ints(name, values, shape = [values.length]) { return this.constant(name, shape, BigInt64Array.from(values.map(BigInt))); }
    float(name, v) { return this.constant(name, [], Float32Array.of(v)); }

    model(inputs, output, labels) {
        const dim = (d) => message(1, typeof d === 'string' ? text(2, d) : number(1, d));
        const value = (field, name, type, shape) => message(field, [...text(1, name),
            ...message(2, message(1, [...number(1, type), ...message(2, shape.flatMap(dim))]))]);
        const graph = [...this.nodes, ...text(2, 'distilbert'), ...this.constants,
            ...inputs.flatMap((n) => value(11, n, INT64, ['batch', 'length'])), ...value(12, output, FLOAT, ['batch', labels])];
        const set = (domain, version) => message(8, [...text(1, domain), ...number(2, version)]);
        return [...number(1, 8), ...text(2, 'pith bench_peers'), ...message(7, graph), ...set('', 17), ...set(OURS, 1)];
    }
}

// [out][in] as [in][out]
function transposed(x, outs, ins) {
    const y = new Float32Array(x.length);
    for (let o = 0; o < outs; o++) for (let i = 0; i < ins; i++) y[i * outs + o] = x[o * ins + i];
    return y;
}

// [in][out]: 8 bits, symmetric, a scale for each output.
function quantised(x, ins, outs) {
    const scale = new Float32Array(outs), q = new Int8Array(x.length);
    for (let i = 0; i < ins; i++) for (let o = 0; o < outs; o++) scale[o] = Math.max(scale[o], Math.abs(x[i * outs + o]) / 127);
    for (let i = 0; i < ins; i++)
        for (let o = 0; o < outs; o++) q[i * outs + o] = scale[o] ? Math.max(-127, Math.min(127, Math.round(x[i * outs + o] / scale[o]))) : 0;
    return { q, scale };
}

class Writer {
    constructor(dir, form) {
        this.config = JSON.parse(fs.readFileSync(path.join(dir, 'config.json')));
        if (this.config.model_type !== 'distilbert') throw new Error(`${dir}: model_type ${this.config.model_type} is not converted, only distilbert`);
        this.w = new Weights(dir);
        this.g = new Graph();
        this.int8 = form.startsWith('int8');
        this.fused = form.endsWith('fused');
    }

    vector(name) { return this.g.constant(name, this.w.shape(name), this.w.f32(name)); }

    norm(x, name, out) {
        return this.g.node('LayerNormalization', [x, this.vector(name + '.weight'), this.vector(name + '.bias')], out, { axis: -1, epsilon: 1e-12 });
    }

    // The matrices of several layers with the same input, side by side: {x [in][out], ins, outs, bias}.
    matrices(names) {
        const parts = names.map((n) => ({ shape: this.w.shape(n + '.weight'), x: this.w.f32(n + '.weight'), b: this.w.f32(n + '.bias') }));
        const ins = parts[0].shape[1], outs = parts.reduce((n, p) => n + p.shape[0], 0), all = new Float32Array(ins * outs), bias = new Float32Array(outs);
        let at = 0;
        for (const p of parts) {
            all.set(p.x, at * ins);
            bias.set(p.b, at);
            at += p.shape[0];
        }
        return { x: transposed(all, outs, ins), ins, outs, bias };
    }

    // The input as bytes: [bytes, scale, zero], once for each input.
    bytes(x) {
        const out = [x + '_u8', x + '_scale', x + '_zero'];
        if (!this.g.known.has(out[0])) {
            this.g.known.add(out[0]);
            this.g.node('DynamicQuantizeLinear', [x], out);
        }
        return out;
    }

    // x . W, without the bias.
    product(x, names, out) {
        const { g } = this, m = this.matrices(names), key = names[0] + '.matrix';
        if (!this.int8) return g.node('MatMul', [x, g.constant(key, [m.ins, m.outs], m.x)], out);
        const { q, scale } = quantised(m.x, m.ins, m.outs), [u8, s, zero] = this.bytes(x);
        const sum = g.node('MatMulInteger', [u8, g.constant(key, [m.ins, m.outs], q), zero, g.constant(key + '_zero', [m.outs], new Int8Array(m.outs))], out + '_i32');
        const scales = g.node('Mul', [s, g.constant(key + '_scale', [m.outs], scale)], out + '_scales');
        return g.node('Mul', [g.node('Cast', [sum], out + '_f32', { to: FLOAT }), scales], out);
    }

    linear(x, name, out) {
        return this.g.node('Add', [this.product(x, [name], out + '_product'), this.vector(name + '.bias')], out);
    }

    attention(x, layer, p) {
        const { g, config: c } = this, a = `${layer}.attention.`, names = ['q_lin', 'k_lin', 'v_lin'].map((n) => a + n), dim = c.dim / c.n_heads;
        if (this.fused) return this.fusedAttention(x, names, p);
        const split = g.ints('split', [0, 0, c.n_heads, dim]), join = g.ints('join', [0, 0, c.dim]);
        const [q, k, v] = names.map((n, i) => {
            const y = this.linear(x, n, `${p}_${'qkv'[i]}`);
            return g.node('Transpose', [g.node('Reshape', [y, split], y + '_heads')], y + '_turned', { perm: i === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3] });
        });
        const scaled = g.node('Div', [q, g.float('root', Math.sqrt(dim))], p + '_scaled');
        const scores = g.node('Add', [g.node('MatMul', [scaled, k], p + '_scores'), 'mask_bias'], p + '_masked');
        const mixed = g.node('MatMul', [g.node('Softmax', [scores], p + '_weights', { axis: -1 }), v], p + '_mixed');
        return g.node('Reshape', [g.node('Transpose', [mixed], p + '_back', { perm: [0, 2, 1, 3] }), join], p + '_attended');
    }

    fusedAttention(x, names, p) {
        const { g } = this, m = this.matrices(names), key = names[0] + '.all', bias = g.constant(key + '_bias', [m.outs], m.bias), heads = { num_heads: this.config.n_heads };
        if (!this.int8) return g.node('Attention', [x, g.constant(key, [m.ins, m.outs], m.x), bias, 'mask32'], p + '_attended', heads, OURS);
        const { q, scale } = quantised(m.x, m.ins, m.outs), [u8, s, zero] = this.bytes(x);
        return g.node('QAttention', [u8, g.constant(key, [m.ins, m.outs], q), bias, s, g.constant(key + '_scale', [m.outs], scale), 'mask32', zero,
            g.constant(key + '_zero', [m.outs], new Int8Array(m.outs))], p + '_attended', heads, OURS);
    }

    // norm(x + linear(y))
    residual(x, y, name, norm, out) {
        const { g } = this;
        if (!this.fused) return this.norm(g.node('Add', [this.linear(y, name, out + '_linear'), x], out + '_sum'), norm, out);
        return g.node('SkipLayerNormalization', [this.product(y, [name], out + '_product'), x, this.vector(norm + '.weight'), this.vector(norm + '.bias'),
            this.vector(name + '.bias')], out, { epsilon: 1e-12 }, OURS);
    }

    gelu(x, name, p) {
        const { g } = this;
        if (this.fused) return g.node('BiasGelu', [this.product(x, [name], p + '_product'), this.vector(name + '.bias')], p + '_gelu', {}, OURS);
        const y = this.linear(x, name, p + '_inner');
        const erf = g.node('Erf', [g.node('Div', [y, g.float('root2', Math.SQRT2)], p + '_div')], p + '_erf');
        const twice = g.node('Mul', [y, g.node('Add', [erf, g.float('one', 1)], p + '_more')], p + '_twice');
        return g.node('Mul', [twice, g.float('half', 0.5)], p + '_gelu');
    }

    layer(x, i) {
        const layer = `distilbert.transformer.layer.${i}`, p = `layer${i}`;
        const y = this.residual(x, this.attention(x, layer, p), layer + '.attention.out_lin', layer + '.sa_layer_norm', p + '_attention');
        return this.residual(y, this.gelu(y, layer + '.ffn.lin1', p), layer + '.ffn.lin2', layer + '.output_layer_norm', p + '_out');
    }

    mask() {
        const { g } = this;
        if (this.fused) return g.node('Cast', ['attention_mask'], 'mask32', { to: INT32 });
        const ahead = g.node('Unsqueeze', ['attention_mask', g.ints('middle', [1, 2])], 'mask_4d');
        const absent = g.node('Sub', [g.float('one', 1), g.node('Cast', [ahead], 'mask_float', { to: FLOAT })], 'absent');
        return g.node('Mul', [absent, g.float('lowest', -3.4028234663852886e38)], 'mask_bias');
    }

    write(file) {
        const { g, config: c } = this, e = 'distilbert.embeddings.';
        this.mask();
        const n = g.node('Unsqueeze', [g.node('Gather', [g.node('Shape', ['input_ids'], 'shape'), g.ints('second', [1], [])], 'length_0'), g.ints('first_axis', [0])], 'length_1');
        const words = g.node('Gather', [this.vector(e + 'word_embeddings.weight'), 'input_ids'], 'words');
        const places = g.node('Slice', [this.vector(e + 'position_embeddings.weight'), g.ints('zero', [0]), n, 'first_axis'], 'places');
        let x = this.norm(g.node('Add', [words, places], 'embedded'), e + 'LayerNorm', 'embeddings');
        for (let i = 0; i < c.n_layers; i++) x = this.layer(x, i);
        const first = g.node('Gather', [x, g.ints('first', [0], [])], 'first_token', { axis: 1 });
        const head = (y, name, out) => g.node('Gemm', [y, this.vector(name + '.weight'), this.vector(name + '.bias')], out, { transB: 1 });
        head(g.node('Relu', [head(first, 'pre_classifier', 'pooled')], 'pooled_relu'), 'classifier', 'logits');
        const out = fs.openSync(file + '.part', 'w');
        for (const b of g.model(['input_ids', 'attention_mask'], 'logits', this.w.shape('classifier.weight')[0]))
            for (let at = 0; at < b.length;) at += fs.writeSync(out, b, at, b.length - at);
        fs.closeSync(out);
        fs.renameSync(file + '.part', file);
    }
}

export function writeOnnx(dir, file, form) { new Writer(dir, form).write(file); }

if (process.argv[1] && path.basename(process.argv[1]) === 'onnx.mjs') {
    const [, , dir, file, form] = process.argv;
    if (!['fp32', 'fp32-fused', 'int8', 'int8-fused'].includes(form)) {
        console.error('usage: node onnx.mjs DIR FILE.onnx fp32|fp32-fused|int8|int8-fused');
        process.exit(2);
    }
    writeOnnx(dir, file, form);
}
