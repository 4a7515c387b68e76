// weights: reads safetensors directories, and the number formats that a converter needs. Knows no model.
import fs from 'node:fs';
import path from 'node:path';

const f32 = new Float32Array(1), bits = new Uint32Array(f32.buffer);

// To half precision, to nearest even.
export function toHalf(x) {
    f32[0] = x;
    const b = bits[0], sign = (b >>> 16) & 0x8000, e = (b >>> 23) & 255, m = b & 0x7fffff;
    if (e === 255) return sign | 0x7c00 | (m ? 0x200 : 0);
    if (e > 142) return sign | 0x7c00;
    if (e < 102) return sign;
    const full = m | 0x800000, drop = e < 113 ? 126 - e : 13;
    let h = full >>> drop;
    const rest = full & ((1 << drop) - 1), half = 1 << (drop - 1);
    if (rest > half || (rest === half && (h & 1))) h++;
    return sign | (e < 113 ? h : h + ((e - 113) << 10));
}

export function fromHalf(h) {
    const e = (h >> 10) & 31, m = h & 0x3ff;
    const v = e === 0 ? m * 2 ** -24 : e === 31 ? (m ? NaN : Infinity) : (1 + m / 1024) * 2 ** (e - 15);
    return h & 0x8000 ? -v : v;
}

function fromBf16(h) {
    bits[0] = h << 16;
    return f32[0];
}

// 65536 answers each: a table is faster than arithmetic here.
let tables;
function table(name) {
    tables ??= {
        F16: Float32Array.from({ length: 65536 }, (_, i) => fromHalf(i)),
        BF16: Float32Array.from({ length: 65536 }, (_, i) => fromBf16(i)),
        BF16toF16: Uint16Array.from({ length: 65536 }, (_, i) => toHalf(fromBf16(i))),
    };
    return tables[name];
}
export const halfOfBf16 = () => table('BF16toF16');

export class Weights {
    constructor(dir) {
        this.tensors = new Map();
        for (const name of fs.readdirSync(dir).filter((f) => f.endsWith('.safetensors')).sort()) {
            const fd = fs.openSync(path.join(dir, name)), head = Buffer.alloc(8);
            fs.readSync(fd, head, 0, 8, 0);
            const n = Number(head.readBigUInt64LE()), text = Buffer.alloc(n);
            fs.readSync(fd, text, 0, n, 8);
            for (const [key, t] of Object.entries(JSON.parse(text.toString())))
                if (key !== '__metadata__')
                    this.tensors.set(key, { dtype: t.dtype, shape: t.shape, fd, at: 8 + n + t.data_offsets[0] });
        }
        if (!this.tensors.size) throw new Error(`${dir}: no *.safetensors with tensors in it`);
    }

    find(name) {
        const t = this.tensors.get(name);
        if (!t) throw new Error(`${name}: not among the weights`);
        return t;
    }

    shape(name) { return this.find(name).shape; }
    dtype(name) { return this.find(name).dtype; }
    has(name) { return this.tensors.has(name); }

    // Elements [first, first + n) as they are in the file: Uint16Array or Float32Array.
    raw(name, first, n) {
        const t = this.find(name), kind = { F32: Float32Array, F16: Uint16Array, BF16: Uint16Array }[t.dtype];
        if (!kind) throw new Error(`${name}: ${t.dtype} weights are not converted`);
        const out = new kind(n), view = Buffer.from(out.buffer);
        for (let at = 0; at < view.length;) {
            const got = fs.readSync(t.fd, view, at, Math.min(view.length - at, 1 << 30), t.at + first * kind.BYTES_PER_ELEMENT + at);
            if (got <= 0) throw new Error(`${name}: the file ends early`);
            at += got;
        }
        return out;
    }

    f32(name, first = 0, n = this.size(name)) {
        const raw = this.raw(name, first, n), dtype = this.dtype(name);
        if (dtype === 'F32') return raw;
        const out = new Float32Array(n), values = table(dtype);
        for (let i = 0; i < n; i++) out[i] = values[raw[i]];
        return out;
    }

    size(name) { return this.shape(name).reduce((a, b) => a * b, 1); }
}
