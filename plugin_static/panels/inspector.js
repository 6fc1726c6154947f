// @ts-check
/** Below the charts, on their axis: the tracked neurons as concept barcodes, or one neuron in full. */
import { effect, html, nothing, render, svg } from '../lib.js';
import { MARGIN } from '../charts/frame.js';
import { keyOf } from '../source.js';
import { conceptBars, thumbnails } from '../map/hovercard.js';
import { labelHistory } from '../model/history.js';
import { conceptOf, isInterpretable, isValid, topConcepts, topImages } from '../model/layer.js';
import { formatCount } from '../model/format.js';
import { wordOf } from '../model/space.js';

/** @typedef {import('../store.js').Store} Store */

/** A neuron's life as a strip: thick in a category's colour, a thin line where it had no concept. @param {Store} store @param {number} neuron @param {(step: number) => number} x @param {number} height */
function barcode(store, neuron, x, height) {
  const layer = store.layer.value;
  if (!layer) return nothing;
  const { steps } = layer;
  const places = store.first.value.places.value;
  const edge = (/** @type {number} */ index) => {
    if (index <= 0) return x(places[0]);
    if (index >= steps.length) return x(places[steps.length - 1]);
    return x((places[index - 1] + places[index]) / 2);
  };
  return svg`${labelHistory(layer, store.spaceAt.value, neuron).map(({ from, to, concept, word, slot }) => {
    const left = edge(from);
    const width = Math.max(1, edge(to + 1) - left);
    return concept < 0
      ? svg`<rect class="gap" x=${left} width=${width} y=${height / 2 - 0.75} height="1.5"/>`
      : svg`<rect class="slot-${slot}" x=${left} width=${Math.max(1, width - 1)} y="0" height=${height} rx="1.5"><title>${word}, step ${steps[from]}${to > from ? ` to ${steps[to]}` : ''}</title></rect>`;
  })}`;
}

/** @param {HTMLElement} host @param {Store} store @param {() => (step: number) => number} axis @param {import('../api.js').Api} api */
export function mountInspector(host, store, axis, api) {
  // The cursor moves at every frame while playing, the rest only from step to step.
  effect(() => { host.style.setProperty('--now', `${Math.round(axis()(store.first.value.placeNow.value || 0))}px`); });
  effect(() => {
    const layer = store.layer.value;
    const ref = store.focus.value;
    const neuron = ref && keyOf(ref) === store.first.value.key ? ref.neuron : null;
    const known = layer && store.space.value;
    render(!known ? nothing : neuron !== null && neuron < layer.neurons ? detail(store, neuron, axis(), api) : trackedList(store, axis()), host);
  });
}

const TITLES = { reader: 'Tracked neurons', log: 'Tracked neurons', suggestion: 'Neurons that changed most' };

/** @param {Store} store @param {(step: number) => number} x */
function trackedList(store, x) {
  const { tracked, trackedBy, key } = store.first.value;
  const neurons = tracked.value;
  const layer = /** @type {import('../model/layer.js').Layer} */ (store.layer.value);
  const space = /** @type {import('../model/space.js').Space} */ (store.space.value);
  const at = store.epoch.value;
  const right = x(store.first.value.places.value[layer.steps.length - 1]);
  return html`<header><h3>${TITLES[trackedBy.value]} <span class="chart-note">${formatCount(neurons.length)}</span></h3>
      ${neurons.length ? html`<button type="button" class="text-button" @click=${() => store.setTracked(key, [])}>clear</button>` : nothing}</header>
    ${neurons.length ? html`<ul class="tracked">${neurons.map((neuron) => {
      const named = isInterpretable(layer, at, neuron);
      const word = named ? wordOf(space, conceptOf(layer, at, neuron)) : '';
      return html`<li><button type="button" class="tracked-row" aria-label="neuron ${neuron}: ${word || 'no clear concept'}" @click=${() => { store.focus.value = { run: layer.run, layer: layer.name, neuron }; }}
        @pointerenter=${() => { store.hovered.value = { run: layer.run, layer: layer.name, neuron }; }} @pointerleave=${() => { store.hovered.value = null; }}>
        <span class="tracked-id" style="width:${MARGIN.left - 8}px">${neuron}</span>
        <svg class="barcode" width="100%" height="11" aria-hidden="true">${barcode(store, neuron, x, 11)}</svg><i class="now-line"></i>
        <span class="tracked-word ${named ? '' : 'mute'}" style="left:${right + 8}px">${word || '–'}</span></button></li>`;
    })}</ul>` : html`<p class="hint">Click a neuron on the map to see its history, shift-click to track it here.</p>`}`;
}

/** @param {Store} store @param {number} neuron @param {(step: number) => number} x @param {import('../api.js').Api} api */
function detail(store, neuron, x, api) {
  const layer = /** @type {import('../model/layer.js').Layer} */ (store.layer.value);
  const space = /** @type {import('../model/space.js').Space} */ (store.space.value);
  const at = store.epoch.value;
  const isTracked = store.first.value.trackedBy.value !== 'suggestion' && store.first.value.tracked.value.includes(neuron);
  const named = labelHistory(layer, store.spaceAt.value, neuron).filter(({ concept }) => concept >= 0);
  const images = Math.max(1, Math.min(8, layer.images));
  // A row of thumbnails as wide as the column.
  const thumb = Math.min(48, Math.floor((x(store.first.value.places.value[layer.steps.length - 1]) + MARGIN.right - 3 * images) / images));
  const shown = named.length > 8 ? named.slice(-8) : named;
  return html`<header><h3>neuron ${neuron} <span class="chart-note">${layer.name}</span></h3>
      <button type="button" class="text-button" aria-pressed=${String(isTracked)} title="Track (t)" @click=${() => store.toggleTracked({ run: store.first.value.run, layer: store.first.value.name, neuron })}>${isTracked ? 'stop tracking' : 'track'}</button>
      <button type="button" class="text-button" title="Close (Escape)" @click=${() => { store.focus.value = null; }}>close</button></header>
    <div class="barcode-row"><svg class="barcode" width="100%" height="14" aria-hidden="true">${barcode(store, neuron, x, 14)}</svg><i class="now-line"></i></div>
    <p class="life">${shown.length ? html`${named.length > shown.length ? html`<span class="mute">… </span>` : nothing}${shown.map(({ from, to, word, slot }, i) => html`${i ? html`<span class="mute">→</span>` : nothing}
      <span class="stretch" data-now=${String(from <= at && at <= to)}><i class="dot slot-${slot}"></i>${word} <span class="mute">${from === to ? layer.steps[from] : `${layer.steps[from]}–${layer.steps[to]}`}</span></span>`)}` : html`<span class="mute">Never interpretable so far</span>`}</p>
    ${isValid(layer, at, neuron)
      ? html`${thumbnails(store.data.value, topImages(layer, at, neuron), thumb, (step) => api.imagePage(store.primary.value, step))}
        ${conceptBars(space, topConcepts(layer, at, neuron), (layer.cut ?? store.first.value.metricsNow.value?.threshold))}`
      : html`<p class="hint">Dead or constant over the probe images at this step.</p>`}`;
}
