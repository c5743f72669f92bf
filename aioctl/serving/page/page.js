// The operators' page. What it shows comes as JSON from `events`, and is set as text, never as markup.
(() => {
'use strict';

const $ = id => document.getElementById(id);
const STATES = ['Migrated', 'Shifting', 'Initial', 'NoRoute', 'Held', 'Unknown'];
const SHOWN = 200;            // rows at once; more on request
const MOST_POINTS = 1440;     // of a chart; then two neighbours become one, as on the server
const QUIET = 10;             // seconds without news after which the page says so

// ---- elements

function el(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === 'class') made.className = value;
    else if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

function svg(tag, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Each state has a shape of its own, so that nobody needs the colours.
const SHAPES = {
  Migrated: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.9 5.2-4.6 5.2L4 8.2l1.2-1.2 2 1.9 3.4-3.9Z', true],
  Shifting: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.8v10.4A5.2 5.2 0 0 1 8 2.8Z', true],
  Initial: ['M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Z', false],
  NoRoute: ['M2 8h12', false],
  Held: ['M3 2h3.4v12H3Zm6.6 0H13v12H9.6Z', true],
  Unknown: ['M8 1 15 8 8 15 1 8Zm-.9 9.3h1.8v1.8H7.1ZM7.2 4h1.6v4.9H7.2Z', true],
  good: ['M2 8.5 6.2 13 14 3.5', false],
  bad: ['M3 3l10 10M13 3 3 13', false],
  act: ['M8 1 15.5 14.5H.5ZM7.2 6v4.2h1.6V6Zm0 5.2v1.6h1.6v-1.6Z', true],
  none: ['M8 6.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3Z', true],
  all: ['M2 3h12v2.4H2Zm0 3.8h12v2.4H2Zm0 3.8h12V13H2Z', true],
};

function shape(name) {
  const [path, solid] = SHAPES[name] || SHAPES.Unknown;
  const drawn = svg('svg', {viewBox: '0 0 16 16', 'aria-hidden': 'true'});
  drawn.append(svg('path', solid
    ? {d: path, fill: 'currentColor', 'fill-rule': 'evenodd'}
    : {d: path, fill: 'none', stroke: 'currentColor', 'stroke-width': '2.2'}));
  return el('span', {class: 'shape'}, drawn);
}

// What nobody sees, and what turns the direction of the words after it, is shown by its number.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const visible = value => typeof value !== 'string' ? value
  : value.replace(/\s*[\r\n\t]\s*/g, ' ').replace(UNSEEN, found => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
const parse = text => JSON.parse(text, (name, value) => visible(value));

const known = state => STATES.includes(state) ? state : 'Unknown';
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// ---- words

function age(moment) {
  if (!moment) return '';
  const then = Date.parse(moment);
  if (Number.isNaN(then)) return '';
  const seconds = Math.max(0, Math.floor((Date.now() - then) / 1000));
  if (seconds >= 172800) return `${Math.floor(seconds / 86400)}d`;
  if (seconds >= 7200) return `${Math.floor(seconds / 3600)}h`;
  if (seconds >= 120) return `${Math.floor(seconds / 60)}m`;
  return `${seconds}s`;
}

function seconds(value) {
  if (value === null || value === undefined) return '–';
  if (value >= 10) return `${value.toFixed(0)} s`;
  if (value >= 1) return `${value.toFixed(1)} s`;
  const ms = value * 1000;
  return `${ms >= 10 ? ms.toFixed(0) : ms.toFixed(1)} ms`;
}

const plain = value => value === null || value === undefined ? '–' : value >= 10 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
const clock = at => new Date(at * 1000).toLocaleTimeString([], {hour12: false});
const keyOf = row => `${row.namespace}/${row.name}`;
const splitOf = row => row.traffic ? `${row.traffic.v1}/${row.traffic.v1alpha2}` : '';

// ---- what is known

const rows = new Map();       // namespace/name -> the service's fields
let about = {};
let tiles = [];
let filter = 'all';
let sort = {by: 'worst', down: false};
let limit = SHOWN;
let opened = '';              // key of the service in the panel
let timeline = {t: [], states: {}, figures: {}};
let heard = 0;                // when the last news came, in ms
let span = 900;               // seconds of the charts; 0: all

const FILTERS = {
  all: ['All', 'all', () => true],
  act: ['Wait for somebody', 'act', row => Boolean(row.problem)],
  notready: ['Not ready', 'bad', row => row.ready !== 'True'],
};
for (const state of STATES) FILTERS[state] = [state, state, row => known(row.state) === state];

const rank = row => (row.problem ? 0 : 4) + (row.ready === 'False' ? 0 : row.ready === 'True' ? 2 : 1);
const COLUMNS = [
  ['state', 'State', row => STATES.indexOf(known(row.state))],
  ['name', 'Service', keyOf],
  ['ready', 'Ready', row => row.ready],
  ['reason', 'Reason', row => row.reason],
  ['since', 'Since', row => -(Date.parse(row.since) || 0)],
  ['split', 'v1 / v1alpha2', row => row.traffic ? row.traffic.v1 : -1],
  ['replicas', 'Replicas', row => row.wantedReplicas ? row.readyReplicas / row.wantedReplicas : -1],
  ['gateways', 'Gateway', row => row.gateways.join(' ')],
  ['todo', 'What to do', row => row.problem || row.notReady],
];
const BY = {worst: rank};
for (const [name, , value] of COLUMNS) BY[name] = value;

// ---- tiles and table

function makeTiles() {
  const group = $('tiles');
  tiles = Object.entries(FILTERS).map(([name, [label, icon]]) => {
    const count = el('b', {}, '0');
    const button = el('button', {type: 'button', 'aria-pressed': 'false', onclick: () => choose(name)},
      shape(icon), count, el('span', {}, label));
    if (STATES.includes(name)) button.firstChild.style.color = `var(--${name})`;
    if (name === STATES[0]) group.append(el('span', {class: 'gap'}));
    group.append(button);
    return {name, button, count};
  });
}

function choose(name) {
  filter = filter === name ? 'all' : name;
  limit = SHOWN;
  draw();
}

function makeTable() {
  for (const [name, label] of COLUMNS) {
    $('titles').append(el('th', {class: name, role: 'columnheader', scope: 'col'},
      el('button', {type: 'button', onclick: () => order(name)}, label)));
    $('sort').append(el('option', {value: name}, label));
  }
  $('sort').prepend(el('option', {value: 'worst'}, 'What is wrong first'));
  $('sort').addEventListener('change', () => { sort = {by: $('sort').value, down: false}; draw(); });
  $('filter').addEventListener('input', () => { limit = SHOWN; draw(); });
  $('more').addEventListener('click', () => { limit += SHOWN; draw(); });
  $('rows').addEventListener('click', event => {
    const line = event.target.closest('tr');
    if (line && !event.target.closest('a')) location.hash = encodeURI(line.dataset.key);
  });
}

function order(name) {
  if (sort.by !== name) sort = {by: name, down: false};
  else if (!sort.down) sort = {by: name, down: true};
  else sort = {by: 'worst', down: false};
  draw();
}

const spoken = new WeakMap(); // a row -> its words, for the filter
function words(row) {
  let found = spoken.get(row);
  if (found === undefined) {
    found = [row.namespace, row.name, row.state, row.reason, row.ready === 'True' ? 'ready' : 'not ready', row.notReady,
      row.problem, row.gateways.join(' '), row.strategy].join(' ').toLowerCase();
    spoken.set(row, found);
  }
  return found;
}

function chosen() {
  const wanted = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  const test = FILTERS[filter][2];
  const found = [...rows.values()].filter(row => test(row) && (!wanted.length || wanted.every(word => words(row).includes(word))));
  const value = BY[sort.by];
  const keyed = found.map(row => [value(row), keyOf(row), row]);
  const compare = (a, b) => a < b ? -1 : a > b ? 1 : 0;
  keyed.sort((a, b) => (compare(a[0], b[0]) * (sort.down ? -1 : 1)) || compare(a[1], b[1]));
  return keyed.map(entry => entry[2]);
}

const clip = (...children) => el('div', {class: 'clip'}, ...children);

function fill(line, row) {
  const state = known(row.state);
  const [stateCell, name, ready, reason, since, split, replicas, gateways, todo] = line.cells;
  stateCell.style.setProperty('--c', `var(--${state})`);
  stateCell.replaceChildren(shape(state), ` ${row.state}`);
  name.replaceChildren(clip(el('a', {href: `#${encodeURI(keyOf(row))}`},
    el('span', {class: 'ns'}, `${row.namespace}/`), row.name)));
  const [readyShape, readyWord, mood] = row.ready === 'True' ? ['good', 'Ready', 'good']
    : row.ready === 'False' ? ['bad', 'Not ready', 'bad'] : ['Unknown', 'Unknown', 'dim'];
  ready.replaceChildren(el('span', {class: mood}, shape(readyShape), ` ${readyWord}`));
  reason.replaceChildren(clip(row.reason));
  since.dataset.since = row.since || '';
  since.replaceChildren(age(row.since));
  if (row.traffic) {
    const bar = el('span', {class: 'bar', 'aria-hidden': 'true'}, el('i'));
    bar.firstChild.style.setProperty('--share', `${row.traffic.v1}%`);
    split.replaceChildren(bar, splitOf(row), el('span', {class: 'line'}, ' v1/v1alpha2'));
  } else split.replaceChildren('–');
  replicas.replaceChildren(`${row.readyReplicas}/${row.wantedReplicas}`, el('span', {class: 'line'}, ' replicas'));
  replicas.classList.toggle('bad', row.readyReplicas < row.wantedReplicas);
  gateways.replaceChildren(clip(row.gateways.join(', ') || '–'));
  if (row.problem) todo.replaceChildren(clip(el('span', {class: 'bad'}, shape('act'), ' '), row.problem));
  else todo.replaceChildren(...(row.ready === 'True' || !row.notReady ? [] : [clip(el('span', {class: 'dim'}, row.notReady))]));
}

const lines = new Map();      // key -> [tr, the row it shows]

function lineOf(row) {
  const key = keyOf(row);
  let entry = lines.get(key);
  if (!entry) {
    const line = el('tr', {role: 'row'}, ...COLUMNS.map(([name]) => el('td', {class: name, role: 'cell'})));
    line.dataset.key = key;
    entry = [line, null];
    lines.set(key, entry);
  }
  if (entry[1] !== row) { fill(entry[0], row); entry[1] = row; }
  entry[0].classList.toggle('open', key === opened);
  return entry[0];
}

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; drawNow(); });
}

function drawNow() {
  for (const {name, button, count} of tiles) {
    const test = FILTERS[name][2];
    let number = 0;
    for (const row of rows.values()) number += test(row) ? 1 : 0;
    count.textContent = String(number);
    button.setAttribute('aria-pressed', String(filter === name));
    button.hidden = name === 'Unknown' && !number && filter !== name;
    button.classList.toggle('zero', !number && filter !== name && name !== 'all');
  }
  const found = chosen();
  const wanted = found.slice(0, limit).map(lineOf);
  const body = $('rows');
  const focused = document.activeElement && body.contains(document.activeElement) ? document.activeElement.closest('tr').dataset.key : '';
  wanted.forEach((line, place) => {
    if (body.children[place] !== line) body.insertBefore(line, body.children[place] || null);
  });
  while (body.children.length > wanted.length) body.lastChild.remove();
  for (const key of [...lines.keys()]) if (!rows.has(key)) lines.delete(key);
  if (focused && lines.has(focused) && document.activeElement === document.body) lines.get(focused)[0].querySelector('a').focus();
  $('count').textContent = found.length === rows.size ? `${rows.size} services` : `${found.length} of ${rows.size} services`;
  $('services').classList.toggle('calm', !found.some(row => row.problem || (row.ready !== 'True' && row.notReady)));
  $('more').hidden = found.length <= limit;
  $('more').textContent = `Show ${Math.min(SHOWN, found.length - limit)} more of ${found.length - limit}`;
  $('none').hidden = found.length > 0;
  $('none').textContent = rows.size ? 'No service is like that.' : 'There are no LLMInferenceServices, or none was read yet.';
  COLUMNS.forEach(([name], place) => {
    const title = $('titles').children[place];
    if (sort.by === name) title.setAttribute('aria-sort', sort.down ? 'descending' : 'ascending');
    else title.removeAttribute('aria-sort');
    title.firstChild.textContent = COLUMNS[place][1] + (sort.by === name ? (sort.down ? ' ▾' : ' ▴') : '');
  });
  $('sort').value = sort.by;
  const waiting = [...rows.values()].filter(FILTERS.act[2]).length;
  document.title = `${waiting ? `(${waiting}) ` : ''}aioctl · ${about.namespace || 'fleet'}`;
}

// ---- one service

const MARKS = {true: 'good', false: 'bad', null: 'none'};
const SAID = {true: 'ok: ', false: 'not ok: ', null: ''};

function node(found) {
  const mark = String(found.ok);
  const made = el('li', {}, el('div', {class: 'node'},
    el('span', {class: mark === 'null' ? 'dim' : MARKS[mark]}, shape(MARKS[mark])),
    el('span', {}, el('span', {class: 'skip'}, SAID[mark]), found.object ? el('code', {}, found.object) : null, found.object && found.text ? '  ' : '', found.text)));
  if (found.children.length) made.append(el('ul', {}, ...found.children.map(node)));
  return made;
}

function chain(found) {
  const links = found.links.map((link, depth) => el('li', {}, el('span', {class: 'dim'}, depth ? '←' : '•'),
    el('span', {}, el('code', {}, link.object), ` ${[link.what, link.status, link.reason].filter(Boolean).join(' ')}${link.age ? ` (${link.age})` : ''}${link.message ? `: ${link.message}` : ''}`)));
  return el('div', {class: found.act ? 'do' : 'do wait'},
    el('p', {}, el('b', {}, found.act ? 'What to do: ' : 'Nothing to do yet: '), found.cure, ' ', el('code', {class: 'dim'}, found.code)),
    el('ul', {class: 'chain'}, ...links));
}

function show(found) {
  const state = known(found.state);
  const icon = shape(state);
  icon.style.color = `var(--${state})`;
  $('detail-name').replaceChildren(icon, ` ${found.namespace}/${found.name}`);
  const facts = [
    ['State', `${found.state} (${found.reason})${found.since ? `, since ${age(found.since)}` : ''}`],
    ['Ready', found.ready === 'True' ? 'True' : `${found.ready} ${found.notReady}`],
    ['Traffic', found.traffic ? `${found.traffic.v1} % to v1, ${found.traffic.v1alpha2} % to v1alpha2` : 'no route names a pool'],
    ['Strategy', found.strategy || '–'],
    ['Gateways', found.gateways.join(', ') || '–'],
  ];
  const commands = ['status', 'explain', 'diff'].map(verb => el('div', {}, el('code', {}, `aioctl ${verb} ${found.name} -n ${found.namespace}`)));
  const why = found.chains.map(chain);
  if (!why.length && found.problem) why.push(el('div', {class: 'do'}, el('b', {}, 'What to do: '), found.problem));
  $('detail-body').replaceChildren(
    el('dl', {}, ...facts.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
    ...(why.length ? [el('h3', {}, 'Why'), ...why] : []),
    el('h3', {}, 'Objects'), el('ul', {class: 'tree'}, node(found.tree)),
    el('h3', {}, 'In a terminal'), ...commands);
}

let asked = 0;
async function ask() {
  if (!opened) return;
  const key = opened, turn = ++asked;
  const [namespace, name] = key.split('/');
  let problem = '';
  try {
    const answer = await fetch(`service/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`);
    if (key !== opened || turn !== asked) return;
    if (answer.ok) { show(parse(await answer.text())); return; }
    problem = (await answer.text()).trim();
  } catch { problem = 'this page cannot reach its server'; }
  if (key === opened && turn === asked) $('detail-body').replaceChildren(el('p', {class: 'bad'}, problem));
}

function open() {
  let wanted = '';
  try { wanted = decodeURI(location.hash.slice(1)); } catch { /* not one of ours */ }
  if (wanted.split('/').length !== 2) wanted = '';
  if (wanted === opened) return;
  const before = opened;
  opened = wanted;
  $('detail').hidden = !opened;
  if (opened) {
    $('detail-name').textContent = opened;
    $('detail-body').replaceChildren(el('p', {class: 'dim'}, 'reading …'));
    if (!before) $('detail-name').focus();
    ask();
  } else if (before && lines.has(before)) lines.get(before)[0].querySelector('a').focus();
  draw();
}

function close() {
  if (opened) history.pushState(null, '', location.pathname);
  open();
}

// ---- charts

const CHARTS = [
  ['Conversion calls', 'latency of conversion webhook calls', [['conversion_p99', 'p99', seconds], ['conversion_p50', 'p50', seconds]], [['conversion_rate', '/s', plain]]],
  ['Admission calls', 'latency of admission webhook calls', [['admission_p99', 'p99', seconds], ['admission_p50', 'p50', seconds]], [['admission_rate', '/s', plain]]],
  ['In flight', 'conversion calls being answered, and calls that wait', [['conversions_in_flight', 'answered', plain], ['calls_waiting', 'waiting', plain]], []],
  ['Work queue', 'services that wait for a worker', [['queue_depth', 'ready', plain]], [['reconcile_rate', 'done/s', plain], ['error_rate', 'failed/s', plain]]],
  ['Loop lag', 'how late a timer of the event loop fires', [['loop_lag_p99', 'p99', seconds], ['loop_lag_p50', 'p50', seconds]], []],
];
let charts = [];

function hatch(state) {
  const tile = document.createElement('canvas');
  const size = 8 * devicePixelRatio;
  tile.width = tile.height = size;
  const pen = tile.getContext('2d');
  const tint = colour(`--${state}`);
  pen.fillStyle = colour('--panel');
  pen.fillRect(0, 0, size, size);
  pen.globalAlpha = state === 'Migrated' ? 0.42 : 0.22;
  pen.fillStyle = tint;
  pen.fillRect(0, 0, size, size);
  pen.globalAlpha = 1;
  pen.strokeStyle = pen.fillStyle = tint;
  pen.lineWidth = 1.3 * devicePixelRatio;
  pen.beginPath();
  const stroke = (x1, y1, x2, y2) => { pen.moveTo(x1 * size, y1 * size); pen.lineTo(x2 * size, y2 * size); };
  if (state === 'Shifting' || state === 'Held') { stroke(-0.1, 1.1, 1.1, -0.1); stroke(-0.6, 0.6, 0.6, -0.6); stroke(0.4, 1.6, 1.6, 0.4); }
  if (state === 'Held') { stroke(-0.1, -0.1, 1.1, 1.1); }
  if (state === 'Unknown') stroke(0.5, 0, 0.5, 1);
  if (state === 'NoRoute') stroke(0, 0.5, 1, 0.5);
  pen.stroke();
  if (state === 'Initial') pen.fillRect(size * 0.35, size * 0.35, size * 0.3, size * 0.3);
  return pen.createPattern(tile, 'repeat');
}

const axis = extra => ({stroke: () => colour('--muted'), grid: {stroke: () => colour('--line'), width: 1}, ticks: {show: false}, font: '11px system-ui, sans-serif', ...extra});
const clocks = axis({size: 24, gap: 5, values: (u, splits) => splits.map(at => new Date(at * 1000).toLocaleTimeString([], {hour12: false, hour: '2-digit', minute: '2-digit', ...(u.scales.x.max - u.scales.x.min < 600 ? {second: '2-digit'} : {})}))});

function makeCharts() {
  const ranges = document.querySelector('#states .ranges');
  for (const [length, label] of [[900, '15 min'], [7200, '2 h'], [0, 'all']]) {
    ranges.append(el('button', {type: 'button', 'aria-pressed': String(length === span), onclick: event => {
      span = length;
      for (const each of ranges.children) each.setAttribute('aria-pressed', String(each === event.target));
      drawCharts();
    }}, label));
  }
  charts = [{figure: $('states'), make: statesChart, columns: statesColumns, say: sayStates}];
  for (const [title, hint, drawn, told] of CHARTS) {
    const figure = el('figure', {class: 'chart', title: hint}, el('figcaption', {}, el('b', {}, title), ' ', el('span', {class: 'values'})), el('div', {class: 'plot', role: 'img'}));
    $('figures').append(figure);
    charts.push({
      figure,
      needs: drawn[0][0],
      make: place => lineChart(place, drawn),
      columns: from => [timeline.t.slice(from), ...drawn.map(([name]) => column(timeline.figures, name, from))],
      say: (values, at) => {
        const parts = [...drawn, ...told].map(([name, unit, format]) => [format(figureAt(name, at)), unit]);
        values.replaceChildren(...parts.flatMap(([value, unit], place) => [place ? ' · ' : '', unit.includes('/s') ? '' : `${unit} `, el('b', {}, value), unit.includes('/s') ? ` ${unit === '/s' ? 'per s' : unit}` : '']));
        return `${title}: ${hint}. Now ${parts.map(([value, unit]) => `${unit} ${value}`).join(', ')}.`;
      },
    });
  }
  new ResizeObserver(() => { for (const chart of charts) if (chart.plot) chart.plot.setSize(sizeOf(chart)); }).observe($('fleet'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => theme());
}

const sizeOf = chart => { const box = chart.figure.querySelector('.plot'); return {width: Math.max(120, box.clientWidth), height: box.clientHeight}; };
const column = (table, name, from) => (table[name] || timeline.t.map(() => null)).slice(from);
const figureAt = (name, at) => { const found = timeline.figures[name]; return found && found.length ? found[at === undefined || at === null ? found.length - 1 : at] : null; };
const first = () => {
  if (!span || !timeline.t.length) return 0;
  const from = timeline.t[timeline.t.length - 1] - span;
  const found = timeline.t.findIndex(at => at >= from);
  return found < 0 ? 0 : found;
};

const times = () => ({time: true, range: (u, low, high) => high - low < 20 ? [high - 20, high] : [low, high]});
const cursor = () => ({sync: {key: 'all', setSeries: false}, points: {show: false}, drag: {x: false, y: false}, y: false});
const hovering = () => ({setCursor: [u => { pointed = u.cursor.idx === null || u.cursor.idx === undefined || u.cursor.left < 0 ? null : u.cursor.idx; sayAll(); }]});
let pointed = null;           // the sample below the pointer, counted from the first that is shown

// A value without neighbours makes no line, so it gets a point.
const lonely = (u, number) => u.data[number].flatMap((value, place, all) => value !== null && (all[place - 1] ?? null) === null && (all[place + 1] ?? null) === null ? [place] : []);

function lineChart(place, drawn) {
  const [, , format] = drawn[0];
  return new uPlot({
    ...place, legend: {show: false}, cursor: cursor(), hooks: hovering(), padding: [8, 4, 7, 0],
    scales: {x: times(), y: {range: (u, low, high) => [0, high > 0 ? high * 1.1 : 1]}},
    axes: [axis({show: false}), axis({size: 44, gap: 3, space: 22, values: (u, splits) => splits.map(value => value === 0 ? '0' : format(value))})],
    series: [{}, ...drawn.map((one, number) => ({stroke: () => colour(number ? '--muted' : '--focus'), width: number ? 1 : 1.6, dash: number ? [4, 3] : undefined, points: {show: true, size: 4, filter: lonely}, spanGaps: false}))],
  }, [[0]].concat(drawn.map(() => [null])), place.box);
}

// The states stand on one another; the highest sum is drawn first, so that the lower ones cover it.
const stacked = () => [...STATES].reverse();
function statesChart(place) {
  const patterns = {};
  return new uPlot({
    ...place, legend: {show: false}, cursor: cursor(), hooks: hovering(), padding: [6, 22, 0, 0],
    scales: {x: times(), y: {range: (u, low, high) => [0, Math.max(1, high)]}},
    axes: [clocks, axis({size: 34, gap: 3, space: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]})],
    series: [{}, ...stacked().map(state => ({
      label: state, stroke: () => colour(`--${state}`), width: 1, points: {show: false}, paths: uPlot.paths.stepped({align: -1}),
      fill: () => patterns[state] || (patterns[state] = hatch(state)),
    }))],
  }, [[0], ...STATES.map(() => [null])], place.box);
}

function statesColumns(from) {
  const sums = timeline.t.slice(from).map(() => 0);
  const told = timeline.t.slice(from).map(() => false);
  const stack = {};
  for (const state of STATES) {
    column(timeline.states, state, from).forEach((count, place) => { sums[place] += count || 0; told[place] ||= count !== null && count !== undefined; });
    stack[state] = sums.map((sum, place) => told[place] ? sum : null);
  }
  const columns = [timeline.t.slice(from), ...stacked().map(state => stack[state])];
  // One sample alone has no width.
  return columns[0].length === 1 ? columns.map((values, number) => [number ? values[0] : values[0] - 1, values[0]]) : columns;
}

function sayStates(values, at) {
  const place = at === undefined || at === null ? timeline.t.length - 1 : at;
  const parts = STATES.map(state => [state, (timeline.states[state] || [])[place]]).filter(([, count]) => count);
  const when = at === undefined || at === null ? '' : `${clock(timeline.t[place])}  `;
  values.replaceChildren(when, ...parts.flatMap(([state, count]) => {
    const icon = shape(state);
    icon.style.color = `var(--${state})`;
    return [el('span', {class: 'part'}, icon, ' ', el('b', {}, String(count)), ` ${state}`)];
  }));
  return `Services by state over time. Now ${parts.map(([state, count]) => `${count} ${state}`).join(', ') || 'none'}.`;
}

function sayAll() {
  const from = first();
  for (const chart of charts) {
    const said = chart.say(chart.figure.querySelector('.values'), pointed === null ? null : from + pointed);
    if (pointed === null) chart.figure.querySelector('.plot').setAttribute('aria-label', said);
  }
}

function drawCharts() {
  const from = first();
  const has = timeline.t.length > 0;
  for (const chart of charts) {
    const shown = has && (chart.needs ? chart.needs in timeline.figures : Object.keys(timeline.states).length > 0);
    chart.figure.hidden = !shown;
    if (!shown) continue;
    if (!chart.plot) chart.plot = chart.make({...sizeOf(chart), box: chart.figure.querySelector('.plot')});
    chart.plot.setData(chart.columns(from));
    if (chart.plot.width !== sizeOf(chart).width) chart.plot.setSize(sizeOf(chart));
  }
  sayAll();
}

function add(sample) {
  const length = timeline.t.length;
  for (const part of ['states', 'figures']) {
    for (const name of Object.keys(sample[part])) timeline[part][name] ||= Array(length).fill(null);
    for (const [name, values] of Object.entries(timeline[part])) values.push(sample[part][name] ?? null);
  }
  timeline.t.push(sample.t);
  if (timeline.t.length > MOST_POINTS) halve();
}

function halve() {
  const pairs = (values, join) => values.filter((_, place) => place % 2).map((value, place) => join(values[2 * place], value))
    .concat(values.length % 2 ? values.slice(-1) : []);
  const last = (a, b) => b;
  const highest = (a, b) => a === null ? b : b === null ? a : Math.max(a, b);
  timeline.t = pairs(timeline.t, last);
  for (const [part, join] of [['states', last], ['figures', highest]])
    for (const name of Object.keys(timeline[part])) timeline[part][name] = pairs(timeline[part][name], join);
}

// ---- who and whether it is live

function sayAbout() {
  const role = about.role;
  $('role').replaceChildren(...(role === 'leader' ? [el('b', {}, about.name || 'this replica'), ' leads'] : role === 'follower'
    ? [el('b', {}, about.name || 'this replica'), ' follows'] : [el('b', {}, 'local look')]));
  $('where').textContent = [about.namespace && `namespace ${about.namespace}`, about.server, about.version && `version ${about.version}`].filter(Boolean).join(' · ');
  const notices = [];
  if (role === 'follower') {
    notices.push(el('p', {}, about.leader ? el('b', {}, about.leader) : 'Nobody', ' leads and looks after the fleet; this replica answers webhooks, and shows only those.',
      ...(about.leader ? [' Its page: ', el('code', {}, `kubectl -n ${about.namespace} port-forward pod/${about.leader} ${about.port}`), ', then ', el('code', {}, `localhost:${about.port}/ui/`), '.'] : [])));
  }
  for (const text of about.notes || []) notices.push(el('p', {}, shape('act'), ' ', text));
  $('notices').replaceChildren(...notices);
  $('services').hidden = $('fleet').hidden = role === 'follower';
  document.body.classList.toggle('follower', role === 'follower');
}

function sayLive(state, text) {
  const icon = shape(state);
  icon.className = `shape ${state}`;
  const box = $('live');
  if (box.dataset.said === text) return;
  box.dataset.said = text;
  box.replaceChildren(icon, el('span', {class: 'text'}, text));
}

function checkLive() {
  const quiet = Math.floor((Date.now() - heard) / 1000);
  if (!heard) return;
  if (quiet <= QUIET) sayLive('good', 'live');
  else sayLive('bad', `no news since ${new Date(heard).toLocaleTimeString([], {hour12: false})}`);
}

function theme(chosenOne) {
  const dark = chosenOne ?? (document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.classList.toggle('dark', dark);
  document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
  $('theme').textContent = dark ? 'Light' : 'Dark';
  for (const chart of charts) { if (chart.plot) { chart.plot.destroy(); chart.plot = null; } }
  drawCharts();
}

// ---- news

function take(found) { for (const row of found) rows.set(keyOf(row), row); }
const told = {
  begin(news) { rows.clear(); about = news.about; timeline = news.timeline; sayAbout(); drawCharts(); },
  whole() { draw(); },
  rows(news) { take(news); draw(); if (news.some(row => keyOf(row) === opened)) ask(); },
  gone(news) { for (const [namespace, name] of news) rows.delete(`${namespace}/${name}`); draw(); },
  about(news) { about = news; sayAbout(); draw(); },
  sample(news) { add(news); drawCharts(); },
};

let stream = null;

function connect() {
  if (stream) stream.close();
  const mine = stream = new EventSource('events');
  for (const [name, act] of Object.entries(told)) {
    stream.addEventListener(name, event => { heard = Date.now(); act(parse(event.data)); checkLive(); });
  }
  stream.onerror = () => {
    checkLive();
    if (mine === stream && stream.readyState === EventSource.CLOSED) { poll(); setTimeout(() => { if (mine === stream) connect(); }, 5000); }
  };
}

// A page that nobody sees gives its stream back: a browser has six for a server, and the server few for all.
let unseen = 0;
document.addEventListener('visibilitychange', () => {
  clearTimeout(unseen);
  if (document.hidden) unseen = setTimeout(() => { stream.close(); stream = null; }, 60000);
  else if (!stream) connect();
});

// Where no stream is to be had, all of it is asked for now and then.
async function poll() {
  try {
    const answer = await fetch('fleet');
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const found = parse(await answer.text());
    told.begin(found);
    take(found.services);
    draw();
    sayLive('act', `not live: read ${new Date().toLocaleTimeString([], {hour12: false})}`);
  } catch (error) { sayLive('bad', error instanceof TypeError ? 'cannot reach the server' : error.message); }
}

// ---- keys

function move(by) {
  const links = [...$('rows').querySelectorAll('td.name a')];
  if (!links.length) return;
  const now = links.indexOf(document.activeElement);
  const from = now >= 0 ? now : opened ? links.findIndex(link => link.closest('tr').dataset.key === opened) : -1;
  const link = links[Math.max(0, Math.min(links.length - 1, from < 0 ? (by > 0 ? 0 : links.length - 1) : from + by))];
  link.focus();
  link.scrollIntoView({block: 'nearest'});
}

document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const writing = event.target.matches('input, select');
  if (event.key === 'Escape') {
    if (opened) close();
    else if (writing) { $('filter').value = ''; event.target.blur(); draw(); }
    return;
  }
  if (writing) { if (event.key === 'ArrowDown' && event.target.id === 'filter') { move(1); event.preventDefault(); } return; }
  if (event.key === '/') { $('filter').focus(); event.preventDefault(); }
  else if (event.key === 'j' || (event.key === 'ArrowDown' && $('rows').contains(document.activeElement))) { move(1); event.preventDefault(); }
  else if (event.key === 'k' || (event.key === 'ArrowUp' && $('rows').contains(document.activeElement))) { move(-1); event.preventDefault(); }
});

makeTiles();
makeTable();
makeCharts();
theme();
$('theme').addEventListener('click', () => {
  const dark = !document.documentElement.classList.contains('dark');
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  theme(dark);
});
$('close').addEventListener('click', close);
addEventListener('hashchange', open);
addEventListener('popstate', open);
setInterval(() => {
  checkLive();
  for (const cell of $('rows').querySelectorAll('td.since')) {
    const said = age(cell.dataset.since);
    if (cell.textContent !== said) cell.textContent = said;
  }
}, 1000);
setInterval(ask, 5000);
open();
draw();
connect();
})();
