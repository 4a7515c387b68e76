// Talks to the server that it came from, and to nobody else. What models and people write becomes text nodes only.

// ---- what is kept: the theme in the browser, all else in this tab ----

function kept(area, name) {
  try { return area().getItem('pith-' + name); } catch { return null; }
}
function keep(area, name, value) {
  try {
    if (value) area().setItem('pith-' + name, value);
    else area().removeItem('pith-' + name);
  } catch { /* the browser keeps nothing: it holds as long as the page */ }
}
const here = () => sessionStorage, everywhere = () => localStorage;

let key = kept(here, 'key') || '';
let models = [];

// ---- elements and numbers ----

function short(n, units, base) {
  let u = 0;
  for (; n >= base && u < units.length - 1; u++) n /= 1000;
  return (u ? n.toPrecision(3) : String(n)) + units[u];
}
const signed = (x, digits) => (x < 0 ? '\u2212' : '+') + Math.abs(x).toFixed(digits);
const say = text => { $('said').textContent = text; };

// ---- the server ----

class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function refusal(r) {
  let message = '';
  try {
    const {error} = await r.json();
    message = typeof error === 'string' ? error : error.message;
  } catch { /* not one of ours */ }
  if (r.status === 401) askKey();
  return new Refusal(message || 'The server answered ' + r.status + ' ' + r.statusText, r.status);
}

// The response to a GET, or to a POST of a body; throws a Refusal.
async function ask(path, body, signal) {
  const headers = key ? {Authorization: 'Bearer ' + key} : {};
  if (body) headers['Content-Type'] = 'application/json';
  let r;
  try {
    r = await fetch(path, {method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), signal, cache: 'no-store', credentials: 'omit'});
  } catch (e) {
    if (signal && signal.aborted) throw e;
    throw new Refusal('The server does not answer. Is it still running?', 0);
  }
  if (!r.ok) throw await refusal(r);
  return r;
}

// The events of a stream, parsed; it must end with [DONE].
async function* events(r) {
  const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) throw new Refusal('The answer broke off: the server ended the connection.', 0);
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data:')) continue;
      const data = line.slice(5).trim();
      if (data === '[DONE]') return;
      yield JSON.parse(data);
    }
  }
}

function notice(text, label, act) {
  const box = $('notice');
  box.hidden = !text;
  box.replaceChildren(make('span', {}, text || ''));
  if (label) box.append(make('button', {type: 'button', onclick: act}, label));
}

let loading = 0; // the load that counts: the last one begun
async function load() {
  const mine = ++loading;
  const later = (text, ms) => {
    notice(text, 'Try now', load);
    setTimeout(() => mine === loading && load(), ms);
  };
  try {
    await ask('/ready');
    const info = await (await ask('/info')).json();
    if (mine !== loading) return;
    notice('');
    showModels(info);
  } catch (e) {
    if (mine !== loading) return;
    if (e.status === 401) notice(key ? 'The server does not accept this key.' : 'This server wants a key.', 'Enter the key', askKey);
    else if (e.status === 503) later('The server is not ready: its models are being loaded.', 1000);
    else later(e.message, 3000);
  }
}

// ---- the key ----

function askKey() {
  $('key-open').hidden = false;
  if (!$('key').open) $('key').showModal();
  $('key-text').select();
}
$('key-open').hidden = !key;
$('key-open').addEventListener('click', askKey);
$('key-cancel').addEventListener('click', () => $('key').close());
$('key-form').addEventListener('submit', event => {
  event.preventDefault();
  key = $('key-text').value.trim();
  keep(here, 'key', key);
  $('key-text').value = '';
  $('key').close();
  load();
});

// ---- theme ----

const system = matchMedia('(prefers-color-scheme: dark)');
const isDark = chosen => chosen ? chosen === 'dark' : system.matches;
function theme(chosen) {
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
  $('theme').textContent = isDark(chosen) ? 'Light' : 'Dark'; // what it turns to
  $('theme').setAttribute('aria-label', $('theme').textContent + ' colours');
}
theme(kept(everywhere, 'theme'));
system.addEventListener('change', () => theme(kept(everywhere, 'theme')));
$('theme').addEventListener('click', () => {
  const next = isDark(kept(everywhere, 'theme')) ? 'light' : 'dark'; // not what the button says: its 'change' may be on the way
  const chosen = (next === 'dark') === system.matches ? '' : next; // the system's own is no choice
  keep(everywhere, 'theme', chosen);
  theme(chosen);
});

// ---- tabs ----

const tabs = [...document.querySelectorAll('[role=tab]')];
const shownTabs = () => tabs.filter(x => !x.hidden);
const panel = tab => $(tab.getAttribute('aria-controls'));

function choose(tab, focus) {
  for (const x of tabs) {
    x.setAttribute('aria-selected', String(x === tab));
    x.tabIndex = x === tab ? 0 : -1;
    panel(x).hidden = x !== tab;
  }
  history.replaceState(null, '', '#' + panel(tab).id);
  if (focus) tab.focus();
  else if (panel(tab).id === 'write') $('prompt').focus();
  else if (panel(tab).id === 'classify') $('text').focus();
  for (const x of [$('prompt'), $('text')]) grow(x);
  if (stick) follow();
}
for (const tab of tabs) {
  tab.addEventListener('click', () => choose(tab));
  tab.addEventListener('keydown', event => {
    const all = shownTabs(), at = all.indexOf(tab), n = all.length;
    const to = {ArrowRight: (at + 1) % n, ArrowLeft: (at + n - 1) % n, Home: 0, End: n - 1}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(all[to], true);
  });
}

function grow(area) {
  area.style.height = 'auto';
  area.style.height = area.scrollHeight + 'px';
}
for (const area of [$('prompt'), $('text')]) area.addEventListener('input', () => grow(area));

// ---- models ----

const writes = m => m.model_type.generator;
const judges = m => m.model_type.classifier;

function kindOf(m) {
  const t = m.model_type;
  if (t.generator) return t.generator.chat ? 'Chat' : 'Completion';
  return t.classifier ? 'Classifier' : t.reranker ? 'Reranker' : 'Embeddings';
}

function card(m) {
  const t = m.model_type, labels = Object.values((t.classifier || t.reranker || {id2label: {}}).id2label);
  const facts = [
    ['Type', m.architecture],
    ['Parameters', short(m.parameters, ['', ' K', ' M', ' B', ' T'], 999.5)],
    ['Weights', short(m.weight_bytes, [' B', ' KB', ' MB', ' GB', ' TB'], 999.5) + (m.model_dtype === 'auto' ? '' : ', ' + m.model_dtype)],
    [t.generator ? 'Context' : 'Longest text', plural(m.max_input_length, 'token')],
    ['Embedding', m.embedding_size ? count(m.embedding_size) + ' numbers' + (t.embedding ? ', ' + t.embedding.pooling : '') : ''],
    ['Kernels', m.kernels], ['Threads', m.threads ? count(m.threads) : ''],
  ].filter(([, v]) => v);
  const list = make('dl', {}, ...facts.map(([k, v]) => make('div', {}, make('dt', {}, k), make('dd', {}, v))));
  const box = make('article', {class: 'card'},
    make('div', {class: 'heading'}, make('h2', {}, m.model_id), make('span', {class: 'kind'}, kindOf(m))), list);
  if (labels.length) box.append(make('ul', {class: 'labels', 'aria-label': 'Labels'}, ...labels.map(x => make('li', {}, x))));
  return box;
}

function fill(select, list) {
  const chosen = select.value;
  select.replaceChildren(...list.map(m => make('option', {value: m.model_id}, m.model_id)));
  if (list.some(m => m.model_id === chosen)) select.value = chosen;
  select.disabled = list.length < 2;
}

function showModels(info) {
  models = info.models;
  const writers = models.filter(writes), classifiers = models.filter(judges);
  $('cards').replaceChildren(...models.map(card));
  $('server').textContent = 'pith ' + info.version + ', ' + plural(models.length, 'model') + ', at most ' + plural(info.max_concurrent_requests, 'request') + ' waiting for each';
  fill($('write-model'), writers);
  fill($('classify-model'), classifiers);
  $('tab-write').hidden = !writers.length;
  $('tab-classify').hidden = !classifiers.length;
  $('tab-write').textContent = writers.some(m => m.model_type.generator.chat) || !writers.length ? 'Chat' : 'Complete';
  modelChosen();
  const wanted = shownTabs().find(x => '#' + panel(x).id === location.hash) || shownTabs()[0];
  if (wanted.getAttribute('aria-selected') !== 'true') choose(wanted);
}

// ---- settings ----

const NUMBERS = ['temperature', 'top_p', 'max_tokens', 'seed'];
let settings = {};
try { settings = JSON.parse(kept(here, 'settings')) || {}; } catch { /* as if there were none */ }

function wrongWith(input) {
  const whole = input.step === '1', v = input.validity;
  if (v.valid) return '';
  if (v.badInput) return 'This is not a number.';
  if (v.stepMismatch) return 'This must be a whole number.';
  return (whole ? 'A whole number' : 'A number') + (input.id === 'top_p' ? ' from 0 to 1.' : ', ' + input.min + ' or more.');
}
function validate() {
  let first = null;
  for (const name of NUMBERS) {
    const input = $(name), wrong = wrongWith(input);
    $(name + '-wrong').textContent = wrong;
    input.setAttribute('aria-invalid', String(Boolean(wrong)));
    if (wrong && !first) first = input;
  }
  return first;
}
function countSettings() {
  const n = [...NUMBERS, 'system'].filter(x => settings[x] !== undefined).length;
  $('settings-open').textContent = n ? 'Settings (' + n + ')' : 'Settings';
}
function showSettings(values) {
  for (const name of [...NUMBERS, 'system']) $(name).value = values[name] === undefined ? '' : String(values[name]);
  validate();
}
for (const name of NUMBERS) {
  $(name).setAttribute('aria-describedby', name + '-wrong');
  $(name).addEventListener('change', validate);
}
countSettings();
$('settings-open').addEventListener('click', () => {
  showSettings(settings);
  $('settings').showModal();
});
$('settings-reset').addEventListener('click', () => showSettings({}));
$('settings-cancel').addEventListener('click', () => $('settings').close());
$('settings-form').addEventListener('submit', event => {
  event.preventDefault();
  const wrong = validate();
  if (wrong) {
    wrong.focus();
    return;
  }
  settings = {};
  for (const name of NUMBERS) if ($(name).value !== '') settings[name] = $(name).valueAsNumber;
  if ($('system').value.trim()) settings.system = $('system').value;
  keep(here, 'settings', JSON.stringify(settings));
  countSettings();
  $('settings').close();
  $('prompt').focus();
});
// In a line of a form Enter is the first button's; here it is Save's.
$('settings-form').addEventListener('keydown', event => {
  if (event.key !== 'Enter' || event.target.tagName !== 'INPUT') return;
  event.preventDefault();
  $('settings-form').requestSubmit();
});

// ---- text with code in it ----

// [kind, text] for each part: text, code, bold, fence.
function parts(text) {
  const out = [];
  text.split(/^```/m).forEach((piece, i, all) => {
    if (i % 2) {
      out.push(['fence', piece.replace(/^[^\n]*\n?/, '').replace(/\n$/, '')]);
      return;
    }
    if (i) piece = piece.replace(/^[^\S\n]*\n/, '');
    if (i < all.length - 1) piece = piece.replace(/\n$/, '');
    piece.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).forEach((x, k) => {
      if (!x) return;
      if (k % 2) out.push(x[0] === '`' ? ['code', x.slice(1, -1)] : ['bold', x.slice(2, -2)]);
      else out.push(['text', x]);
    });
  });
  return out;
}
function part(kind, text) {
  const leaf = document.createTextNode(text);
  const node = kind === 'text' ? leaf : kind === 'fence' ? make('pre', {tabindex: '0'}, make('code', {}, leaf)) :
    make(kind === 'code' ? 'code' : kind === 'given' ? 'span' : 'strong', kind === 'given' ? {class: 'given'} : {}, leaf);
  node.kind = kind;
  node.leaf = leaf;
  return node;
}
// Only what has changed is touched: a selection in it lives on.
function update(node, list) {
  list.forEach(([kind, text], i) => {
    const old = node.childNodes[i];
    if (old && old.kind === kind) {
      if (text.startsWith(old.leaf.data)) old.leaf.appendData(text.slice(old.leaf.data.length));
      else old.leaf.data = text;
      return;
    }
    while (node.childNodes.length > i) node.lastChild.remove();
    node.append(part(kind, text));
  });
  while (node.childNodes.length > list.length) node.lastChild.remove();
}

// ---- writing: chats and completions ----

let turns = [];      // {given, answer, chat, user, reply, said, about}
let writing = null;  // of the answer that is being written
let stick = true;    // the log follows its end
let followed = 0;    // how far it has
const log = $('log');

const modelNamed = (select, can) => models.find(m => m.model_id === select.value && can(m));
const chats = () => {
  const m = modelNamed($('write-model'), writes);
  return Boolean(m && m.model_type.generator.chat);
};

function modelChosen() {
  const chat = chats();
  if (turns.length && turns[0].chat !== chat) clearTurns();
  $('prompt').placeholder = chat ? 'Write a message' : 'Begin a text';
  $('prompt-label').textContent = chat ? 'Message' : 'The beginning of a text';
  $('send').textContent = chat ? 'Send' : 'Complete';
  $('welcome').children[0].textContent = chat ? 'Chat with ' + $('write-model').value : 'Begin, and ' + $('write-model').value + ' goes on';
  $('welcome').children[1].textContent = chat ? 'What you write goes to this server and nowhere else.' : 'It has no chat template: it completes texts.';
  for (const x of document.querySelectorAll('.chat-only')) x.hidden = !chat;
}
$('write-model').addEventListener('change', () => {
  stop();
  modelChosen();
  $('prompt').focus();
});

function toEnd() {
  if (!log.clientHeight) return; // another tab is shown
  if (log.scrollTop < followed - 4) stick = false; // the reader has gone up; the event that says so is still to come
  if (!stick) {
    $('latest').hidden = false;
    return;
  }
  log.scrollTop = log.scrollHeight;
  followed = log.scrollTop;
}
function follow() {
  stick = true;
  followed = 0;
  $('latest').hidden = true;
  toEnd();
}
log.addEventListener('scroll', () => {
  stick = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
  followed = stick ? log.scrollTop : 0;
  if (stick) $('latest').hidden = true;
});
new ResizeObserver(() => stick && follow()).observe(log);
$('latest').addEventListener('click', follow);

function addTurn(given) {
  const t = {given, answer: '', chat: chats()};
  t.said = make('div', {class: 'said'});
  t.about = make('div', {class: 'about'});
  t.reply = make('article', {class: 'turn answer'}, make('h3', {}), t.said, t.about);
  if (t.chat) {
    t.user = make('article', {class: 'turn user'}, make('h3', {class: 'unseen'}, 'You'), make('div', {class: 'said'}, given));
    $('turns').append(t.user);
  }
  $('turns').append(t.reply);
  for (const x of turns) x.reply.querySelectorAll('.last').forEach(b => b.remove());
  turns.push(t);
  $('welcome').hidden = true;
  $('clear').hidden = false;
  return t;
}
function clearTurns() {
  stop();
  turns = [];
  $('turns').replaceChildren();
  $('welcome').hidden = false;
  $('clear').hidden = true;
  follow();
}
$('clear').addEventListener('click', () => {
  clearTurns();
  say('Cleared');
  $('prompt').focus();
});

function showTurn(t) {
  t.drawn = 0;
  update(t.said, t.chat ? parts(t.answer.trimStart()) : [['given', t.given], ['text', t.answer]].filter(x => x[1]));
  toEnd();
}
// Several tokens a frame are drawn once. A timer, since a tab behind others gets no frames.
function showSoon(t) {
  if (!t.drawn) t.drawn = setTimeout(showTurn, 30, t);
}

function requestFor(t) {
  const {system, ...numbers} = settings;
  const body = {model: $('write-model').value, stream: true, stream_options: {include_usage: true}, ...numbers};
  if (!t.chat) {
    const most = models.find(m => m.model_id === body.model).max_input_length;
    return ['/v1/completions', {max_tokens: most, ...body, prompt: t.given + t.answer}]; // without: 16
  }
  const messages = system ? [{role: 'system', content: system}] : [];
  for (const x of turns) {
    if (x !== t && !x.answer) continue; // many templates want the roles in turn
    messages.push({role: 'user', content: x.given});
    if (x === t) break;
    messages.push({role: 'assistant', content: x.answer});
  }
  return ['/v1/chat/completions', {...body, messages}];
}

function busy(on) {
  $('send').hidden = on;
  $('stop').hidden = !on;
}

async function write(t) {
  const mine = writing = new AbortController(), began = performance.now();
  const run = {first: 0, last: 0, tokens: 0, finish: '', error: ''};
  t.reply.setAttribute('aria-busy', 'true');
  t.reply.firstChild.textContent = $('write-model').value;
  t.about.replaceChildren();
  t.reply.querySelector('.error')?.remove();
  busy(true);
  showTurn(t);
  follow();
  say('Writing');
  try {
    const [path, body] = requestFor(t);
    for await (const event of events(await ask(path, body, mine.signal))) {
      if (event.error) throw new Refusal(event.error.message, 0);
      if (event.usage) run.tokens = event.usage.completion_tokens;
      const c = event.choices[0], piece = c && (t.chat ? c.delta.content : c.text);
      if (c && c.finish_reason) run.finish = c.finish_reason;
      if (!piece) continue;
      run.last = performance.now() - began;
      run.first ||= run.last;
      run.tokens++;
      t.answer += piece;
      showSoon(t);
    }
  } catch (e) {
    if (mine.signal.aborted) run.finish = 'stopped';
    else run.error = e instanceof Refusal ? e.message : 'The answer broke off: ' + e.message;
    mine.abort(); // whatever may still come
  }
  if (writing === mine) {
    writing = null;
    busy(false);
  }
  clearTimeout(t.drawn);
  t.reply.removeAttribute('aria-busy');
  if (!turns.includes(t)) return; // cleared meanwhile
  showTurn(t);
  finish(t, run);
}

function finish(t, run) {
  const facts = [];
  if (run.tokens) facts.push(plural(run.tokens, 'token'));
  if (run.last - run.first > 250) facts.push(count(Number((1000 * (run.tokens - 1) / (run.last - run.first)).toPrecision(3))) + ' a second');
  if (run.first) facts.push('first after ' + (run.first < 1000 ? Math.round(run.first) + ' ms' : (run.first / 1000).toFixed(1) + ' s'));
  if (run.finish === 'stopped') facts.push('stopped');
  if (run.finish === 'length') facts.push('token limit reached');
  const more = () => {
    if (writing) return;
    $('prompt').focus();
    write(t);
  };
  const again = () => {
    if (!writing) t.answer = '';
    more();
  };
  const act = (label, run, last) => make('button', {type: 'button', class: 'quiet' + (last ? ' last' : ''), onclick: run}, label);
  if (t.answer) t.about.append(act('Copy', event => copy(t.chat ? t.answer.trim() : t.given + t.answer, event.target)));
  if (!run.error) t.about.append(act('Regenerate', again, true));
  if (!t.chat && !run.error) t.about.append(act('Continue', more, true));
  t.about.append(make('span', {}, facts.join(' \u00b7 ')));
  if (run.error) t.about.before(make('div', {class: 'error', role: 'alert'}, make('span', {}, run.error), make('button', {type: 'button', class: 'last', onclick: again}, 'Try again')));
  else say((run.finish === 'stopped' ? 'Stopped. ' : '') + t.answer.trim());
  toEnd();
}

async function copy(text, button) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch { // not a secure context: http on another machine
    const area = make('textarea', {class: 'unseen'});
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand('copy');
    area.remove();
    button.focus();
  }
  button.textContent = done ? 'Copied' : 'Not copied';
  say(button.textContent);
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
}

function stop() {
  if (writing) writing.abort();
}
$('stop').addEventListener('click', () => {
  stop();
  $('prompt').focus();
});
$('composer').addEventListener('submit', event => {
  event.preventDefault();
  const text = $('prompt').value;
  if (writing || !text.trim()) return;
  $('prompt').value = '';
  grow($('prompt'));
  write(addTurn(text));
});
$('prompt').addEventListener('keydown', event => {
  if (event.isComposing) return;
  if (event.key === 'Enter' && !event.shiftKey) {
    event.preventDefault();
    $('composer').requestSubmit();
  } else if (event.key === 'ArrowUp' && !$('prompt').value && turns.length) {
    event.preventDefault();
    $('prompt').value = turns[turns.length - 1].given;
    grow($('prompt'));
  }
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && writing && !document.querySelector('dialog[open]')) stop();
});

// ---- classifying ----

let judging = null; // of the text that is being classified
let explaining = null;

const problem = (message, label, act) => {
  const box = make('div', {class: 'error', role: 'alert'}, make('span', {}, message));
  if (label) box.append(make('button', {type: 'button', onclick: act}, label));
  return box;
};

async function judge(truncate) {
  const text = $('text').value, model = $('classify-model').value;
  if (!text.trim()) return;
  if (judging) judging.abort();
  if (explaining) explaining.abort();
  const mine = judging = new AbortController();
  $('judged').setAttribute('aria-busy', 'true');
  $('judged-error').replaceChildren();
  try {
    const list = await (await ask('/predict', {inputs: text, model, truncate}, mine.signal)).json();
    if (mine !== judging) return;
    $('judged').hidden = false;
    showScores(list, label => explain(text, model, label, truncate));
  } catch (e) {
    if (mine !== judging) return;
    $('judged').hidden = true;
    const cut = e.status === 413 && !truncate;
    $('judged-error').append(problem(e.message, cut ? 'Classify its beginning' : 'Try again', () => judge(cut || truncate)));
  }
  $('judged').removeAttribute('aria-busy');
}

function showScores(list, onChosen) {
  const shares = list.every(x => x.score >= 0 && x.score <= 1), most = shares ? 1 : Math.max(...list.map(x => Math.abs(x.score))) || 1;
  const number = x => shares ? (100 * x.score).toFixed(1) + '%' : x.score.toPrecision(4);
  $('scores-title').textContent = list[0].label + ', ' + number(list[0]);
  $('scores').replaceChildren(...list.map(x => {
    const bar = make('span', {});
    bar.style.width = 100 * Math.abs(x.score) / most + '%';
    const row = make('button', {type: 'button', class: 'score', 'aria-pressed': 'false'},
      make('span', {class: 'name'}, x.label), make('span', {class: 'track', 'aria-hidden': 'true'}, bar), make('span', {class: 'number'}, number(x)));
    row.addEventListener('click', () => {
      for (const y of $('scores').children) y.setAttribute('aria-pressed', String(y === row));
      onChosen(x.label);
    });
    return row;
  }));
  say(list[0].label + ', ' + number(list[0]));
  $('scores').firstChild.click();
}

async function explain(text, model, label, truncate) {
  if (explaining) explaining.abort();
  const mine = explaining = new AbortController();
  $('words-title').textContent = 'What speaks for \u201c' + label + '\u201d';
  $('words-hint').textContent = 'The text is read again without each of its words\u2026';
  $('words').textContent = text;
  $('strongest').replaceChildren();
  try {
    const found = await (await ask('/explain', {inputs: text, model, label, truncate}, mine.signal)).json();
    if (mine === explaining) showWords(text, label, found.words);
  } catch (e) {
    if (mine === explaining) $('words-hint').textContent = e.message;
  }
}

function showWords(text, label, words) {
  const chars = Array.from(text), most = Math.max(...words.map(w => Math.abs(w.influence)), 0);
  const digits = most >= 0.1 ? 2 : most >= 0.01 ? 3 : 4, nodes = [];
  const moved = words.filter(w => Math.abs(w.influence) >= Math.max(most / 8, 5e-5));
  let at = 0;
  for (const w of moved) {
    const word = chars.slice(w.start, w.stop).join(''), size = Math.abs(w.influence) / most;
    nodes.push(chars.slice(at, w.start).join(''));
    const mark = make('mark', {class: w.influence > 0 ? 'for' : 'contra', title: signed(w.influence, 4) + (w.influence > 0 ? ' for ' : ' against ') + label}, word);
    mark.style.setProperty('--much', String(Math.round(6 + 44 * size)));
    if (size >= 0.25) mark.append(make('sub', {}, signed(w.influence, digits)));
    nodes.push(mark);
    at = w.stop;
  }
  nodes.push(chars.slice(at).join(''));
  $('words').replaceChildren(...nodes);
  $('words-hint').textContent = !moved.length ? 'No word alone moved this score.' :
    'How much the score falls without the word: + speaks for the label (solid line), \u2212 against it (dashed).';
  const side = (title, name, list) => make('div', {class: name}, make('h3', {}, title),
    make('ul', {}, ...list.slice(0, 5).map(w => make('li', {}, make('span', {}, chars.slice(w.start, w.stop).join('')), make('span', {}, signed(w.influence, 4))))));
  const sorted = [...moved].sort((a, b) => Math.abs(b.influence) - Math.abs(a.influence));
  const pro = sorted.filter(w => w.influence > 0), contra = sorted.filter(w => w.influence < 0);
  $('strongest').replaceChildren(...[pro.length && side('For', 'for', pro), contra.length && side('Against', 'contra', contra)].filter(Boolean));
}

$('classifier').addEventListener('submit', event => {
  event.preventDefault();
  judge(false);
});
$('text').addEventListener('keydown', event => {
  if (event.key !== 'Enter' || event.isComposing || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  $('classifier').requestSubmit();
});
$('classify-model').addEventListener('change', () => judge(false));

load();
