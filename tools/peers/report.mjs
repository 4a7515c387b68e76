// report: the records of a run as Markdown.
import fs from 'node:fs';
import os from 'node:os';
import { spawnSync } from 'node:child_process';

const best = (list, f) => Math.max(...list.map(f));
const digits = (x) => x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
const times = (x) => `${x.toFixed(2)} x`;
const share = (x, limit) => limit > 0 ? `${(100 * x / limit).toFixed(0)}%` : '';
const row = (...cells) => `| ${cells.join(' | ')} |\n`;
const head = (...cells) => row(...cells) + row(...cells.map(() => '---'));
const of = (records, section) => records.filter((r) => r.section === section);

function version(o, name) {
    return JSON.parse(fs.readFileSync(`${o.packages}/node_modules/${name}/package.json`)).version;
}

// A rate with its range: units of work over the median, the longest and the shortest time.
const rate = (s, work) => `${digits(work / s.median)} (${digits(work / s.most)} - ${digits(work / s.least)})`;
const others = (r) => r.others === null || r.others < 0.1 ? '' : r.others.toFixed(1);

function machine(records, o) {
    const git = spawnSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).stdout.trim();
    const cpu = os.cpus(), says = new Set(of(records, 'versions').map((r) => `${r.what}: ${r.text}`));
    let s = `${cpu[0].model}, ${cpu.length} cores, ${(os.totalmem() / 2 ** 30).toFixed(0)} GiB, Linux ${os.release()}, ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC\n`;
    s += `pith ${spawnSync(o.pith, ['version'], { encoding: 'utf8' }).stdout.trim().split('\n')[0].replace(/^pith /, '')} (${git}), onnxruntime-node ${version(o, 'onnxruntime-node')}, `;
    s += `@node-llama-cpp/linux-x64 ${version(o, '@node-llama-cpp/linux-x64')} (llama.cpp ${llamaRelease(o)}), node ${process.version}\n`;
    for (const x of says) s += `${x}\n`;
    return s + `command: ${o.command}\nafter the first table: medians of interleaved runs, in brackets the slowest and the fastest; "x" is the median of the rounds' quotients, above 1: pith is faster. `
        + `"others": cores that other processes kept busy meanwhile; rounds with more than 0.15 of them count only where there was no other.\n\n`;
}

function llamaRelease(o) {
    try {
        const b = JSON.parse(fs.readFileSync(`${o.packages}/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/_nlcBuildMetadata.json`));
        return b.buildOptions?.llamaCpp?.release ?? 'release unknown';
    } catch {
        return 'release unknown';
    }
}

function limitTable(found) {
    let s = '### The machine\'s limits, measured in the same run\n\n' + head('threads', 'read GB/s', 'FMA GFLOP/s', 'int8 GOP/s');
    for (const [threads, l] of found) s += row(threads, l.read.toFixed(1), l.fma.toFixed(0), l.int8.toFixed(0));
    return s + '\n';
}

function checks(records) {
    if (!of(records, 'check').length) return '';
    let s = '### Do they compute the same?\n\n' + head('', 'found', 'at most');
    for (const r of of(records, 'check'))
        s += r.what.startsWith('greedy') ? row(r.what, r.figure, `of ${r.limit}`) : row(r.what, r.figure.toPrecision(2), r.limit);
    return s + '\n';
}

function encoder(records, found) {
    const list = of(records, 'encoder');
    if (!list.length) return '';
    let s = '### DistilBERT: sequences a second\n\n' + head('weights', 'batch', 'length', 'pith', 'ONNX Runtime', 'x', 'pith of the limit', 'ONNX Runtime of it', 'rounds', 'others');
    for (const r of list) {
        const [a, b] = r.sides, l = found.get(r.threads), limit = 1e9 * (r.weights === 'q8' ? l.int8 : l.fma);
        s += row(r.weights === 'q8' ? 'q8 / int8' : r.weights, r.batch, r.length, rate(a, r.batch), rate(b, r.batch), times(b.ratio), share(r.ops / a.median, limit), share(r.ops / b.median, limit), a.seconds.length, others(r));
    }
    for (const f of of(records, 'forms'))
        s += `\n${f.work}: ${f.forms.map((x) => `${x.form} ${(1e3 * x.seconds).toFixed(1)} ms`).join(', ')}; ONNX Runtime is measured with ${f.chosen}.`;
    return s + '\n\n';
}

function reviews(records, found) {
    const list = of(records, 'reviews');
    if (!list.length) return '';
    let s = '### Real lengths: IMDB reviews, batches of 32, sequences a second\n\n' + head('weights', 'reviews', 'tokens', 'pith, no padding', 'ONNX Runtime, file\'s order', 'x', 'ONNX Runtime, sorted', 'x', 'pith of the limit', 'rounds', 'others');
    for (const r of list) {
        const [a, b, c] = r.sides, l = found.get(r.threads), limit = 1e9 * (r.weights === 'q8' ? l.int8 : l.fma);
        s += row(r.weights, r.rows, r.tokens, rate(a, r.rows), rate(b, r.rows), times(b.ratio), rate(c, r.rows), times(c.ratio), share(r.ops / a.median, limit), a.seconds.length, others(r));
    }
    return s + '\n';
}

function decoder(records, found, section, title) {
    const list = of(records, section);
    if (!list.length) return '';
    let s = `### ${title}\n\n` + head('threads', 'tokens', 'engine', 'tokens/s', 'x', 'of the limit', 'samples', 'others');
    for (const r of [...list].sort((a, b) => b.threads - a.threads))
        for (const [i, x] of r.sides.entries()) {
            const l = found.get(r.threads), int8 = r.weights !== 'bf16';
            const part = section === 'decode' ? share(1e-9 * x.bytes * r.tokens / x.median, l.read) : share(1e-9 * r.ops / x.median, int8 ? l.int8 : l.fma);
            s += row(r.threads, section === 'decode' ? 128 : r.tokens, x.engine, rate(x, r.tokens), i ? times(x.ratio) : '', part, x.seconds.length, i ? '' : others(r));
        }
    return s + '\n';
}

function starts(records) {
    const list = of(records, 'start');
    if (!list.length) return '';
    let s = '### From the start of a process to its first word, page cache warm: milliseconds\n\n' + head('to the first', 'engine', 'ms', 'fastest - slowest', 'runs');
    for (const r of list)
        for (const x of r.sides) s += row(r.to, x.engine, (1e3 * x.median).toFixed(0), `${(1e3 * x.least).toFixed(0)} - ${(1e3 * x.most).toFixed(0)}`, x.seconds.length);
    return s + '\n';
}

function memory(records) {
    const list = of(records, 'memory');
    if (!list.length) return '';
    let s = '### Peak resident memory\n\n' + head('after', 'engine', 'MB');
    for (const r of list) for (const x of r.sides) s += row(r.work, x.engine, x.megabytes.toFixed(0));
    return s + '\nThe peers\' figures hold node\'s own, about 45 MB.\n\n';
}

export function report(records, o) {
    const found = new Map();
    for (const threads of new Set(of(records, 'limits').map((r) => r.threads))) {
        const list = of(records, 'limits').filter((r) => r.threads === threads);
        found.set(threads, { read: best(list, (r) => r.read_gb_s), fma: best(list, (r) => r.fma_gflop_s), int8: best(list, (r) => r.int8_gop_s) });
    }
    let s = `## pith beside ONNX Runtime and llama.cpp\n\n` + machine(records, o) + limitTable(found) + checks(records) + encoder(records, found) + reviews(records, found)
        + decoder(records, found, 'prefill', `${o.smoke ? 'A small LLaMA' : o.shape}: prefill`) + decoder(records, found, 'decode', `${o.smoke ? 'A small LLaMA' : o.shape}: decode`)
        + starts(records) + memory(records);
    const skipped = of(records, 'skipped');
    if (skipped.length) s += '### Not measured\n\n' + skipped.map((r) => `- ${r.what}\n`).join('') + '\n';
    return s;
}
