// @ts-check
/** Every concept that some neuron of the layer has had; only the rows in sight are in the page. */
import { computed, effect, html, nothing, render, signal } from '../../lib.js';
import { baseEpoch, changeAt, countAt, lastSeen, neuronsWith, ranksByName, shortEnd, sortRows, sparkPath } from '../../model/concepts.js';
import { counted, formatCount } from '../../model/format.js';
import { labelOf } from '../../model/layer.js';
import { wordOf } from '../../model/space.js';
import { explain } from '../explain.js';
import { icon } from '../icons.js';
import { baseChoice } from './base.js';
import { mountGrid } from './grid.js';
import { watchLayers } from './layers.js';

/** @typedef {import('../../store.js').Store} Store */
/** @typedef {import('../../model/concepts.js').Tally} Tally */
/** @typedef {import('../../model/concepts.js').SortKey} SortKey */
/** @typedef {import('./layers.js').CountByWord} CountByWord */
/** @template T @typedef {import('../../lib.js').Signal<T>} Signal */
/** @typedef {{key: SortKey, label: string, title: string, width: string, down: boolean}} Column down: whether the first click sorts the largest first */

const SPARK = { width: 68, height: 16 };
/** More columns of layers than this do not leave room for the words. */
const MOST_LAYERS = 4;
const NARROW = 380;

/** @param {HTMLElement} host @param {Store} store @param {import('../../api.js').Api} api @param {Signal<Tally | null>} tally @param {Signal<boolean>} isShown */
export function mountTable(host, store, api, tally, isShown) {
  const bar = Object.assign(document.createElement('div'), { className: 'concepts-bar' });
  const grid = document.createElement('div');
  const told = Object.assign(document.createElement('p'), { className: 'concepts-told' });
  host.replaceChildren(bar, grid, told);
  const layers = watchLayers(store, api, isShown);
  const note = signal('');

  const width = signal(0);
  new ResizeObserver(() => { if (grid.clientWidth) width.value = grid.clientWidth; }).observe(grid);
  const columns = computed(() => columnsOf(store, width.value));
  const base = computed(() => baseEpoch(store.base.value, store.steps.value, store.epoch.value));
  const rows = computed(() => {
    const now = tally.value;
    if (!now || !isShown.value) return [];
    const text = store.conceptText.value.trim().toLowerCase();
    const hidden = store.hidden.value;
    const { by, down } = store.conceptSort.value;
    return sortRows(now, sortValues(now, by), down, (row) => !hidden.has(now.categories[row].name) && (!text || now.words[row].toLowerCase().includes(text)));
  });
  /** @param {Tally} now @param {SortKey} by */
  const sortValues = (now, by) => {
    const epoch = store.epoch.value;
    const { name } = store.first.value;
    const other = by.startsWith('layer:') && by !== `layer:${name}` ? by.slice('layer:'.length) : null;
    const theirs = other === null ? null : layers.value.get(other);
    if (by === 'word') return ranksByName(now);
    return Float64Array.from(now.words, (word, row) => {
      if (by === 'change') return changeAt(now, epoch, base.value, row);
      if (by === 'first') return now.first[row];
      return other === null ? countAt(now, epoch, row) : theirs ? (theirs.get(word) ?? 0) : NaN;
    });
  };

  /** How many of the selected neurons have each word now. @type {Signal<Map<string, number>>} */
  const selected = computed(() => {
    const { layer: { value: layer }, space: { value: space }, selection: { value: chosen }, epoch } = store.first.value;
    /** @type {Map<string, number>} */
    const found = new Map();
    if (layer && space && chosen) for (const neuron of chosen) {
      const concept = labelOf(layer, epoch.value, neuron);
      if (concept >= 0) found.set(wordOf(space, concept), (found.get(wordOf(space, concept)) ?? 0) + 1);
    }
    return found;
  });

  /** @param {number} row @param {boolean} more add to what is selected, or take away from it */
  const choose = (row, more) => {
    const now = tally.peek();
    const { key, layer, spaceAt, epoch } = store.first.peek();
    const shown = layer.peek();
    if (!now || !shown) return;
    const word = now.words[row];
    const neurons = neuronsWith(shown, spaceAt.peek(), epoch.peek(), word);
    note.value = neurons.length ? '' : nobodyHas(now, row, epoch.peek());
    if (!neurons.length) return;
    const isChosen = selected.peek().get(word) === neurons.length;
    store.select(key, neurons, more ? (isChosen ? 'remove' : 'add') : 'replace');
  };

  effect(() => { if (isShown.value) { void store.step.value; note.value = ''; } });
  effect(() => { if (isShown.value) render(toolsOf(store), bar); });
  effect(() => { if (isShown.value) render(tellCounts(store, tally.value, rows.value.length, note.value), told); });
  effect(() => {
    // The cursor alone moves without the rows being made anew.
    const { places: { value: places }, placeNow } = store.first.value;
    const span = places[places.length - 1] - places[0];
    grid.style.setProperty('--now', `${(span ? ((placeNow.value - places[0]) / span) * SPARK.width : SPARK.width / 2).toFixed(1)}px`);
  });

  /** Paths by row, made when a row is first seen. @type {Signal<Map<number, string>>} */
  const sparks = computed(() => { void [tally.value, store.first.value.places.value]; return new Map(); });
  const spark = (/** @type {Tally} */ now, /** @type {number} */ row) => {
    let path = sparks.value.get(row);
    if (path === undefined) sparks.value.set(row, (path = sparkPath(now, row, store.first.value.places.value, SPARK.width, SPARK.height)));
    return path;
  };
  /** @param {number} row @returns {import('./grid.js').Row} */
  const rowOf = (row) => {
    const counts = /** @type {Tally} */ (tally.value);
    const word = counts.words[row];
    const { slot, label } = counts.categories[row];
    const epoch = store.epoch.value;
    const count = countAt(counts, epoch, row);
    const perLayer = store.layerNames.value.map((name) => `${name} ${formatCount(name === store.first.value.name ? count : theirs(name, word))}`);
    const cell = (/** @type {Column} */ { key }) => {
      if (key === 'word') return html`<span role="gridcell" class="grid-cell grid-word"><i class="dot slot-${slot}"></i><span>${word}</span><span class="visually-hidden">, ${label}</span></span>`;
      if (key === 'change') return html`<span role="gridcell" class="grid-cell number">${changeText(changeAt(counts, epoch, base.value, row))}</span>`;
      if (key === 'first') return html`<span role="gridcell" class="grid-cell number mute">${counts.first[row] < 0 ? '' : formatCount(store.steps.value[counts.first[row]])}</span>`;
      const number = key === 'now' ? count : theirs(key.slice('layer:'.length), word);
      return html`<span role="gridcell" class="grid-cell number ${key === 'now' ? 'main' : 'mute'}">${numberText(number)}</span>`;
    };
    return {
      title: `${word} (${label}): ${perLayer.join(', ')} neurons`, isSelected: count > 0 && selected.value.get(word) === count, className: count ? '' : 'none',
      cells: html`${columns.value.map(cell)}<span role="gridcell" class="grid-cell spark"><svg width=${SPARK.width} height=${SPARK.height} aria-hidden="true"><path class="slot-${slot}" d=${spark(counts, row)}/></svg></span>`,
    };
  };
  mountGrid(grid, {
    id: 'concept', label: 'Concepts', isShown, rows, rowOf, onChoose: choose,
    columns: () => `${columns.value.map((column) => column.width).join(' ')} ${SPARK.width + 4}px`,
    head: () => html`${columns.value.map((column) => headOf(store, column))}
      <span role="columnheader" class="grid-cell" title="Neurons with the concept over training, each row on its own scale; the line is the step shown">over steps</span>`,
    onPoint: (row) => { store.pointedConcept.value = row === null ? null : (tally.peek()?.words[row] ?? null); },
  });
  /** @param {string} name @param {string} word */
  function theirs(name, word) {
    const counts = layers.value.get(name);
    return counts ? (counts.get(word) ?? 0) : NaN;
  }
}

/** @param {Store} store @param {number} width @returns {Column[]} */
function columnsOf(store, width) {
  const names = store.layerNames.value;
  const shown = store.first.value.name;
  const fits = names.length <= (width < NARROW ? MOST_LAYERS - 1 : MOST_LAYERS) ? names : [shown];
  return /** @type {Column[]} */ ([
    { key: 'word', label: 'concept', title: explain('concept'), width: 'minmax(60px, 1fr)', down: false },
    ...fits.map((name) => ({
      key: name === shown ? 'now' : `layer:${name}`, label: shortEnd(name, 6), width: '44px', down: true,
      title: name === shown ? `Neurons of ${name}, the layer shown, with the concept at this step` : `Neurons of ${name} with the concept at this step`,
    })),
    { key: 'change', label: 'change', title: 'Neurons more or fewer than at the step chosen above', width: '50px', down: true },
    { key: 'first', label: 'first', title: 'First step at which a neuron of the layer shown had the concept', width: '42px', down: false },
  ]);
}

/** @param {Store} store @param {Column} column */
function headOf(store, { key, label, title, down: usual }) {
  const { by, down } = store.conceptSort.value;
  const isSorted = by === key;
  const sort = () => { store.conceptSort.value = { by: key, down: isSorted ? !down : usual }; };
  return html`<span role="columnheader" class="grid-cell ${key === 'word' ? '' : 'number'}" aria-sort=${isSorted ? (down ? 'descending' : 'ascending') : 'none'}>
    <button type="button" title="${title}. Click to sort." @click=${sort}>${label}${isSorted ? html`<span aria-hidden="true">${down ? '↓' : '↑'}</span>` : nothing}</button></span>`;
}

/** @param {Store} store */
function toolsOf(store) {
  const { hidden, space, conceptText } = store;
  return html`<div class="concepts-tools"><label class="find">${icon('search')}<input type="search" placeholder="Filter the words" aria-label="Filter the concepts by name" autocomplete="off" spellcheck="false"
      .value=${conceptText.value} @input=${(/** @type {any} */ event) => { conceptText.value = event.target.value; }}></label>
    ${baseChoice(store, 'change since')}</div>
    <div class="concepts-categories" role="group" aria-label="Categories of the table and the map">${(space.value?.categories ?? []).map(({ name, label, slot }) => html`
      <button type="button" class="legend-item" aria-pressed=${String(!hidden.value.has(name))} title="List ${label} concepts, here and on the map" @click=${() => store.toggleCategory(name)}><i class="dot slot-${slot}"></i>${label}</button>`)}</div>`;
}

/** @param {Store} store @param {Tally | null} tally @param {number} listed @param {string} note */
function tellCounts(store, tally, listed, note) {
  if (!tally) return html`<span class="mute">Loading…</span>`;
  const epoch = store.epoch.value;
  const now = tally.words.reduce((total, _, row) => total + Number(countAt(tally, epoch, row) > 0), 0);
  const steps = store.steps.value.length;
  const left = tally.words.length - listed;
  return html`<span role="status">${note || (tally.words.length === 0 ? 'No neuron of this layer has had a clear concept yet.' : `${counted(now, 'concept')} at step ${formatCount(store.step.value)}, ${formatCount(tally.words.length)} over all steps`)}</span>
    ${left > 0 && !note ? html`<span class="mute">${listed === 0 ? 'No word fits the filter' : `${formatCount(left)} filtered out`}</span>` : nothing}
    ${tally.counted < steps ? html`<span class="mute">counted ${formatCount(tally.counted)} of ${counted(steps, 'step')}</span>` : nothing}`;
}

/** @param {Tally} tally @param {number} row @param {number} epoch */
function nobodyHas(tally, row, epoch) {
  const at = lastSeen(tally, epoch, row);
  const { steps } = tally.layer;
  const when = at < 0 ? '' : at < epoch ? `; the last was at step ${formatCount(steps[at])}` : `; the first comes at step ${formatCount(steps[at])}`;
  return `No neuron has “${tally.words[row]}” at step ${formatCount(steps[epoch])}${when}.`;
}

/** @param {number} change */
const changeText = (change) => (Number.isNaN(change) ? html`<span class="mute" title="That step is not loaded yet">–</span>` : change === 0 ? html`<span class="mute">0</span>` : change > 0 ? `+${formatCount(change)}` : formatCount(change));
/** @param {number} count */
const numberText = (count) => (Number.isNaN(count) ? html`<span title="Not loaded, or not logged at this step">–</span>` : formatCount(count));
