// run: what is measured, in which order and how often. Started by tools/bench_peers.
// Each cell is one piece of work that several engines do in turn (A B A B ...), so that what else happens on the machine
// meets all of them. The time that is left is shared out by what a round of each cell is expected to take.
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { engines, firstWord, machineProcessor, now, onceArgs, prepareDecoder, prepareEncoder, prepareReviews, runPith, warm } from './engines.mjs';
import { bytesPerToken } from './gguf.mjs';
import { encoderOps, decoderOps } from './ops.mjs';
import { report } from './report.mjs';

const text = { type: 'string' }, flag = { type: 'boolean', default: false };
const { values: v } = parseArgs({ options: { pith: text, worker: text, packages: text, shared: text, budget: text, shape: text, reviews: text, threads: text,
    only: text, patience: text, jsonl: text, output: text, command: text, smoke: flag, prepare: flag, check: flag, unchecked: flag } });
const o = { ...v, budget: Number(v.budget), reviews: v.smoke ? 8 : Number(v.reviews), threads: v.threads.split(',').map(Number),
    note: (s) => process.stderr.write(`bench_peers: ${s}\n`) };
const wanted = (section) => !o.only || o.only.split(',').includes(section);
const start = engines(o), sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const most = Math.max(...o.threads), chunk = o.smoke ? 4 : 32;
let started = now();
const records = [];

function record(r) {
    records.push(r);
    if (o.jsonl) fs.appendFileSync(o.jsonl, JSON.stringify(r) + '\n');
}

// ---- measuring ----

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

// Seconds of one piece of work; quick ones are repeated, so that a sample is not a moment.
async function sample(side, step, repeats) {
    let t = 0;
    for (let i = 0; i < repeats; i++) t += (await side.worker.ask(side.steps[step])).seconds;
    return t / repeats;
}

async function oneRound(cell, times, repeats) {
    const sums = cell.sides.map(() => 0);
    for (const side of cell.sides) if (side.before) await side.worker.ask(side.before);
    for (let step = 0; step < cell.sides[0].steps.length; step++)
        for (const [i, side] of cell.sides.entries()) {
            await sleep(30); // the others' threads stop spinning
            const t = side.start ? await side.start() : await sample(side, step, repeats[i]);
            if (cell.each) times[i].push(t);
            else sums[i] += t;
        }
    if (!cell.each) sums.forEach((t, i) => times[i].push(t));
}

const QUIET = 0.15; // cores that others may take in a round that counts
const workers = (cell) => [...new Set(cell.sides.map((s) => s.worker).filter(Boolean))];
const own = (cell) => workers(cell).reduce((t, w) => t + w.processor(), process.cpuUsage().user * 1e-6 + process.cpuUsage().system * 1e-6);

// Cores that other processes keep busy while `work` is done; new processes of our own are not told from them.
async function othersDuring(cell, work) {
    const t = now(), all = machineProcessor(), mine = own(cell);
    await work();
    return Math.max(0, (machineProcessor() - all - (own(cell) - mine)) / (now() - t));
}

let patience = o.smoke ? 0 : Number(o.patience);
async function waitForQuiet(cell) {
    for (let t = now(); patience > 0 && await othersDuring(cell, () => sleep(400)) > QUIET; t = now()) patience -= now() - t;
}

async function measure(cell, share) {
    const times = cell.sides.map(() => []), repeats = cell.sides.map(() => 1), others = [];
    for (const [i, side] of cell.warm ? cell.sides.entries() : []) {
        const t = await sample(side, 0, 1);
        if (!o.smoke && cell.sides[0].steps.length === 1) repeats[i] = Math.max(1, Math.min(50, Math.ceil(0.1 / t)));
    }
    let spent = 0;
    for (let rounds = 1; ; rounds++) {
        await waitForQuiet(cell);
        const t = now(), round = cell.sides.map(() => []), busy = await othersDuring(cell, () => oneRound(cell, round, repeats));
        const last = now() - t, least = last < 2 && !o.smoke ? 5 : 1;
        round.forEach((list, i) => list.forEach((x) => { times[i].push(x); if (!i) others.push(busy); }));
        spent += last;
        if (rounds >= (o.smoke ? 1 : 9) || (rounds >= least && spent + last > share)) break;
    }
    conclude(cell, times, others);
}

// Where some rounds were undisturbed, only they count.
function conclude(cell, times, others) {
    const started = cell.sides.some((s) => s.start), calm = others.map((x) => started || x <= QUIET), any = calm.includes(true);
    const kept = times.map((list) => any ? list.filter((_, k) => calm[k]) : list), busy = others.filter((_, k) => !any || calm[k]);
    const sides = cell.sides.map((s, i) => ({ engine: s.label, seconds: kept[i], median: median(kept[i]), least: Math.min(...kept[i]), most: Math.max(...kept[i]),
        ratio: median(kept[i].map((t, k) => t / kept[0][k])), ...s.more }));
    record({ section: cell.section, ...cell.key, sides, others: started ? null : median(busy), all: times });
    o.note(`${cell.section} ${Object.values(cell.key).join(' ')}: ${sides.map((s) => `${s.engine} ${s.median.toPrecision(3)} s`).join(', ')} (${kept[0].length} of ${times[0].length}, others ${median(busy).toFixed(2)})`);
}

// ---- the cells ----

const side = (label, worker, steps, more = {}) => ({ label, worker, steps: [steps].flat(), ...more });

function encoderCells(name, pith, ort, dir, int8) {
    const list = [];
    for (const length of o.smoke ? [32] : [32, 128, 256, 512])
        for (const batch of o.smoke ? [1, 8] : [1, 8, 32]) {
            const ops = encoderOps(dir, batch, length);
            list.push({ section: 'encoder', key: { weights: name, batch, length, threads: most, ops }, warm: true, cost: ops / (int8 ? 2e11 : 1e11) + ops / 1e11,
                sides: [side(pith.label, pith, `encode ${batch} ${length}`), side(ort.label, ort, `encode ${batch} ${length}`)] });
        }
    return list.sort((a, b) => a.key.ops - b.key.ops);
}

function reviewCell(name, pith, ort, reviews, dir) {
    const steps = Array.from({ length: Math.ceil(reviews.n / chunk) }, (_, i) => `pack ${i * chunk} ${Math.min(chunk, reviews.n - i * chunk)}`);
    const ops = reviews.lengths.reduce((t, n) => t + encoderOps(dir, 1, n), 0), sorted = ort.sorted;
    return { section: 'reviews', key: { weights: name, rows: reviews.n, tokens: reviews.tokens, threads: most, ops }, warm: false, cost: ops / 2.7e10,
        sides: [side(pith.label, pith, steps), side(`${ort.label}, file's order`, ort, steps), side(`${ort.label}, sorted by length`, sorted, steps)] };
}

// The faster of two forms of the same model; both are told.
async function fasterForm(files, forms) {
    const open = [];
    for (const f of forms) open.push(await start.ort(`ONNX Runtime ${f}`, files.onnx[f], most));
    const times = open.map(() => []), command = o.smoke ? 'encode 2 32' : 'encode 8 128';
    for (let i = 0; i < (o.smoke ? 2 : 6); i++)
        for (const [k, w] of open.entries()) times[k].push((await w.ask(command)).seconds);
    const t = times.map((x) => median(x.slice(1))), best = t[0] <= t[1] ? 0 : 1;
    record({ section: 'forms', work: command, forms: forms.map((form, i) => ({ form, seconds: t[i] })), chosen: forms[best] });
    for (const w of open) await w.close();
    return forms[best];
}

async function encoderGroup(name, files, dir, form, reviews) {
    const pith = await start.pith(`pith ${name}`, dir, most), ort = await start.ort(`ONNX Runtime ${form}`, files.onnx[form], most);
    const group = { workers: [pith, ort], cells: wanted('encoder') ? encoderCells(name, pith, ort, files.dir, name === 'q8') : [] };
    if (reviews && wanted('reviews')) {
        ort.sorted = await start.ort(ort.label, files.onnx[form], most);
        group.workers.push(ort.sorted);
        await pith.ask(`rows ${reviews.order}`);
        await ort.ask(`rows ${reviews.order}`);
        await ort.sorted.ask(`rows ${reviews.sorted}`);
        group.cells.push(reviewCell(name, pith, ort, reviews, files.dir));
    }
    group.cells.filter((c) => c.key.batch === 8 && c.key.length === (o.smoke ? 32 : 128)).forEach((c) => {
        c.after = () => record({ section: 'memory', work: `${c.key.batch} sequences of ${c.key.length} tokens`, sides: [pith, ort].map((w) => ({ engine: w.label, megabytes: w.peak() })) });
    });
    return group;
}

const bits = { bf16: 16, q8: 8.125, q4: 4.5, BF16: 16, F16: 16, Q8_0: 8.5, Q4_0: 4.5, Q4_1: 5 };

// Fewer threads take longer and matter less: they get a third of the rounds.
function decoderCells(all, format, threads, dir) {
    const prefillWeight = threads === most ? 1 : 2 / 3, decodeWeight = threads === most ? 1 : 1 / 2;
    const cells = (o.smoke ? [32] : [128, 512]).map((n) => {
        const ops = decoderOps(dir, n);
        return { section: 'prefill', key: { weights: format, tokens: n, threads, ops }, cost: prefillWeight * all.length * ops / 1e11,
            sides: all.map((w) => side(w.label, w, `prefill ${n}`)) };
    });
    const pieces = o.smoke ? 1 : 4, tokens = o.smoke ? 4 : 32, bytes = (w) => bytesPerToken(dir, bits[w.label.split(' ')[1]]);
    cells.push({ section: 'decode', key: { weights: format, tokens, threads }, each: true,
        cost: decodeWeight * all.reduce((t, w) => t + pieces * tokens * bytes(w) / 1.2e10, 0),
        sides: all.map((w) => side(w.label, w, Array(pieces).fill(`decode ${tokens}`), { before: 'begin 16', more: { bytes: bytes(w) } })) });
    return cells;
}

async function decoderGroup(format, files, dir, types, vocabulary, threads) {
    const all = [await start.pith(`pith ${format}`, dir, threads)];
    for (const t of types) all.push(await start.llama(`llama.cpp ${t}`, files.gguf[t], threads));
    record({ section: 'versions', what: 'llama.cpp says', text: all[1].ready.system });
    record({ section: 'versions', what: 'pith says', text: `kernels ${all[0].ready.kernels}` });
    for (const w of all.slice(1)) await w.ask(`vocabulary ${vocabulary}`);
    for (const w of all) await w.ask('prefill 16');
    const cells = decoderCells(all, format, threads, files.dir);
    if (threads === most)
        cells[cells.length - 1].after = () => record({ section: 'memory', work: `prefill of ${o.smoke ? 32 : 512} and decode of 128`,
            sides: all.map((w) => ({ engine: w.label, megabytes: w.peak() })) });
    return { workers: all, cells };
}

function startCells(encoder, decoder, form) {
    const ids = Array.from({ length: 16 }, (_, i) => 100 + 37 * i).join(','), t = String(most);
    const once = (label, command, args, model) => ({ label, steps: [''], start: () => (model && warm(model), firstWord(command, args)) });
    const label = (name, dir) => once(name, o.pith, ['logits', '-m', dir, '-t', t, '--ids', ids], dir);
    const token = (name, dir) => once(name, o.pith, ['generate', '-m', dir, '-t', t, '--ids', ids, '-n', '1', '--temp', '0', '--json', '-q'], dir);
    const ort = (f) => once(`ONNX Runtime ${f}`, ...onceArgs(o, 'ort', encoder.onnx[f], most, ids), encoder.onnx[f]);
    const llama = (f) => once(`llama.cpp ${f}`, ...onceArgs(o, 'llama', decoder.gguf[f], most, ids), decoder.gguf[f]);
    const node = once('node alone', process.execPath, ['-e', 'console.log(1)']), cells = [];
    if (encoder) cells.push({ section: 'start', key: { to: 'label', threads: most }, cost: 8, sides: [label('pith f32, as downloaded', encoder.dir),
        label('pith f32, packed before', encoder.keep), ort(form.fp32), label('pith q8, packed before', encoder.q8), ort(form.int8), node] });
    if (decoder) cells.push({ section: 'start', key: { to: 'token', threads: most }, cost: 22, sides: [token('pith bf16, as downloaded', decoder.dir),
        token('pith bf16, packed before', decoder.keep), llama('BF16'), llama('F16'), token('pith q8, packed before', decoder.q8), llama('Q8_0'),
        token('pith q4, packed before', decoder.q4), llama('Q4_0'), llama('Q4_1'), node] });
    return cells;
}

// ---- do both compute the same? ----

const spread = (x) => { const m = x.reduce((a, b) => a + b) / x.length; return Math.sqrt(x.reduce((a, b) => a + (b - m) ** 2, 0) / x.length); };
const error = (x, y) => spread(x.map((a, i) => a - y[i])) / spread(y);

function checkRows(limit) {
    const file = `${o.packages}/models/check.ids`, rows = [5, 33, 64].map((n, k) => Array.from({ length: n }, (_, i) => 5 + (i * 7919 + k * 104729) % limit));
    fs.writeFileSync(file, rows.map((r) => JSON.stringify(r)).join('\n') + '\n');
    return { file, n: rows.length };
}

async function answers(worker, rows, command) {
    await worker.ask(`rows ${rows.file}`);
    const out = [];
    for (let i = 0; i < rows.n; i++) out.push(await worker.ask(command(i)));
    await worker.close();
    return out;
}

function judge(what, figure, limit) {
    record({ section: 'check', what, figure, limit, ok: figure <= limit });
    o.note(`${what}: ${figure.toPrecision(2)}`);
    if (!(figure <= limit)) throw new Error(`${what}: ${figure}, at most ${limit} is expected: the engines do not compute the same`);
}

async function checkEncoder(files) {
    const rows = checkRows(o.smoke ? 8000 : 30000), logits = async (w) => (await answers(w, rows, (i) => `logits ${i}`)).map((a) => a.logits);
    const reference = await logits(await start.pith('pith f32', files.dir, most));
    const far = (a) => Math.max(...a.flatMap((r, i) => r.map((x, k) => Math.abs(x - reference[i][k]))));
    for (const [form, limit] of [['fp32', 1e-3], ['fp32-fused', 1e-3], ['int8', 0.1], ['int8-fused', 0.1]])
        judge(`logits of ONNX Runtime ${form} against pith f32: largest difference`, far(await logits(await start.ort(form, files.onnx[form], most))), limit);
    judge('logits of pith q8 against pith f32: largest difference', far(await logits(await start.pith('pith q8', files.q8, most))), 0.1);
}

async function checkDecoder(files, vocabulary) {
    const rows = checkRows(Math.min(vocabulary, 4000) - 10), logits = async (w) => (await answers(w, rows, (i) => `logits ${i}`)).map((a) => a.logits);
    const reference = await logits(await start.pith('pith bf16', files.dir, most));
    const worst = (a) => Math.max(...a.map((x, i) => error(x, reference[i])));
    const fourBits = o.smoke ? 0.4 : 1; // random weights carry errors further than trained ones; unrelated logits differ by 1.4
    for (const [type, limit] of [['BF16', 0.05], ['F16', 0.05], ['Q8_0', 0.1], ['Q4_0', fourBits], ['Q4_1', fourBits]])
        judge(`logits of llama.cpp ${type} against pith bf16: error over spread`, worst(await logits(await start.llama(type, files.gguf[type], most))), limit);
    for (const [type, limit] of [['q8', 0.1], ['q4', fourBits]])
        judge(`logits of pith ${type} against pith bf16: error over spread`, worst(await logits(await start.pith(type, files[type], most))), limit);
    const greedy = async (w) => (await answers(w, rows, (i) => `greedy ${i} 16`)).flatMap((a) => a.ids);
    const ours = await greedy(await start.pith('pith bf16', files.dir, most)), theirs = await greedy(await start.llama('F16', files.gguf.F16, most));
    record({ section: 'check', what: 'greedy tokens of llama.cpp F16 equal to pith bf16', figure: ours.filter((x, i) => x === theirs[i]).length, limit: ours.length, ok: true });
}

// ---- all of it ----

function limits() {
    for (const threads of o.threads) {
        const out = runPith(o, ['bench', '-m', 'models/bundled/sentiment', '--quick', '--seconds', '0.01', '--format', 'jsonl', '-t', String(threads)]);
        record({ section: 'limits', ...JSON.parse(out.split('\n')[0]) });
    }
}

async function runGroup(make, rest) {
    const group = await make();
    for (const cell of group.cells) {
        const left = o.budget - (now() - started) + (Number(o.patience) - patience), due = group.cells.slice(group.cells.indexOf(cell)).reduce((t, c) => t + c.cost, 0) + rest;
        await cell.ahead?.();
        if (left > -0.1 * o.budget || o.smoke) await measure(cell, Math.max(0, left) * cell.cost / due);
        else record({ section: 'skipped', what: `${cell.section} ${Object.values(cell.key).join(' ')}` });
        await cell.after?.();
    }
    for (const w of group.workers) await w.close();
}

async function main() {
    const encoder = wanted('encoder') || wanted('reviews') || wanted('start') ? prepareEncoder(o) : null;
    const decoder = wanted('llama') || wanted('start') ? prepareDecoder(o) : null;
    const config = decoder && JSON.parse(fs.readFileSync(`${decoder.dir}/config.json`));
    const reviews = encoder && wanted('reviews') ? prepareReviews(o, 512) : null;
    if (o.prepare) return;
    if (encoder && wanted('reviews') && !reviews) record({ section: 'skipped', what: 'real lengths: no reviews or no tokenizer in the shared folder' });
    if (encoder && !o.unchecked) await checkEncoder(encoder);
    if (decoder && !o.unchecked) await checkDecoder(decoder, config.vocab_size);
    if (o.check) return;
    started = now();
    limits();
    const form = encoder ? { fp32: await fasterForm(encoder, ['fp32', 'fp32-fused']), int8: await fasterForm(encoder, ['int8', 'int8-fused']) } : null;
    const groups = [];
    if (wanted('start')) groups.push({ cost: 30, make: () => ({ workers: [], cells: startCells(encoder, decoder, form) }) });
    if (wanted('encoder') || wanted('reviews')) groups.push({ cost: 120, make: () => encoderGroup('f32', encoder, encoder.dir, form.fp32, reviews) },
        { cost: 80, make: () => encoderGroup('q8', encoder, encoder.q8, form.int8, reviews) });
    for (const threads of wanted('llama') ? [...o.threads].sort((a, b) => b - a) : [])
        for (const [format, types, cost] of [['bf16', ['BF16', 'F16'], 110], ['q8', ['Q8_0'], 50], ['q4', ['Q4_0', 'Q4_1'], 60]])
            groups.push({ cost: threads === most ? cost : 0.6 * cost,
                make: () => decoderGroup(format, decoder, format === 'bf16' ? decoder.dir : decoder[format], types, config.vocab_size, threads) });
    for (const [i, g] of groups.entries()) {
        const rest = groups.slice(i + 1).reduce((t, x) => t + x.cost, 0);
        await runGroup(g.make, rest).catch((e) => { // what else there is to measure is measured
            o.note(e.message);
            record({ section: 'skipped', what: e.message });
            process.exitCode = 1;
        });
    }
    limits();
    record({ section: 'end', seconds: now() - started });
    const page = report(records, o);
    if (o.output) fs.writeFileSync(o.output, page);
    else process.stdout.write(page);
}

main().catch((e) => {
    process.stderr.write(`bench_peers: ${e.message}\n`);
    process.exit(1);
});
