// @ts-check
/** Which runs and layers are shown: a button with their marks, and a menu to change, add and remove them. */
import { computed, effect, html, nothing, render, signal } from '../lib.js';
import { nameOf } from '../map/names.js';
import { counted, shorten } from '../model/format.js';
import { runRows } from '../model/states.js';
import { keyOf } from '../source.js';
import { MAX_COMPARED } from '../store.js';
import { icon } from './icons.js';
import { sourceMark } from './sourcemark.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../model/states.js').RunRow} RunRow */

/** More runs than these are searched rather than read. */
const SEARCHED_FROM = 9;
/** Runs without concepts that are listed one by one. */
const MAX_EMPTY = 5;
const NARROW = 1180;

/** @param {HTMLElement} host @param {Store} store @param {() => Promise<string[]>} listAllRuns names of all runs, with or without concepts */
export function mountChooser(host, store, listAllRuns) {
  const query = signal('');
  const others = signal(/** @type {string[]} */ ([]));
  const rows = computed(() => runRows(store.index.value?.runs ?? {}, others.value, store.layerName.value));
  const onToggle = (/** @type {Event} */ event) => {
    if (!(/** @type {HTMLDetailsElement} */ (event.target).open)) { query.value = ''; return; }
    dismissible(event);
    // Runs without concepts are not our plugin's: a reader looks for them here all the same.
    listAllRuns().then((names) => { others.value = names; }, () => {});
  };
  effect(() => {
    const found = rows.value.filter(({ run }) => run.toLowerCase().includes(query.value.trim().toLowerCase()));
    render(html`<details class="runs" @toggle=${onToggle}>${summary(store)}
      <div class="menu run-menu" data-own-keys @keydown=${moveFocus}>
        ${shownList(store)}
        <div class="menu-heading"><span>Runs</span>
          ${rows.value.length >= SEARCHED_FROM ? html`<input type="search" class="menu-search" placeholder="Find a run" aria-label="Find a run" .value=${query.value} @input=${(/** @type {any} */ event) => { query.value = event.target.value; }}>` : nothing}</div>
        <div role="radiogroup" aria-label="Run on the map">${runItems(store, found)}</div>
        ${found.length ? nothing : html`<p class="menu-none">No run with “${query.value.trim()}” in its name</p>`}
        ${layerItems(store)}
      </div></details>`, host);
  });
}

/** The button: who is shown. @param {Store} store */
function summary(store) {
  const all = store.sources.value;
  const narrow = window.innerWidth < NARROW;
  const usable = Object.values(store.index.value?.runs ?? {}).filter(({ layers }) => Object.keys(layers).length).length;
  // Long names must be cut in the middle, before the bar cuts off their ends, where sweeps differ.
  const room = all.length === 1 ? 32 : Math.max(8, Math.floor((narrow ? 26 : 50) / all.length));
  const label = all.map(({ run }) => run).join(', compared with ');
  return html`<summary aria-label="Runs: ${label || 'none'}" title=${`${all.map(({ run, name }) => `${run} · ${name}`).join('\n')}\nChoose runs and layers to show`}>
    ${all.map((source, i) => html`${sourceMark(i)}<span class="run-name ${i ? 'mute' : ''}">${shorten(nameOf(store, source), room)}</span>`)}
    ${all.length === 1 && usable > 1 ? html`<span class="mute run-more">+${usable - 1}</span>` : nothing}${icon('chevron')}</summary>`;
}

/** Those shown, with the layer of each. @param {Store} store */
function shownList(store) {
  const all = store.sources.value;
  if (all.length < 2) return nothing;
  const setLayer = (/** @type {import('../source.js').Source} */ source, /** @type {string} */ layer) => {
    const taken = all.some((other) => other !== source && other.run === source.run && other.name === layer);
    if (!taken) store.compared.value = store.compared.peek().map((one) => (keyOf(one) === source.key ? { ...one, layer } : one));
  };
  return html`<div class="menu-heading"><span>Shown</span><span class="mute">${all.length} of ${MAX_COMPARED + 1}</span></div>
    <ul class="shown-list">${all.map((source, i) => html`<li>${sourceMark(i)}<span class="menu-name" title=${source.run}>${source.run}</span>
      ${i === 0 ? html`<span class="mute shown-layer">${source.name}</span>` : html`<span class="select"><select aria-label="Layer of ${source.run}" .value=${source.name} @change=${(/** @type {any} */ event) => setLayer(source, event.target.value)}>
          ${layersOf(store, source.run).map((name) => html`<option value=${name} ?selected=${name === source.name}>${name}</option>`)}</select>${icon('chevron')}</span>
        <button type="button" class="icon-button small" aria-label="Stop comparing with ${source.run}, ${source.name}" title="Stop comparing" @click=${() => store.toggleCompared({ run: source.run, layer: source.name })}>${icon('close')}</button>`}</li>`)}</ul>`;
}

/** @param {Store} store @param {string} run */
const layersOf = (store, run) => Object.keys(store.index.value?.runs[run]?.layers ?? {});

/** @param {Store} store @param {RunRow[]} rows */
function runItems(store, rows) {
  const empty = rows.filter(({ reason, layers, steps }) => !steps && !layers.length && reason);
  const listed = rows.filter((row) => !empty.includes(row)).concat(empty.slice(0, MAX_EMPTY));
  const more = empty.length - MAX_EMPTY;
  return html`${listed.map((row) => runItem(store, row))}${more > 0 ? html`<p class="menu-none">and ${counted(more, 'run')} without concepts</p>` : nothing}`;
}

/** @param {Store} store @param {RunRow} row */
function runItem(store, { run, layers, steps, usable, hasLayer, reason }) {
  const isFirst = run === store.primary.value;
  const layer = hasLayer ? store.layerName.value : (layers[layers.length - 1] ?? '');
  const place = store.sources.value.findIndex((source) => source.run === run);
  const close = (/** @type {Event} */ event) => { const menu = /** @type {HTMLElement} */ (event.target).closest('details'); if (menu) { menu.open = false; menu.querySelector('summary')?.focus(); } };
  return html`<div class=${usable && hasLayer ? 'menu-row' : 'menu-row lacking'}><button type="button" class="menu-main" role="radio" aria-checked=${String(isFirst)} title=${run} ?disabled=${!usable}
      @click=${(/** @type {Event} */ event) => { store.chooseRun(run); close(event); }}>${sourceMark(place)}<span class="menu-name">${run}
        ${reason ? html`<span class="menu-reason">${reason}</span>` : nothing}</span>${usable ? html`<span class="mute menu-steps">${counted(steps, 'step')}</span>` : nothing}</button>
    ${usable ? compareButton(store, { run, layer }, run, isFirst) : nothing}</div>`;
}

/** The other layers of the run shown. @param {Store} store */
function layerItems(store) {
  const run = store.primary.value;
  const names = store.layerNames.value.filter((name) => name !== store.layerName.value);
  if (!names.length) return nothing;
  return html`<div class="menu-heading"><span>Other layers of ${shorten(run, 28)}</span></div>
    <ul>${names.map((name) => html`<li><span class="menu-main still">${sourceMark(store.sources.value.findIndex((source) => source.run === run && source.name === name))}<span class="menu-name">${name}</span></span>
      ${compareButton(store, { run, layer: name }, `layer ${name}`, false)}</li>`)}</ul>`;
}

/** @param {Store} store @param {import('../source.js').Shown} shown @param {string} name @param {boolean} isFirst */
export function compareButton(store, shown, name, isFirst) {
  const pressed = store.compared.value.some((one) => keyOf(one) === keyOf(shown));
  const full = !pressed && store.compared.value.length >= MAX_COMPARED;
  return html`<button type="button" class="menu-side" aria-pressed=${String(pressed)} ?disabled=${isFirst || full} aria-label="Compare with ${name}"
    title=${isFirst ? 'This run is shown first' : full ? `At most ${MAX_COMPARED + 1} are shown at once: remove one first` : pressed ? 'Stop comparing' : 'Show beside the first'}
    @click=${() => { store.toggleCompared(shown); }}>${isFirst ? 'shown' : pressed ? html`${icon('check')}comparing` : html`${icon('plus')}compare`}</button>`;
}

/** Up and down go through the rows of the menu. @param {KeyboardEvent} event */
function moveFocus(event) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const target = /** @type {HTMLElement} */ (event.target);
  if (!by || target.closest('select')) return;
  const rows = [.../** @type {HTMLElement} */ (event.currentTarget).querySelectorAll('button:not(:disabled), select, input')].filter((element) => element.classList.contains(target.classList[0]) || element.classList.contains('menu-main'));
  const next = /** @type {HTMLElement | undefined} */ (rows[(rows.indexOf(target) + by + rows.length) % rows.length]);
  event.preventDefault();
  next?.focus();
}

/** Close an open menu at a click elsewhere or Escape. @param {Event} event */
export function dismissible(event) {
  const menu = /** @type {HTMLDetailsElement} */ (event.target);
  if (!menu.open) return;
  const dismiss = (/** @type {Event} */ other) => {
    if (other instanceof KeyboardEvent ? other.key !== 'Escape' : menu.contains(/** @type {Node} */ (other.target))) return;
    menu.open = false;
    if (!(other instanceof KeyboardEvent)) return;
    other.preventDefault();
    menu.querySelector('summary')?.focus();
  };
  document.addEventListener('pointerdown', dismiss);
  document.addEventListener('keydown', dismiss, { capture: true });
  menu.addEventListener('toggle', () => {
    document.removeEventListener('pointerdown', dismiss);
    document.removeEventListener('keydown', dismiss, { capture: true });
  }, { once: true });
}
