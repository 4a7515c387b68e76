// engines: processes that compute on command, what they cost, and the files they need.
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { spawn, spawnSync } from 'node:child_process';
import { writeGguf } from './gguf.mjs';
import { writeOnnx } from './onnx.mjs';

const here = path.dirname(new URL(import.meta.url).pathname);
export const now = () => Number(process.hrtime.bigint()) * 1e-9;

// A process that answers each line on stdin with a JSON object.
export class Worker {
    static async open(label, command, args) {
        const w = new Worker();
        w.label = label;
        w.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
        w.waiting = [];
        w.child.stdin.on('error', () => {});
        w.child.on('error', (e) => w.fail(`${command}: ${e.message}`));
        w.child.on('exit', (code) => w.fail(`it ended with status ${code}`));
        readline.createInterface({ input: w.child.stdout }).on('line', (l) => w.waiting.shift()?.resolve(l));
        w.ready = await w.answer();
        return w;
    }

    fail(why) {
        this.dead = why;
        for (const p of this.waiting.splice(0)) p.reject(new Error(`${this.label}: ${why}`));
    }

    async answer() {
        if (this.dead) throw new Error(`${this.label}: ${this.dead}`);
        const line = await new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
        const out = JSON.parse(line);
        if (out.error) throw new Error(`${this.label}: ${out.error}`);
        return out;
    }

    ask(command) {
        const answer = this.answer();
        if (!this.dead) this.child.stdin.write(command + '\n');
        return answer;
    }

    // Megabytes that were resident at most.
    peak() {
        const status = fs.readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
        return Number(/VmHWM:\s+(\d+)/.exec(status)[1]) * 1024e-6;
    }

    // Seconds of processor time so far.
    processor() {
        const f = fs.readFileSync(`/proc/${this.child.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
        return (Number(f[11]) + Number(f[12])) / 100;
    }

    async close() {
        if (this.dead) return;
        const ended = new Promise((resolve) => this.child.once('exit', resolve));
        this.child.stdin.end();
        await ended;
    }
}

// Seconds of processor time that everything on this machine has taken.
export function machineProcessor() {
    const [user, nice, system, , , irq, soft] = /^cpu +(.*)/.exec(fs.readFileSync('/proc/stat', 'utf8'))[1].split(' ').map(Number);
    return (user + nice + system + irq + soft) / 100;
}

// Reads a file, or all of a directory, so that it lies in the page cache.
export function warm(file) {
    if (fs.statSync(file).isDirectory()) return fs.readdirSync(file).forEach((f) => warm(path.join(file, f)));
    const fd = fs.openSync(file), b = Buffer.allocUnsafe(1 << 23);
    while (fs.readSync(fd, b) > 0);
    fs.closeSync(fd);
}

// Seconds from the start of a process to the first thing it says.
export function firstWord(command, args) {
    return new Promise((resolve, reject) => {
        const t = now(), child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
        let first = 0, errors = '';
        child.stdout.on('data', () => { first ||= now(); });
        child.stderr.on('data', (b) => { errors += b; });
        child.on('error', reject);
        child.on('close', (code) => first && code === 0 ? resolve(first - t) : reject(new Error(`${command} ${args.join(' ').slice(0, 200)}: status ${code} ${errors.slice(0, 400)}`)));
    });
}

export function runPith(o, args, input) {
    const r = spawnSync(o.pith, args, { encoding: 'utf8', input, maxBuffer: 1 << 30 });
    if (r.status) throw new Error(`pith ${args.join(' ')}: ${r.error?.message ?? r.stderr}`);
    return r.stdout;
}

export const engines = (o) => ({
    pith: (label, dir, threads) => Worker.open(label, o.worker, [dir, String(threads)]),
    ort: (label, file, threads) => Worker.open(label, process.execPath, [path.join(here, 'worker_ort.mjs'), o.packages, file, String(threads)]),
    llama: (label, file, threads) => Worker.open(label, process.execPath, [path.join(here, 'worker_llama.mjs'), o.packages, file, String(threads)]),
});

export function onceArgs(o, kind, file, threads, ids) {
    return [process.execPath, [path.join(here, `worker_${kind}.mjs`), o.packages, file, String(threads), '--once', ids]];
}

// ---- files, made once; pith's packed directories again when pith is newer than they ----

const newer = (a, b) => fs.existsSync(a) && fs.statSync(a).mtimeMs >= fs.statSync(b).mtimeMs;

function packed(o, source, type) {
    const dir = `${source.copy}-${type}`;
    if (newer(path.join(dir, 'config.json'), o.pith)) return dir;
    o.note(`packing ${dir}`);
    runPith(o, ['quantize', source.dir, dir, '--type', type, '--force', '-q']);
    fs.utimesSync(path.join(dir, 'config.json'), new Date(), new Date());
    return dir;
}

function converted(o, source, name, write) {
    const file = `${source.copy}-${name}`;
    if (!newer(file, path.join(source.dir, 'model.safetensors'))) {
        o.note(`writing ${file}`);
        write(source.dir, file);
    }
    return file;
}

function source(o, shape, bundled) {
    const at = path.join(o.packages, 'models');
    fs.mkdirSync(at, { recursive: true });
    if (o.smoke) return { dir: path.resolve('models/bundled', bundled), copy: path.join(at, bundled) };
    const dir = path.join(at, shape);
    if (!fs.existsSync(path.join(dir, 'model.safetensors'))) {
        o.note(`writing random weights to ${dir}`);
        fs.rmSync(dir, { recursive: true, force: true });
        runPith(o, ['bench', '--shape', shape, '--write', dir]);
    }
    return { dir, copy: dir };
}

export function prepareEncoder(o) {
    const s = source(o, 'distilbert-base', 'sentiment'), onnx = {};
    for (const form of ['fp32', 'fp32-fused', 'int8', 'int8-fused']) onnx[form] = converted(o, s, form + '.onnx', (d, f) => writeOnnx(d, f, form));
    return { dir: s.dir, keep: packed(o, s, 'keep'), q8: packed(o, s, 'q8'), onnx };
}

export function prepareDecoder(o) {
    const s = source(o, o.shape, 'reviews'), gguf = {};
    for (const type of ['BF16', 'F16', 'Q8_0', 'Q4_0', 'Q4_1']) gguf[type] = converted(o, s, type + '.gguf', (d, f) => writeGguf(d, f, type));
    return { dir: s.dir, keep: packed(o, s, 'keep'), q8: packed(o, s, 'q8'), q4: packed(o, s, 'q4'), gguf };
}

// RFC 4180, rows of fields.
function csv(text) {
    const rows = [[]];
    for (const m of text.matchAll(/("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/g)) {
        rows[rows.length - 1].push(m[1].startsWith('"') ? m[1].slice(1, -1).replaceAll('""', '"') : m[1]);
        if (m[2] !== ',') rows.push([]);
        if (m[2] === '') break;
    }
    return rows.filter((r) => r.length > 1);
}

// Files of real reviews as token ids, at most `longest` each: in the file's order and sorted by length; null without data.
export function prepareReviews(o, longest) {
    const data = path.join(o.shared, 'data/imdb_test_2000.csv'), tokenizer = o.smoke ? path.resolve('models/bundled/sentiment') : path.join(o.shared, 'tokenizers/bert-base-uncased');
    if (!fs.existsSync(data) || !fs.existsSync(tokenizer)) return null;
    const rows = csv(fs.readFileSync(data, 'utf8')), at = rows[0].indexOf('text'), body = rows.slice(1);
    const texts = Array.from({ length: o.reviews }, (_, i) => body[Math.floor(i * body.length / o.reviews)][at]);
    const ids = runPith(o, ['tokenize', '-m', tokenizer, '--ids', '--json-lines'], texts.map((t) => JSON.stringify(t)).join('\n') + '\n')
        .trim().split('\n').map((l) => JSON.parse(l)).map((r) => r.length > longest ? [...r.slice(0, longest - 1), r[r.length - 1]] : r);
    const put = (name, list) => {
        const file = path.join(o.packages, 'models', name);
        fs.writeFileSync(file, list.map((r) => JSON.stringify(r)).join('\n') + '\n');
        return file;
    };
    return { n: ids.length, tokens: ids.reduce((a, r) => a + r.length, 0), lengths: ids.map((r) => r.length), order: put('reviews.ids', ids),
        sorted: put('reviews-sorted.ids', [...ids].sort((a, b) => a.length - b.length)) };
}
