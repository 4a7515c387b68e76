// llama.cpp under the command of bench_peers: its library as npm's @node-llama-cpp/linux-x64 ships it, called through the
// addon directly (one llama_decode a call), so that nothing of the package's JavaScript is timed.
// usage: node worker_llama.mjs PACKAGES FILE.gguf THREADS          lines of commands on stdin, JSON on stdout
//        node worker_llama.mjs PACKAGES FILE.gguf THREADS --once 1,2,3    the next token, and out
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { createRequire } from 'node:module';

const [, , packages, file, threads, once, prompt] = process.argv;
const place = path.resolve(packages, 'node_modules/@node-llama-cpp/linux-x64/bins/linux-x64');
const addon = createRequire(import.meta.url)(path.join(place, 'llama-addon.node'));
const seconds = () => Number(process.hrtime.bigint()) * 1e-9;
const CHUNK = 512, CONTEXT = 1024; // llama.cpp's own n_ubatch

let model, context, sampler, position = 0, last = 1, vocabulary = 0, rows = [];

async function open() {
    addon.setLogger((level, text) => { if (process.env.PEERS_LOG) process.stderr.write(text); });
    addon.setLoggerLogLevel(process.env.PEERS_LOG ? 5 : 1);
    addon.loadBackends(place);
    await addon.init();
    model = new addon.AddonModel(path.resolve(file), { addonExports: addon, gpuLayers: 0, useMmap: true });
    if (!await model.init()) throw new Error(`${file}: llama.cpp does not open it`);
    context = new addon.AddonContext(model, { contextSize: Math.min(CONTEXT, model.getTrainContextSize()), batchSize: CHUNK,
        sequences: 1, flashAttention: 'auto', threads: Number(threads) });
    if (!await context.init()) throw new Error(`${file}: llama.cpp makes no context`);
    sampler = new addon.AddonSampler(model);
    sampler.applyConfig({ temperature: 0 });
}

// Adds tokens to the text so far; the index of the last one's logits.
async function feed(tokens) {
    let index;
    for (let i = 0; i < tokens.length; i += CHUNK) {
        const part = Uint32Array.from(tokens.slice(i, i + CHUNK)), end = i + part.length === tokens.length;
        context.initBatch(part.length);
        [index] = context.addToBatch(0, position, part, Uint32Array.from(end ? [part.length - 1] : []));
        await context.decodeBatch();
        position += part.length;
    }
    return index;
}

async function next(tokens) { return last = await context.sampleToken(await feed(tokens), sampler); }

function restart() {
    context.disposeSequence(0);
    position = 0;
}

let draw = 12345;
function randomIds(n) { return Array.from({ length: n }, () => (draw = (draw * 1103515245 + 12345) % 2147483648) % vocabulary); }

const commands = {
    vocabulary(n) { vocabulary = n; return {}; },
    threads(n) { context.setThreads(n); return { threads: context.getThreads() }; },
    async prefill(n) {
        restart();
        const ids = randomIds(n), t = seconds();
        await next(ids);
        return { seconds: seconds() - t };
    },
    async begin(n) {
        restart();
        await next(randomIds(n));
        return {};
    },
    async decode(n) {
        const t = seconds();
        for (let i = 0; i < n; i++) await next([last]);
        return { seconds: seconds() - t };
    },
    rows(path) {
        rows = fs.readFileSync(path, 'utf8').trim().split('\n').map((l) => JSON.parse(l));
        return { rows: rows.length };
    },
    // Of the last position, in order of the ids.
    async logits(row) {
        restart();
        const index = await feed(rows[row]), answer = await context.sampleToken(index, sampler, false, false, true);
        const pairs = answer[3], out = new Array(pairs.length / 2);
        for (let i = 0; i < pairs.length; i += 2) out[pairs[i]] = pairs[i + 1];
        return { logits: out };
    },
    async greedy(row, n) {
        restart();
        const ids = [await next(rows[row])];
        while (ids.length < n) ids.push(await next([last]));
        return { ids };
    },
};

const t = seconds();
await open();
if (once === '--once') {
    console.log(await next(prompt.split(',').map(Number)));
    process.exit(0);
}
console.log(JSON.stringify({ ready: 1, load_seconds: seconds() - t, system: addon.systemInfo().trim() }));
for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, ...args] = line.split(' ');
    try {
        console.log(JSON.stringify(await commands[name](...args.map((a) => /^\d+$/.test(a) ? Number(a) : a))));
    } catch (e) {
        console.log(JSON.stringify({ error: String(e.message ?? e) }));
    }
}
process.exit(0);
