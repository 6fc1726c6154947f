// @ts-check
/** Words by their distance to the nearest neuron, farthest first: what the network has not learned. */
import { computed, effect, html, nothing, render, signal } from '../../lib.js';
import { distancePath, loggedSeries, nearnessAt, rankByDistance } from '../../model/anchors.js';
import { placeOfStep } from '../../model/axis.js';
import { counted, formatCount, formatNumber } from '../../model/format.js';
import { labelOf } from '../../model/layer.js';
import { categoryOf, wordOf } from '../../model/space.js';
import { explain, explainMark } from '../explain.js';
import { icon, star } from '../icons.js';
import { mountGrid } from './grid.js';
import { switchOf } from './switch.js';

/** @typedef {import('../../store.js').Store} Store */
/** @typedef {import('../../model/anchors.js').Nearness} Nearness */
/** @typedef {import('./distances.js').Distances} Distances */
/** @template T @typedef {import('../../lib.js').Signal<T>} Signal */

const SPARK = { width: 64, height: 16 };
/** All concepts are asked for where the cursor rests. */
const REST_MS = 200;
/** @type {['anchors' | 'concepts', string, string][]} */
const SCOPES = [
  ['anchors', 'Anchors', 'The anchors: words that somebody wants to see learned'],
  ['concepts', 'All concepts', 'Every word of the concept set'],
];

/** @param {HTMLElement} host @param {Store} store @param {Signal<boolean>} isShown @param {Distances} distances */
export function mountMissing(host, store, isShown, distances) {
  const bar = Object.assign(document.createElement('div'), { className: 'concepts-bar' });
  const told = Object.assign(document.createElement('p'), { className: 'flow-told' });
  const grid = document.createElement('div');
  host.replaceChildren(bar, told, grid);
  const farthest = signal(true);

  const anchors = computed(() => (store.missingAmong.value === 'anchors' ? store.anchors.value : null));
  /** Logged distances are at hand and follow the cursor at once; others are asked for. @param {string} word */
  const seriesOf = (word) => {
    const { first, missingGated } = store;
    const { metrics, spaceAt, steps } = first.value;
    const anchorsAt = (/** @type {number} */ step) => spaceAt.value(steps.value.indexOf(step))?.anchors ?? [];
    const logged = missingGated.value ? null : loggedSeries(metrics.value, anchorsAt, word);
    const asked = logged ? null : distances.of(first.value, word);
    return logged ?? (missingGated.value ? asked?.gated : asked?.all) ?? null;
  };

  const words = computed(() => {
    const space = store.space.value;
    const step = store.step.value;
    if (!isShown.value || !space) return [];
    if (anchors.value) return anchors.value.map(({ word, kind }) => {
      const series = seriesOf(word);
      const concept = space.words.indexOf(word);
      return /** @type {Nearness} */ ({ word, kind, slot: categoryOf(space, concept)?.slot ?? -1, series, ...nearnessAt(series, step) });
    });
    const now = distances.at(store.first.value, step);
    const [distance, neuron] = store.missingGated.value ? [now?.gated_distance, now?.gated_neuron] : [now?.distance, now?.neuron];
    return space.words.map((word, i) => /** @type {Nearness} */ ({ word, kind: 'concept', slot: categoryOf(space, i)?.slot ?? -1, series: null, distance: distance?.[i] ?? NaN, neuron: neuron?.[i] ?? -1 }));
  });
  effect(() => {
    if (!isShown.value || !store.space.value) return undefined;
    const source = store.first.value;
    const wanted = anchors.value?.map(({ word }) => word).filter((word) => !seriesOf(word));
    if (wanted) { distances.want(source, wanted); return undefined; }
    if (store.playing.value) return undefined;
    const step = store.step.value;
    void distances.problems.value;
    const timer = setTimeout(() => distances.wantStep(source, step), REST_MS);
    return () => clearTimeout(timer);
  });
  const most = computed(() => words.value.reduce((max, { distance, series }) => Math.max(max, Number.isNaN(distance) ? 0 : distance, ...(series?.distance ?? []).map((value) => value ?? 0)), 0));
  const rows = computed(() => {
    const text = store.conceptText.value.trim().toLowerCase();
    const { hidden: { value: hidden }, space: { value: space } } = store;
    const all = words.value;
    return rankByDistance(all, farthest.value).filter((row) => {
      const category = space ? categoryOf(space, space.words.indexOf(all[row].word)) : null;
      return (!text || all[row].word.toLowerCase().includes(text)) && !(anchors.value === null && category && hidden.has(category.name));
    });
  });

  /** Concept of a neuron now, '' for none. @param {number} neuron */
  const wordOfNeuron = (neuron) => {
    const { layer: { value: layer }, space: { value: space }, epoch } = store.first.value;
    return layer && space && neuron >= 0 ? wordOf(space, labelOf(layer, epoch.value, neuron)) : '';
  };
  const refOf = (/** @type {number} */ neuron) => ({ run: store.first.peek().run, layer: store.first.peek().name, neuron });
  /** @param {number} row @returns {import('./grid.js').Row} */
  const rowOf = (row) => {
    const { word, kind, slot, distance, neuron, series } = words.value[row];
    const theirs = wordOfNeuron(neuron);
    const isOwn = theirs === word;
    const share = most.value && !Number.isNaN(distance) ? distance / most.value : 0;
    const nearest = neuron < 0 ? '' : `neuron ${neuron} (${theirs || 'no concept'})`;
    const { places: { value: places }, steps: { value: steps } } = store.first.value;
    const span = places[places.length - 1] - places[0];
    const x = (/** @type {number} */ step) => (span ? ((placeOfStep(places, steps, step) - places[0]) / span) * SPARK.width : SPARK.width / 2);
    return {
      title: nearest ? `“${word}”: nearest is ${nearest}, at distance ${formatNumber(distance)}. Click to look at this neuron.` : `“${word}”: no neuron counts at this step`,
      isSelected: neuron >= 0 && store.focus.value?.neuron === neuron && store.focus.value.layer === store.first.value.name && store.focus.value.run === store.first.value.run,
      cells: html`<span role="gridcell" class="grid-cell grid-word">${kind === 'concept' && !anchors.value ? html`<i class="dot slot-${slot < 0 ? 'none' : slot}"></i>` : star(13)}<span>${word}</span></span>
        <span role="gridcell" class="grid-cell bar-cell"><span class="bar-track"><i class="bar" style="width:${(100 * share).toFixed(1)}%"></i></span><span class="bar-value">${formatNumber(distance)}</span></span>
        <span role="gridcell" class="grid-cell nearest ${isOwn ? 'own' : ''}">${neuron < 0 ? '–' : html`<span class="nearest-id">${neuron}</span> <span class=${theirs ? '' : 'mute'}>${theirs || 'no concept'}</span>`}</span>
        ${anchors.value ? html`<span role="gridcell" class="grid-cell spark">${series ? html`<svg width=${SPARK.width} height=${SPARK.height} aria-hidden="true"><path class="spark-line" d=${distancePath(series, x, most.value, SPARK.height)}/></svg>` : nothing}</span>` : nothing}`,
    };
  };
  mountGrid(grid, {
    id: 'missing', label: 'Words by distance to their nearest neuron', isShown, rows, rowOf,
    columns: () => `minmax(70px, 1fr) minmax(96px, 1.3fr) minmax(92px, 112px)${anchors.value ? ` ${SPARK.width + 4}px` : ''}`,
    head: () => html`<span role="columnheader" class="grid-cell">word</span>
      <span role="columnheader" class="grid-cell" aria-sort=${farthest.value ? 'descending' : 'ascending'}><button type="button" title="${explain('anchor_nearest')} Click for ${farthest.value ? 'the nearest' : 'the farthest'} first." @click=${() => { farthest.value = !farthest.peek(); }}>distance <span aria-hidden="true">${farthest.value ? '↓' : '↑'}</span></button></span>
      <span role="columnheader" class="grid-cell" title="The neuron nearest to the word, and its concept">nearest neuron</span>
      ${anchors.value ? html`<span role="columnheader" class="grid-cell" title="The distance over training, all words on one scale; it falls as a word is learned">over steps</span>` : nothing}`,
    onChoose: (row) => { const { neuron } = words.peek()[row]; if (neuron >= 0) store.focus.value = refOf(neuron); },
    onPoint: (row) => { const neuron = row === null ? -1 : (words.peek()[row]?.neuron ?? -1); store.hovered.value = neuron >= 0 ? refOf(neuron) : null; },
  });
  effect(() => {
    const { places: { value: places }, placeNow } = store.first.value;
    const span = places[places.length - 1] - places[0];
    grid.style.setProperty('--now', `${(span ? ((placeNow.value - places[0]) / span) * SPARK.width : SPARK.width / 2).toFixed(1)}px`);
  });

  effect(() => { if (isShown.value) render(toolsOf(store), bar); });
  effect(() => {
    if (!isShown.value) return;
    const { key } = store.first.value;
    render(tellMissing(words.value, store, distances.problems.value[key] ?? '', words.value.filter(({ word, neuron }) => neuron >= 0 && wordOfNeuron(neuron) === word).length), told);
  });
}

/** @param {Store} store */
function toolsOf(store) {
  const { missingGated, conceptText, editingAnchors } = store;
  return html`<div class="concepts-tools">${switchOf('Words listed', SCOPES, store.missingAmong)}
      <label class="check" title="Count only interpretable neurons, as logged: an unclear neuron that happens to be near has learned nothing"><input type="checkbox" .checked=${missingGated.value} @change=${(/** @type {any} */ event) => { missingGated.value = event.target.checked; }}>interpretable only</label></div>
    <div class="concepts-tools"><label class="find">${icon('search')}<input type="search" placeholder="Filter the words" aria-label="Filter the words by name" autocomplete="off" spellcheck="false"
      .value=${conceptText.value} @input=${(/** @type {any} */ event) => { conceptText.value = event.target.value; }}></label>
      <button type="button" class="text-button" aria-expanded=${String(editingAnchors.value)} @click=${(/** @type {Event} */ event) => { event.stopPropagation(); editingAnchors.value = !editingAnchors.peek(); }}>edit anchors</button></div>`;
}

/** @param {Nearness[]} words @param {Store} store @param {string} problem @param {number} own words that are the concept of the neuron nearest to them */
function tellMissing(words, store, problem, own) {
  const known = words.filter(({ distance }) => !Number.isNaN(distance));
  const isAnchors = store.missingAmong.value === 'anchors';
  if (problem) return html`<span class="warning">${icon('warn')} ${problem}</span>`;
  if (!words.length) return html`<span class="mute">${isAnchors ? 'There are no anchors: add words that the network should learn with “edit anchors”.' : 'Loading…'}</span>`;
  if (!known.length) return html`<span class="mute">${store.first.value.summary.value?.valid === 0 ? 'No neuron has a signal at this step, so nothing is near to anything.' : 'Measuring distances…'}</span>`;
  const mean = known.reduce((total, { distance }) => total + distance, 0) / known.length;
  return html`<span>Mean <b>${formatNumber(mean)}</b>${explainMark(store.missingGated.value ? 'd_anchor_gated' : 'd_anchor')} at step ${formatCount(store.step.value)}. For ${formatCount(own)} of ${counted(words.length, isAnchors ? 'anchor' : 'concept')} the nearest neuron has that very concept.</span>`;
}
