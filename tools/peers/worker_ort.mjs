// ONNX Runtime under the command of bench_peers.
// usage: node worker_ort.mjs PACKAGES FILE.onnx THREADS          lines of commands on stdin, JSON on stdout
//        node worker_ort.mjs PACKAGES FILE.onnx THREADS --once 1,2,3    the logits of one sequence, and out
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { createRequire } from 'node:module';

const [, , packages, file, threads, once, prompt] = process.argv;
const ort = createRequire(path.resolve(packages, 'package.json'))('onnxruntime-node');
const seconds = () => Number(process.hrtime.bigint()) * 1e-9;
const VOCABULARY = 5000;

const t = seconds();
const session = await ort.InferenceSession.create(file, { executionProviders: ['cpu'], graphOptimizationLevel: 'all',
    intraOpNumThreads: Number(threads), interOpNumThreads: 1, executionMode: 'sequential' });

// Rows of ids, padded to the longest of them.
function feeds(list) {
    const n = Math.max(...list.map((r) => r.length)), ids = new BigInt64Array(list.length * n), mask = new BigInt64Array(list.length * n);
    list.forEach((row, r) => row.forEach((id, i) => { ids[r * n + i] = BigInt(id), mask[r * n + i] = 1n; }));
    return { input_ids: new ort.Tensor('int64', ids, [list.length, n]), attention_mask: new ort.Tensor('int64', mask, [list.length, n]) };
}

async function timed(list) {
    const f = feeds(list), t = seconds();
    await session.run(f);
    return { seconds: seconds() - t };
}

let rows = [], draw = 12345;
const randomId = () => 5 + (draw = (draw * 1103515245 + 12345) % 2147483648) % VOCABULARY;
const commands = {
    encode: (batch, length) => timed(Array.from({ length: batch }, () => Array.from({ length }, randomId))),
    rows(path) {
        rows = fs.readFileSync(path, 'utf8').trim().split('\n').map((l) => JSON.parse(l));
        return { rows: rows.length };
    },
    pack: (first, n) => timed(rows.slice(first, first + n)),
    async logits(row) {
        const out = await session.run(feeds([rows[row]]));
        return { logits: Array.from(out.logits.data) };
    },
};

if (once === '--once') {
    const out = await session.run(feeds([prompt.split(',').map(Number)]));
    console.log(Array.from(out.logits.data).join(' '));
    process.exit(0);
}
console.log(JSON.stringify({ ready: 1, load_seconds: seconds() - t }));
for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, ...args] = line.split(' ');
    try {
        console.log(JSON.stringify(await commands[name](...args.map((a) => /^\d+$/.test(a) ? Number(a) : a))));
    } catch (e) {
        console.log(JSON.stringify({ error: String(e.message ?? e) }));
    }
}
process.exit(0);
