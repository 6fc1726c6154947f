// @ts-check
/** Neurons by steps with their images and labels, as in the thesis' Fig. 2.1, second column. */
import { computed, effect, html, nothing, render, untracked } from '../../lib.js';
import { indexOfPlace } from '../../model/axis.js';
import { formatCount, formatNumber } from '../../model/format.js';
import { FIGURE_IMAGES, MAX_FIGURE_ROWS, figureColumns, figureNeurons, neuronKey, steady } from '../../model/neurons.js';
import { nearestIndex } from '../../model/steps.js';
import { labelDot, labelText, thumb, unplacedText } from './parts.js';
import { sourceMark } from './relatives.js';
import { createSight } from './sight.js';

/** @typedef {import('./sight.js').Sight} Sight */
/** @typedef {import('../../store.js').Store} Store */

const COUNTS = [4, 5, 6];

/**
 * @param {HTMLElement} host
 * @param {{store: Store, api: import('../../api.js').Api, player: import('../../player.js').Player, answers: import('./answers.js').NeuronAnswers, isShown: () => boolean}} context
 */
export function mountFigure(host, { store, api, player, answers, isShown }) {
  const refs = computed(steady(() => figureNeurons(store)));
  const columns = computed(steady(() => figureColumns(store)));
  /** @type {Map<string, Sight>} */
  const sights = new Map();
  const rows = computed(() => untrackedSights(refs.value));
  /** @param {import('../../source.js').NeuronRef[]} list */
  const untrackedSights = (list) => list.map((ref) => {
    const key = neuronKey(ref);
    const sight = sights.get(key) ?? createSight(store, answers, ref);
    sights.set(key, sight);
    return sight;
  });
  /** The row's own steps at the columns' places. @param {Sight} sight */
  const indicesOf = (sight) => {
    const leading = store.first.value.places.value;
    const { places, steps } = sight;
    return columns.value.map((column) => Math.max(0, Math.min(steps.value.length - 1, Math.round(indexOfPlace(places.value, leading[column] ?? 0)))));
  };

  effect(() => {
    if (!isShown() || store.playing.value) return undefined;
    const stops = rows.value.map((sight) => {
      const indices = indicesOf(sight);
      const film = indices.map((index) => sight.steps.value[index]);
      if (film.some((step) => step === undefined)) return () => {};
      answers.wantRun(sight.ref.run);
      return answers.want(sight.ref, { step: film[film.length - 1], film, across: false }, sight.record);
    });
    return () => stops.forEach((stop) => stop());
  });
  effect(() => {
    if (!isShown()) return;
    const at = columns.value;
    render(html`${settings(store, at)}
      ${rows.value.length && at.length ? html`<table style="--columns:${at.length}"><caption class="visually-hidden">Most activating images and concepts of neurons at ${at.length} steps</caption>
        <thead><tr><th scope="col"><span class="mute">neuron</span></th>${at.map((index, place) => html`<th scope="col">${stepChoice(store, at, index, place)}</th>`)}</tr></thead>
        <tbody>${rows.value.map((sight) => row(store, sight, indicesOf(sight), at, player, (step) => api.imagePage(sight.ref.run, step)))}</tbody></table>`
      : html`<p class="hint">Pin or track neurons to compare them here: each gets a row with its images and its concept at a few steps.</p>`}`, host);
  });
  effect(() => { const keys = new Set(refs.value.map(neuronKey)); untracked(() => { for (const key of sights.keys()) if (!keys.has(key)) sights.delete(key); }); });
}

/** @param {Store} store @param {number[]} at */
function settings(store, at) {
  const pinned = store.pinned.value.length;
  const rows = pinned > MAX_FIGURE_ROWS ? `The first ${MAX_FIGURE_ROWS} of ${pinned} pinned neurons` : pinned ? 'Pinned neurons' : { reader: 'Tracked neurons', log: 'Tracked neurons', suggestion: 'Neurons that changed most' }[store.first.value.trackedBy.value];
  const count = (/** @type {Event} */ event) => { store.figureSteps.value = null; store.figureCount.value = Number(/** @type {HTMLSelectElement} */ (event.target).value); };
  return html`<div class="figure-bar"><span>${rows}</span><span class="grow"></span><label>at <select aria-label="Number of steps" @change=${count}>${COUNTS.map((one) => html`<option value=${one} ?selected=${one === at.length}>${one}</option>`)}</select> steps</label>
    ${store.figureSteps.value ? html`<button type="button" class="text-button" title="First, last, and evenly between" @click=${() => { store.figureSteps.value = null; }}>spread evenly</button>` : nothing}</div>`;
}

/** Chooses the step of a column. @param {Store} store @param {number[]} at @param {number} index @param {number} place */
function stepChoice(store, at, index, place) {
  const steps = store.steps.value;
  const pick = (/** @type {Event} */ event) => {
    const step = Number(/** @type {HTMLSelectElement} */ (event.target).value);
    const next = at.map((one, i) => (i === place ? step : steps[one]));
    store.figureSteps.value = [...new Set(next)].sort((a, b) => a - b);
  };
  const current = nearestIndex(steps, store.step.value) === index;
  return html`<span class="select" data-now=${String(current)}><select aria-label="Step of column ${place + 1}" title="Step of this column" @change=${pick}>
    ${steps.map((step, i) => html`<option value=${step} ?selected=${i === index} ?disabled=${i !== index && at.includes(i)}>${formatCount(step)}</option>`)}</select></span>`;
}

/** @param {Store} store @param {Sight} sight @param {number[]} indices @param {number[]} at @param {import('../../player.js').Player} player @param {(step: number) => string} pageOf */
function row(store, sight, indices, at, player, pageOf) {
  const { ref, source } = sight;
  const several = store.sources.value.length > 1 || !source.value;
  return html`<tr><th scope="row"><button type="button" class="figure-neuron" title="Open the card of neuron ${ref.neuron}, ${ref.layer} of ${ref.run}" @click=${() => { store.focus.value = ref; store.neuronsAs.value = 'cards'; }}
      @pointerenter=${() => { store.hovered.value = ref; }} @pointerleave=${() => { store.hovered.value = null; }}>${ref.neuron}</button>
      ${several ? html`<span class="figure-where mute" title="${ref.layer} of ${ref.run}"><i class="source-mark ${sourceMark(store, ref.run, ref.layer)}"></i>${ref.layer}</span>` : nothing}</th>
    ${indices.map((index, place) => cell(sight, index, () => player.jump(at[place]), pageOf))}</tr>`;
}

/** @param {Sight} sight @param {number} index @param {() => void} onSeek @param {(step: number) => string} pageOf */
function cell(sight, index, onSeek, pageOf) {
  const label = sight.life.value[index] ?? null;
  const detail = sight.detailAt(index);
  const tiles = sight.data.value.tiles;
  const step = formatCount(sight.steps.value[index] ?? NaN);
  const failed = !detail && sight.record.problem.value;
  const blank = () => Array.from({ length: FIGURE_IMAGES }, () => (failed ? html`<span class="thumb missing" role="img" aria-label="could not be loaded" title=${sight.record.problem.value}>?</span>` : html`<span class="thumb pending"></span>`));
  return html`<td><button type="button" class="figure-cell" aria-label="neuron ${sight.ref.neuron}, step ${step}: ${labelText(label)}. Go there." title="step ${step}: ${labelText(label)}${label?.interpretable ? `, similarity ${formatNumber(label.similarity)}` : ''}" @click=${onSeek}>
    <span class="film-word ${label?.interpretable ? '' : 'mute'}"><i class="dot ${labelDot(label)}"></i><span>${label && !label.interpretable ? '–' : labelText(label)}</span></span>
    ${tiles.size ? html`<span class="figure-images">${label && !label.valid && !label.unknown ? html`<span class="film-none">${unplacedText(label)}</span>` : detail ? detail.images.slice(0, FIGURE_IMAGES).map((image, rank) => thumb(tiles, image, rank, pageOf)) : blank()}</span>` : nothing}
    ${label?.interpretable ? html`<span class="figure-value mute">${formatNumber(label.similarity)}</span>` : html`<span class="figure-value mute">\u00a0</span>`}</button></td>`;
}
