// @ts-check
/** Below the charts, on their axis: the tracked neurons as concept barcodes, or the neuron in focus in short. */
import { effect, html, nothing, render, svg } from '../lib.js';
import { MARGIN } from '../charts/frame.js';
import { keyOf } from '../source.js';
import { formatCount } from '../model/format.js';
import { labelHistory } from '../model/history.js';
import { detailFromLayer, labelFromFrame, sameNeuron } from '../model/neurons.js';
import { explain } from './explain.js';
import { conceptBars, labelDot, labelText, thumbnails, unplacedHint, waitingThumbnails } from './neurons/parts.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('../source.js').NeuronRef} NeuronRef */
/** @typedef {(place: number) => number} Axis */

/** The full card has more. */
const CONCEPTS = 3;
const MOST_STRETCHES = 6;

/** A neuron's life as a strip: thick in a category's colour, a thin line where it had no concept. @param {Source} source @param {number} neuron @param {Axis} x @param {number} height */
function barcode({ layer: { value: layer }, places: { value: places }, spaceAt }, neuron, x, height) {
  if (!layer || !places.length) return nothing;
  const { steps } = layer;
  const edge = (/** @type {number} */ index) => {
    if (index <= 0) return x(places[0]);
    if (index >= steps.length) return x(places[steps.length - 1]);
    return x((places[index - 1] + places[index]) / 2);
  };
  return svg`${labelHistory(layer, spaceAt.value, neuron).map(({ from, to, concept, word, slot }) => {
    const left = edge(from);
    const width = Math.max(1, edge(to + 1) - left);
    return concept < 0
      ? svg`<rect class="gap" x=${left} width=${width} y=${height / 2 - 0.75} height="1.5"/>`
      : svg`<rect class="slot-${slot}" x=${left} width=${Math.max(1, width - 1)} y="0" height=${height} rx="1.5"><title>${word}, step ${steps[from]}${to > from ? ` to ${steps[to]}` : ''}</title></rect>`;
  })}`;
}

/** @param {HTMLElement} host @param {Store} store @param {() => Axis} axis @param {import('../api.js').Api} api */
export function mountInspector(host, store, axis, api) {
  // The cursor moves at every frame while playing, the rest only from step to step.
  effect(() => { host.style.setProperty('--now', `${Math.round(axis()(store.first.value.placeNow.value || 0))}px`); });
  effect(() => {
    if (store.panel.value !== 'overview') return;
    const ref = store.focus.value;
    const known = store.layer.value && store.space.value;
    render(!known ? nothing : ref ? detail(store, ref, axis(), api) : lists(store, axis()), host);
  });
}

const TITLES = { reader: 'Tracked neurons', log: 'Tracked neurons', suggestion: 'Neurons that changed most' };

/** A single step has no changes. @param {Source} source */
const titleOf = ({ trackedBy, steps }) => (trackedBy.value === 'suggestion' && steps.value.length < 2 ? 'Some of its neurons' : TITLES[trackedBy.value]);

/** The tracked neurons of the first source; those of the others where somebody chose them. @param {Store} store @param {Axis} x */
function lists(store, x) {
  const all = store.sources.value.filter((source, i) => i === 0 || (source.trackedBy.value !== 'suggestion' && source.tracked.value.length));
  return html`${all.map((source) => trackedList(store, source, x, all.length > 1))}`;
}

/** @param {Store} store @param {Source} source @param {Axis} x @param {boolean} several */
function trackedList(store, source, x, several) {
  const neurons = source.tracked.value;
  const layer = source.layer.value;
  if (!layer) return nothing;
  const right = x(source.places.value[layer.steps.length - 1]);
  const place = store.sources.value.indexOf(source);
  return html`<header><h3 title=${explain('tracked')}>${several ? html`<i class="source-mark source-${place}"></i>` : nothing}${titleOf(source)} <span class="chart-note">${several ? `${source.name} · ${source.run}` : formatCount(neurons.length)}</span></h3>
      ${neurons.length ? html`<button type="button" class="text-button" title="Stop tracking these neurons" @click=${() => store.setTracked(source.key, [])}>clear</button>` : nothing}</header>
    ${neurons.length ? html`<ul class="tracked">${neurons.map((neuron) => {
      const ref = { run: layer.run, layer: layer.name, neuron };
      const label = labelFromFrame(layer, source.space.value, source.epoch.value, neuron);
      return html`<li><button type="button" class="tracked-row" aria-label="neuron ${neuron}: ${labelText(label)}" title="Neuron ${neuron}. Click: more of it." @click=${() => { store.focus.value = ref; }}
        @pointerenter=${() => { store.hovered.value = ref; }} @pointerleave=${() => { store.hovered.value = null; }}>
        <span class="tracked-id" style="width:${MARGIN.left - 8}px">${neuron}</span>
        <svg class="barcode" width="100%" height="11" aria-hidden="true">${barcode(source, neuron, x, 11)}</svg><i class="now-line"></i>
        <span class="tracked-word ${label?.interpretable ? '' : 'mute'}" style="left:${right + 8}px">${label?.interpretable ? label.word : '–'}</span></button></li>`;
    })}</ul>` : html`<p class="hint">Click a neuron on the map to see its history, shift-click to track it here.</p>`}`;
}

/** @param {Store} store @param {NeuronRef} ref @param {Axis} x @param {import('../api.js').Api} api */
function detail(store, ref, x, api) {
  const source = store.sourceOf(keyOf(ref));
  const layer = source?.layer.value ?? null;
  const several = store.sources.value.length > 1 || !source;
  const place = source ? store.sources.value.indexOf(source) : -1;
  return html`<header><h3>${several ? html`<i class="source-mark ${place < 0 ? 'source-none' : `source-${place}`}"></i>` : nothing}neuron ${ref.neuron} <span class="chart-note">${several ? `${ref.layer} · ${ref.run}` : ref.layer}</span></h3>
      ${actions(store, ref, source)}</header>
    ${!source ? html`<p class="hint">Its run or layer is not shown on the map; its card has all of it.</p>`
      : !layer || ref.neuron >= layer.neurons ? html`<p class="hint">…</p>` : inShort(source, layer, ref, x, api, store.playing.value)}`;
}

/** @param {Store} store @param {NeuronRef} ref @param {Source | undefined} source */
function actions(store, ref, source) {
  const isTracked = source !== undefined && source.trackedBy.value !== 'suggestion' && source.tracked.value.includes(ref.neuron);
  const isPinned = store.pinned.value.some((other) => sameNeuron(other, ref));
  const openCard = () => {
    store.panel.value = 'neurons';
    // The button goes with the overview: the reader's place is in the card now.
    requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector('.neuron-card .icon-button'))?.focus());
  };
  return html`${source ? html`<button type="button" class="text-button" aria-pressed=${String(isTracked)} title="Follow it with a trail and a barcode (t)" @click=${() => store.toggleTracked(ref)}>${isTracked ? 'stop tracking' : 'track'}</button>` : nothing}
    <button type="button" class="text-button" aria-pressed=${String(isPinned)} title="Keep its card open (p)" @click=${() => store.togglePinned(ref)}>${isPinned ? 'unpin' : 'pin'}</button>
    <button type="button" class="text-button strong" title="Everything about this neuron: images at every step, nearest neurons, other runs" @click=${openCard}>open card</button>
    <button type="button" class="text-button" title="Close (Escape)" @click=${() => { store.focus.value = null; }}>close</button>`;
}

/** @param {Source} source @param {import('../model/layer.js').Layer} layer @param {NeuronRef} ref @param {Axis} x @param {import('../api.js').Api} api @param {boolean} playing */
function inShort(source, layer, { run, neuron }, x, api, playing) {
  const at = source.epoch.value;
  const space = source.space.value;
  const label = labelFromFrame(layer, space, at, neuron);
  // While time runs details are there for some steps and not for others: none is calmer than a flicker.
  const now = playing ? null : detailFromLayer(layer, space, at, neuron);
  const named = labelHistory(layer, source.spaceAt.value, neuron).filter(({ concept }) => concept >= 0);
  const shown = named.length > MOST_STRETCHES ? named.slice(-MOST_STRETCHES) : named;
  const when = (/** @type {number} */ from, /** @type {number} */ to) => (from === to ? formatCount(layer.steps[from]) : `${formatCount(layer.steps[from])}–${formatCount(layer.steps[to])}`);
  const { tiles } = source.data.value;
  const images = Math.max(1, Math.min(8, layer.images || 8));
  const best = label?.word ? [label] : [];
  return html`<div class="barcode-row" data-explain="barcode"><svg class="barcode" width="100%" height="14" aria-hidden="true">${barcode(source, neuron, x, 14)}</svg><i class="now-line"></i></div>
    <p class="life">${shown.length ? html`${named.length > shown.length ? html`<span class="mute">… </span>` : nothing}${shown.map(({ from, to, word, slot }, i) => html`${i ? html`<span class="mute">→</span>` : nothing}
      <span class="stretch" data-now=${String(from <= at && at <= to)}><i class="dot slot-${slot}"></i>${word} <span class="mute">${when(from, to)}</span></span>`)}` : html`<span class="mute">Never interpretable so far</span>`}</p>
    ${label && !label.valid ? html`<p class="hint"><i class="dot ${labelDot(label)}"></i> ${unplacedHint(label)}</p>`
      : html`<div style="--thumbs:${images}">${now ? thumbnails(tiles, now.images.slice(0, images), (step) => api.imagePage(run, step)) : waitingThumbnails(tiles, images)}</div>
        ${conceptBars(now ? now.concepts.slice(0, CONCEPTS) : best, layer.cut ?? source.metricsNow.value?.threshold, !now)}`}`;
}
