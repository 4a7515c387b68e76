// Shows what #data says. Text from the weights becomes text nodes and nothing else.

const data = JSON.parse(document.getElementById('data').textContent);
const natural = new Intl.Collator('en', {numeric: true});
const PAGE = 100, DEEPEST = 32, CELLS = 60;

// ---- numbers ----

function short(n) {
  const unit = ['', ' K', ' M', ' B', ' T'];
  let u = 0;
  for (; n >= 999.5 && u < 4; u++) n /= 1000;
  return (u ? n.toPrecision(3) : String(n)) + unit[u];
}
function bytes(n) {
  const unit = ['B', 'KB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  let u = 0;
  for (; n >= 999.95 && u < 6; u++) n /= 1000;
  return (u ? n.toFixed(1) : String(n)) + ' ' + unit[u];
}
function real(x, digits = 4) {
  if (x === null) return '–';
  const size = Math.abs(x), far = size !== 0 && (size < 1e-4 || size >= 1e7);
  return far ? x.toExponential(digits - 1).replace(/\.?0*e\+?/, 'e') : String(Number(x.toPrecision(digits)));
}
const exact = x => real(x, 9);
const share = (part, whole) => whole ? (100 * part / whole).toFixed(part >= whole / 10 ? 0 : 1) + '%' : '–';
// Characters that would not show, or would turn the text around, show as \u202e.
const plain = s => s.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
  c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));

// ---- elements ----

// A name that breaks its lines after dots.
const breaking = name => name.split(/(?<=[./])/).flatMap((part, i) => i ? [make('wbr'), part] : [part]);
function draw(tag, attributes, text) {
  const x = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [k, v] of Object.entries(attributes)) x.setAttribute(k, v);
  if (text !== undefined) x.textContent = text;
  return x;
}

// ---- tensors ----

const STATS = ['zero', 'nan', 'inf', 'below', 'above', 'min', 'max', 'mean', 'std', 'lo', 'hi', 'counts'];
const tensors = data.tensors.map(([name, dtype, shape, params, size, file, stats], index) => {
  const t = {index, name, label: plain(name).replace(/[\t\n]/g, ' ') || '(no name)', dtype, shape, params, bytes: size, file, shapeText: '[' + shape.join(', ') + ']'};
  t.search = (name + ' ' + dtype + ' ' + t.shapeText + ' ' + shape.join('x')).toLowerCase();
  if (typeof stats === 'string') t.why = stats;
  else STATS.forEach((key, k) => { t[key] = stats[k]; });
  return t;
});
const bins = t => t.counts ? t.counts.split(' ').map(x => parseInt(x, 36)) : [];
const total = tensors.reduce((a, t) => ({bytes: a.bytes + t.bytes, params: a.params + t.params}), {bytes: 0, params: 0});

const dtypes = new Map();
for (const t of tensors) {
  const d = dtypes.get(t.dtype) || {name: t.dtype, n: 0, params: 0, bytes: 0};
  d.n++; d.params += t.params; d.bytes += t.bytes;
  dtypes.set(t.dtype, d);
}
const byBytes = [...dtypes.values()].sort((a, b) => b.bytes - a.bytes || b.n - a.n);
const hue = new Map(byBytes.map((d, i) => [d.name, 'c' + Math.min(i, 5)]));

const findings = [
  ['nan', 'with NaN', t => t.nan > 0],
  ['inf', 'with infinities', t => t.inf > 0],
  ['zero', 'all zero', t => t.params > 0 && t.zero === t.params],
  ['constant', 'constant, not zero', t => t.params > 1 && t.min !== null && t.min === t.max && t.min !== 0 && !t.nan && !t.inf],
];

// ---- head ----

function showFacts() {
  const files = data.files.length, size = data.files.reduce((a, f) => a + f[1], 0);
  document.title = plain(data.name) + ' · pith inspect';
  $('name').textContent = plain(data.name);
  $('summary').textContent = data.format + (data.key ? ', tensors in ' + plain(data.key) : '') + ' · ' + plural(files, 'file') + ', ' + bytes(size);
  $('made').textContent = 'Made by pith ' + data.version + ' inspect --html. Everything is in this file; it loads nothing.';
  const biggest = tensors.reduce((a, t) => !a || t.bytes > a.bytes ? t : a, null);
  const tiles = [
    ['Parameters', short(total.params), count(total.params)],
    ['Tensors', count(tensors.length), biggest ? 'largest ' + bytes(biggest.bytes) : 'none'],
    ['Weights', bytes(total.bytes), count(total.bytes) + ' bytes'],
    ['dtypes', byBytes.slice(0, 3).map(d => d.name).join(' · ') + (byBytes.length > 3 ? ' …' : '') || '–',
      total.params ? (8 * total.bytes / total.params).toFixed(1) + ' bits a parameter' : ''],
  ];
  $('facts').append(...tiles.map(([k, v, more]) => make('div', {}, make('dt', {}, k), make('dd', {}, v, make('small', {}, more)))));

  const stack = make('div', {class: 'stack', 'aria-hidden': 'true'}), legend = make('div', {class: 'legend'});
  for (const d of byBytes) {
    const part = make('span', {class: hue.get(d.name)});
    part.style.flex = String(d.bytes || 0) + ' 0 0';
    stack.append(part);
    legend.append(make('span', {class: hue.get(d.name)}, make('i', {}), make('b', {}, d.name),
      ' ' + plural(d.n, 'tensor') + ', ' + bytes(d.bytes) + ', ' + share(d.bytes, total.bytes)));
  }
  if (byBytes.length > 1) $('dtypes').append(stack, legend);

  for (const [key, what, test] of findings) {
    const n = tensors.filter(test).length;
    if (n) $('findings').append(make('li', {}, make('button', {type: 'button', onclick: () => {
      $('only').value = 'finding:' + key;
      refresh();
      $('tensors').scrollIntoView();
    }}, plural(n, 'tensor') + ' ' + what)));
  }
  for (const w of data.warnings) $('findings').append(make('li', {}, make('span', {}, plain(w))));

  if (data.metadata.length) {
    $('metadata').hidden = false;
    $('metadata').querySelector('summary').textContent = 'Metadata: ' + plural(data.metadata.length, 'entry').replace('entrys', 'entries');
    $('metadata').querySelector('tbody').append(...data.metadata.map(([k, v, length, file]) =>
      make('tr', {}, make('td', {}, plain(k), files > 1 ? ' (' + plain(data.files[file][0]) + ')' : ''),
        make('td', {class: 'mono'}, plain(v) + (length > 4096 ? ' … (cut here, ' + bytes(length) + ' in all)' : '')))));
  }
}

// ---- modules ----

// A node: name, path, sums over the tensors below it (types: bytes by dtype), kids by kind and name, its own tensor.
function grow() {
  const node = (name, path) => ({name, path, bytes: 0, params: 0, n: 0, types: new Map(), kids: new Map(), tensor: null});
  const root = node(data.name, '');
  for (const t of tensors) {
    const parts = t.name.split('.');
    if (parts.length > DEEPEST) parts.splice(DEEPEST - 1, parts.length, parts.slice(DEEPEST - 1).join('.'));
    let at = root, path = '';
    for (let i = 0; ; i++) {
      at.bytes += t.bytes; at.params += t.params; at.n++;
      at.types.set(t.dtype, (at.types.get(t.dtype) || 0) + t.bytes);
      if (i === parts.length) break;
      path += (i ? '.' : '') + parts[i];
      const last = i === parts.length - 1, key = (last ? 't' : 'm') + parts[i];
      let kid = at.kids.get(key);
      if (!kid) at.kids.set(key, kid = node(parts[i], path));
      at = kid;
    }
    at.tensor = t;
  }
  return root;
}

// Down a chain of only children: "model" and "layers" become "model.layers".
function descend(node) {
  const label = x => plain(x.name) || '(no name)';
  let name = label(node);
  while (node.kids.size === 1 && !node.tensor) {
    node = node.kids.values().next().value;
    name += '.' + label(node);
  }
  return {node, name};
}

// Squarified treemap (Bruls, Huizing, van Wijk 2000): items with .size, largest first, get .x .y .w .h.
function squarify(items, x, y, w, h) {
  let left = items.reduce((a, b) => a + b.size, 0), from = 0;
  while (from < items.length) {
    const side = Math.min(w, h), scale = w * h / left;
    let sum = 0, to = from, worst = Infinity;
    while (to < items.length) {
      const next = sum + items[to].size, length = next * scale / side;
      const ratio = Math.max(...[items[from].size, items[to].size].map(s => {
        const other = s * scale / length;
        return Math.max(length / other, other / length);
      }));
      if (ratio > worst) break;
      worst = ratio; sum = next; to++;
    }
    const depth = sum * scale / side;
    let at = 0;
    for (; from < to; from++) {
      const length = items[from].size * scale / depth;
      if (w >= h) Object.assign(items[from], {x, y: y + at, w: depth, h: length});
      else Object.assign(items[from], {x: x + at, y, w: length, h: depth});
      at += length;
    }
    if (w >= h) { x += depth; w -= depth; } else { y += depth; h -= depth; }
    left -= sum;
  }
}

function parts(node, most) {
  const kids = [...node.kids.values()].filter(k => k.bytes > 0).sort((a, b) => b.bytes - a.bytes || natural.compare(a.name, b.name));
  const items = kids.slice(0, most).map(k => ({kid: k, size: k.bytes}));
  const rest = kids.slice(most);
  if (rest.length) items.push({kid: null, size: rest.reduce((a, k) => a + k.bytes, 0), n: rest.length});
  return items.sort((a, b) => b.size - a.size);
}

const colour = node => hue.get([...node.types].reduce((a, b) => b[1] > a[1] ? b : a)[0]);

let trail = [];

function place(x, item) {
  for (const [k, v] of [['left', item.x], ['top', item.y], ['width', item.w], ['height', item.h]]) x.style[k] = v + 'px';
  return x;
}

// What a cell holds, for the eye only, two levels deep.
function fill(x, node, outer, levels) {
  const top = outer.h > 52 ? 26 : 4;
  if (!levels || outer.w < 40 || outer.h < 28 || top === 4 && levels === 2) return;
  const inner = parts(node, 40);
  squarify(inner, 6, top, outer.w - 14, outer.h - top - 8);
  for (const k of inner) {
    if (k.w < 4 || k.h < 4) continue;
    const y = place(make('i', {class: k.kid ? colour(k.kid) : 'rest'}), k);
    x.append(y);
    const below = k.kid && descend(k.kid);
    if (k.w > 44 && k.h > 22) y.append(make('span', {class: 'label'}, below ? below.name : count(k.n) + ' smaller'));
    if (below && below.node.kids.size && k.h > 52) fill(y, below.node, k, levels - 1);
  }
}

function cell(item, whole) {
  if (!item.kid) return place(make('div', {class: 'cell rest'}, make('div', {class: 'label'}, count(item.n) + ' smaller')), item);
  const {node, name} = descend(item.kid), leaf = node.tensor && !node.kids.size;
  const what = bytes(node.bytes) + ', ' + share(node.bytes, whole);
  const x = make('button', {type: 'button', class: 'cell ' + colour(node), title: name + ': ' + what,
    'aria-label': (leaf ? 'tensor ' : 'module ') + name + ', ' + what + (leaf ? '' : ', ' + plural(node.n, 'tensor')),
    onclick: () => leaf ? showDetail(node.tensor) : enter([...trail, {node, name}])});
  if (item.w > 34 && item.h > 24)
    x.append(make('div', {class: 'label'}, make('b', {}, name), item.w > 140 ? make('span', {}, item.w > 230 ? what : bytes(node.bytes)) : ''));
  if (!leaf) fill(x, node, item, 2);
  return place(x, item);
}

function showMap() {
  const map = $('map'), node = trail[trail.length - 1].node, items = parts(node, CELLS);
  if (items.length) {
    squarify(items, 2, 2, map.clientWidth - 4, map.clientHeight - 4);
    map.replaceChildren(...items.map(i => cell(i, node.bytes)));
  } else map.replaceChildren(make('p', {}, 'No bytes here.'));
  $('crumbs').replaceChildren(...trail.flatMap((step, i) => {
    const here = i === trail.length - 1;
    const b = make('button', {type: 'button', 'aria-current': here ? 'location' : false,
      onclick: () => here || enter(trail.slice(0, i + 1))}, i ? step.name : 'all');
    return i ? [make('span', {'aria-hidden': 'true'}, '/'), b] : [b];
  }), make('span', {}, '  ' + bytes(node.bytes) + ', ' + short(node.params) + ' parameters, ' + plural(node.n, 'tensor')));
}

function enter(to) {
  trail = to;
  showMap();
  refresh();
  const first = $('map').querySelector('button');
  if (first) first.focus({preventScroll: true});
}

// ---- histograms ----

function bars(values, w, h) {
  const most = Math.max(...values), step = w / values.length, gap = step > 6 ? 1 : 0;
  let d = '';
  values.forEach((v, k) => {
    if (!v) return;
    const y = Math.max(v / most * h, Math.min(1, h));
    d += 'M' + (k * step).toFixed(2) + ' ' + h + 'v' + (-y).toFixed(2) + 'h' + (step - gap).toFixed(2) + 'V' + h + 'z';
  });
  return draw('path', {class: 'bars', d});
}

function spark(t) {
  const values = bins(t), W = 120, H = 26;
  const x = draw('svg', {class: 'spark', viewBox: '0 0 ' + W + ' ' + H, preserveAspectRatio: 'none', role: 'img',
    'aria-label': 'values from ' + real(t.min) + ' to ' + real(t.max)});
  if (t.lo < 0 && t.hi > 0) {
    const at = -t.lo / (t.hi - t.lo) * W;
    x.append(draw('line', {class: 'zero', x1: at, x2: at, y1: 0, y2: H}));
  }
  x.append(draw('line', {class: 'base', x1: 0, x2: W, y1: H, y2: H}));
  x.append(bars(values.length === 1 ? [0, 0, 0, 0, 0, values[0], 0, 0, 0, 0, 0] : values, W, H - 1));
  if (t.below) x.append(draw('path', {class: 'beyond', d: 'M0 ' + H + 'l5 -4v8z'}));
  if (t.above) x.append(draw('path', {class: 'beyond', d: 'M' + W + ' ' + H + 'l-5 -4v8z'}));
  return x;
}

function large(t, width) {
  const values = bins(t), H = 220, foot = 24, most = Math.max(...values), n = values.length;
  const x = draw('svg', {width, height: H + foot, viewBox: '0 0 ' + width + ' ' + (H + foot), role: 'img',
    'aria-label': 'Histogram of ' + n + ' bins from ' + real(t.lo) + ' to ' + real(t.hi) + ', at most ' + count(most) + ' values in one'});
  const single = n === 1, shown = single ? [0, 0, 0, 0, 0, values[0], 0, 0, 0, 0, 0] : values;
  if (t.lo < 0 && t.hi > 0) {
    const at = -t.lo / (t.hi - t.lo) * width;
    x.append(draw('line', {class: 'zero', x1: at, x2: at, y1: 0, y2: H}));
    if (at > 70 && at < width - 70) x.append(draw('text', {x: at, y: H + 18, 'text-anchor': 'middle'}, '0'));
  }
  x.append(bars(shown, width, H), draw('line', {class: 'base', x1: 0, x2: width, y1: H, y2: H}));
  if (single) x.append(draw('text', {x: width / 2, y: H + 18, 'text-anchor': 'middle'}, real(t.lo)));
  else x.append(draw('text', {x: 0, y: H + 18}, real(t.lo)), draw('text', {x: width, y: H + 18, 'text-anchor': 'end'}, real(t.hi)));
  if (!single) values.forEach((v, k) => {
    const step = width / n, r = draw('rect', {x: k * step, y: 0, width: step, height: H, fill: 'transparent'});
    r.append(draw('title', {}, edges(t, k, n) + ': ' + count(v)));
    x.append(r);
  });
  return x;
}
const edges = (t, k, n) => real(t.lo + (t.hi - t.lo) * k / n) + ' to ' + real(t.lo + (t.hi - t.lo) * (k + 1) / n);

function showDetail(t) {
  const body = $('detail-body'), values = bins(t);
  $('detail-title').replaceChildren(...breaking(t.label));
  const facts = [['dtype', t.dtype], ['shape', t.shapeText], ['parameters', count(t.params)], ['bytes', count(t.bytes)]];
  if (!t.why) facts.push(['min', exact(t.min)], ['max', exact(t.max)], ['mean', exact(t.mean)], ['std', exact(t.std)],
    ['zeros', count(t.zero) + ' (' + share(t.zero, t.params) + ')'], ['NaN', count(t.nan)], ['infinite', count(t.inf)]);
  if (data.files.length > 1) facts.push(['file', plain(data.files[t.file][0])]);
  body.replaceChildren(make('dl', {}, ...facts.map(([k, v]) => make('div', {}, make('dt', {}, k), make('dd', {}, v)))));
  if ($('detail').open) $('detail').close();
  $('detail').showModal();
  if (t.why) body.append(make('p', {class: 'hint'}, t.why));
  else if (!values.length) body.append(make('p', {class: 'hint'}, t.params ? 'No finite value.' : 'No values.'));
  else {
    body.append(large(t, body.clientWidth - 40));
    if (t.below || t.above) body.append(make('p', {class: 'hint'},
      'Beyond the ends: ' + count(t.below) + ' below, ' + count(t.above) + ' above. A few far values would hide the rest.'));
    body.append(make('details', {}, make('summary', {}, 'Counts'), make('div', {class: 'scroll'}, make('table', {},
      make('tbody', {}, ...values.map((v, k) => make('tr', {}, make('td', {}, values.length > 1 ? edges(t, k, values.length) : real(t.lo)),
        make('td', {}, count(v)))))))));
  }
}

// ---- table ----

const number = key => (a, b) => a[key] - b[key];
function shapes(a, b) {
  for (let i = 0; i < a.shape.length && i < b.shape.length; i++)
    if (a.shape[i] !== b.shape[i]) return a.shape[i] - b.shape[i];
  return a.shape.length - b.shape.length;
}
const columns = [
  {key: 'name', title: 'Tensor', order: (a, b) => natural.compare(a.name, b.name), cell: t => make('td', {},
    make('button', {type: 'button', class: 'open mono', onclick: () => showDetail(t)}, ...breaking(t.label)),
    make('small', {}, t.dtype + ' ' + t.shapeText))},
  {key: 'dtype', title: 'dtype', css: 'left middle', order: (a, b) => natural.compare(a.dtype, b.dtype), text: t => t.dtype},
  {key: 'shape', title: 'shape', css: 'left middle', order: shapes, text: t => t.shapeText},
  {key: 'params', title: 'parameters', css: 'wide', text: t => count(t.params)},
  {key: 'bytes', title: 'bytes', text: t => bytes(t.bytes)},
  {key: 'min', title: 'min', css: 'wide', text: t => real(t.min)},
  {key: 'max', title: 'max', css: 'wide', text: t => real(t.max)},
  {key: 'mean', title: 'mean', css: 'wide', text: t => real(t.mean)},
  {key: 'nan', title: 'NaN', css: 'middle', text: t => count(t.nan), bad: t => t.nan > 0},
  {key: 'inf', title: 'Inf', css: 'middle', text: t => count(t.inf), bad: t => t.inf > 0},
  {key: 'values', title: 'values', cell: t => make('td', {}, t.counts ? spark(t) : '–')},
];
let sorted = {key: 'name', down: false}, rows = [], first = 0;

function showHead() {
  $('table').tHead.rows[0].replaceChildren(...columns.map(c => {
    const on = sorted.key === c.key;
    return make('th', {scope: 'col', class: c.css, 'aria-sort': on ? (sorted.down ? 'descending' : 'ascending') : false},
      c.key === 'values' ? make('span', {}, c.title) : make('button', {type: 'button', 'data-key': c.key, onclick: () => {
        sorted = {key: c.key, down: on ? !sorted.down : !['name', 'dtype', 'shape'].includes(c.key)};
        refresh();
        document.querySelector('th [data-key="' + c.key + '"]').focus();
      }}, c.title));
  }));
}

function showRows() {
  const shown = rows.slice(first, first + PAGE), last = first + shown.length;
  const line = t => make('tr', {}, ...columns.map(c => {
    if (c.cell) { const x = c.cell(t); if (c.css) x.className = c.css; return x; }
    if (t.why && !['dtype', 'shape', 'params', 'bytes'].includes(c.key)) return make('td', {class: (c.css || '') + ' none'}, '–');
    const odd = c.bad && (c.bad(t) ? ' bad' : ' none');
    return make('td', {class: (c.css || '') + (odd || '')}, c.text(t));
  }));
  $('table').tBodies[0].replaceChildren(...shown.map(line));
  if (!shown.length) $('table').tBodies[0].append(make('tr', {}, make('td', {class: 'empty', colspan: columns.length}, 'No tensor matches.')));
  $('count').textContent = rows.length === tensors.length ? plural(rows.length, 'tensor')
    : count(rows.length) + ' of ' + plural(tensors.length, 'tensor');
  const turn = (id, text, to, off) => make('button', {type: 'button', id, disabled: off, onclick: () => {
    first = to;
    showRows();
    $('tensors').scrollIntoView();
    const same = $(id);
    (same.disabled ? $('frame') : same).focus({preventScroll: true});
  }}, text);
  $('pages').replaceChildren(...rows.length <= PAGE ? [] : [turn('earlier', 'Back', first - PAGE, first === 0),
    make('span', {}, count(first + 1) + '–' + count(last) + ' of ' + count(rows.length)),
    turn('later', 'Next', first + PAGE, last === rows.length)]);
}

function refresh() {
  const words = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean), [kind, what] = $('only').value.split(':');
  const node = trail[trail.length - 1].node, finding = kind === 'finding' && findings.find(f => f[0] === what)[2];
  const inside = t => trail.length === 1 || t.name === node.path || t.name.startsWith(node.path + '.');
  rows = tensors.filter(t => inside(t) && words.every(w => t.search.includes(w)) && (kind !== 'dtype' || t.dtype === what) && (!finding || finding(t)));
  const c = columns.find(x => x.key === sorted.key), order = c.order || number(c.key), sign = sorted.down ? -1 : 1;
  const missing = t => t[c.key] === undefined || t[c.key] === null; // last, either way
  rows.sort((a, b) => missing(a) - missing(b) || (missing(a) ? 0 : sign * order(a, b)) || a.index - b.index);
  first = 0;
  $('chip').hidden = trail.length === 1;
  $('chip').textContent = 'in ' + plain(node.path) + '  ×';
  $('chip').setAttribute('aria-label', 'Leave module ' + plain(node.path));
  showHead();
  showRows();
}

function start() {
  const option = (value, text) => make('option', {value}, text);
  $('only').append(option('all', 'All tensors'), ...byBytes.map(d => option('dtype:' + d.name, d.name + ' only')),
    ...findings.filter(f => tensors.some(f[2])).map(f => option('finding:' + f[0], 'Those ' + f[1])));
  showFacts();
  const root = descend(grow());
  trail = [{node: root.node, name: 'all'}];
  showMap();
  refresh();
  $('filter').addEventListener('input', refresh);
  $('only').addEventListener('change', refresh);
  $('chip').addEventListener('click', () => enter(trail.slice(0, 1)));
  $('close').addEventListener('click', () => $('detail').close());
  $('detail').addEventListener('click', e => { if (e.target === $('detail')) $('detail').close(); });
  let width = $('map').clientWidth;
  addEventListener('resize', () => {
    if ($('map').clientWidth === width) return;
    width = $('map').clientWidth;
    showMap();
  });
}
start();
