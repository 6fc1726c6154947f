// @ts-check
/** The card of one neuron: its label now, its concepts, its life, its images, its relatives. */
import { computed, effect, html, nothing, render, signal, untracked } from '../../lib.js';
import { indexOfPlace, placeOfStep } from '../../model/axis.js';
import { formatCount, formatNumber } from '../../model/format.js';
import { filmSteps, sameNeuron, steady } from '../../model/neurons.js';
import { clamp } from '../../model/steps.js';
import { readable } from '../../model/text.js';
import { explain, explainMark } from '../explain.js';
import { iconButton, icon } from '../icons.js';
import { descriptionOf, weightedSum } from './explanation.js';
import { barcode, film } from './film.js';
import { conceptBars, labelDot, labelText, unplacedHint } from './parts.js';
import { acrossList, nearestList, sourceMark } from './relatives.js';
import { createSight } from './sight.js';

/** @typedef {import('../../source.js').NeuronRef} NeuronRef */
/** @typedef {import('./sight.js').Sight} Sight */
/**
 * @typedef {object} CardContext what all cards share
 * @property {import('../../store.js').Store} store
 * @property {import('../../api.js').Api} api
 * @property {import('../../player.js').Player} player
 * @property {import('./answers.js').NeuronAnswers} answers
 * @property {import('../../lib.js').Signal<[number, number]>} domain of the axis, so that barcodes of several cards line up
 * @property {{value: boolean}} across whether relatives in other layers and runs are looked for
 * @property {() => boolean} isShown whether the panel is
 * @property {(ref: NeuronRef) => void} open
 * @property {(ref: NeuronRef) => void} close
 */

/** Steps of the film strip: more than fit, it scrolls. */
const FILM_STEPS = 12;
const FOLLOW_MS = 120;

/**
 * @param {NeuronRef} ref @param {CardContext} context
 * @returns {{element: HTMLElement, seen: (visible: boolean) => void, dispose: () => void}}
 */
export function createCard(ref, context) {
  const { store, api, player, answers, across, isShown } = context;
  const element = document.createElement('article');
  element.className = 'neuron-card blank';
  element.dataset.neuron = String(ref.neuron);
  element.setAttribute('aria-label', `Neuron ${ref.neuron}, ${readable(ref.layer)}, ${readable(ref.run)}`);
  const sight = createSight(store, answers, ref);
  const visible = signal(false);
  /** Counts how often the reader asked again. */
  const retry = signal(0);
  /** The step that time last rested on: the film strip keeps its columns while time moves. */
  const rest = signal(sight.epoch.peek());
  const still = computed(() => !store.playing.value && Math.abs(store.cursor.value - Math.round(store.cursor.value)) < 1e-6);
  const columns = computed(() => filmSteps(sight.steps.value.length, Math.min(rest.value, sight.steps.value.length - 1), FILM_STEPS));
  /** What to ask for: the same object while it says the same, so that nothing is asked for twice. */
  const wish = computed(steady(() => {
    if (!still.value || !visible.value || !isShown() || !sight.exists.value) return null;
    const steps = sight.steps.value;
    const step = steps[rest.value];
    const times = sight.listed.value?.wall_times ?? [];
    // With the clock, so that steps that were logged anew are asked for again.
    return step === undefined ? null : { step, film: columns.value.map((index) => steps[index]), times: columns.value.map((index) => times[index]) };
  }));
  const pageOf = (/** @type {number} */ step) => api.imagePage(ref.run, step);

  /** Bring all views to the place of one of this neuron's steps. @param {number} index */
  const seek = (index) => {
    const [places, all] = [store.first.peek().places.peek(), sight.places.peek()];
    player.jump(sight.source.peek() === store.first.peek() ? index : indexOfPlace(places, all[index]));
  };
  const live = bindLife(context, sight);
  const follower = createFollower(element);

  const stops = [
    effect(() => { if (still.value && isShown()) { const at = sight.epoch.value; untracked(() => { rest.value = at; }); } }),
    effect(() => {
      if (wish.value === null) return undefined;
      const { step, film } = wish.value;
      void retry.value;
      answers.wantRun(ref.run);
      const known = sight.source.peek()?.layer.peek()?.details ?? [];
      return answers.want(ref, { step, film: film.filter((_, i) => !known[columns.peek()[i]]), across: across.value }, sight.record);
    }),
    effect(() => {
      // Cards out of sight are not kept up to date: they catch up when they come into view.
      if (!visible.value || !isShown()) return;
      render(body(), element);
      element.classList.remove('blank');
      follower.follow();
    }),
    effect(() => {
      if (!visible.value || !isShown()) return;
      const [low, high] = context.domain.value;
      element.style.setProperty('--now', high > low ? `${((100 * (sight.placeNow.value - low)) / (high - low)).toFixed(2)}%` : '50%');
    }),
  ];
  render(html`<header class="neuron-head"><h3>${ref.neuron}</h3></header>`, element);

  function body() {
    const label = sight.label.value;
    const step = sight.steps.value[rest.value];
    return html`${head(context, ref)}
      ${!sight.exists.value ? html`<p class="hint">The log directory has no such neuron (any more).</p>` : html`
      <p class="neuron-label" title=${explain(label && !label.valid ? (label.unknown ? 'unknown' : 'dead') : label?.interpretable ? 'interpretable' : 'no_concept')}><i class="dot ${labelDot(label)}"></i><b>${labelText(label)}</b>
        ${label?.interpretable ? html`<span class="mute">${label.category}</span>` : nothing}</p>
      ${descriptionOf(sight, step)}
      ${life(sight, context, live)}
      ${concepts(sight, label, store.playing.value)}
      ${problem(sight, () => { retry.value++; })}
      ${images(sight, columns.value, seek, pageOf)}
      ${weightedSum(sight, step)}
      ${nearestList(store, sight, step, context.open)}
      ${acrossList(store, sight, step, across.value, (open) => { across.value = open; }, context.open)}`}`;
  }
  return { element, seen: (is) => { visible.value = is; }, dispose: () => { stops.forEach((stop) => stop()); follower.stop(); render(nothing, element); } };
}

/** What activates the neuron, step by step; without pictures the labels alone. @param {Sight} sight @param {number[]} columns @param {(index: number) => void} seek @param {(step: number) => string} pageOf */
function images(sight, columns, seek, pageOf) {
  if (sight.data.value.tiles.size) {
    return html`<h4><span><span data-explain="top_images">Top images by step</span> ${explainMark('top_images')}</span></h4>${film(sight, columns, seek, pageOf)}`;
  }
  return html`${columns.length > 1 ? film(sight, columns, seek, pageOf) : nothing}<p class="hint">This log has no probe images.</p>`;
}

/** @param {CardContext} context @param {NeuronRef} ref */
function head({ store, close }, ref) {
  const pinned = store.pinned.value.some((other) => sameNeuron(other, ref));
  const source = store.sources.value.find(({ run, name }) => run === ref.run && name === ref.layer);
  const tracked = source !== undefined && source.trackedBy.value !== 'suggestion' && source.tracked.value.includes(ref.neuron);
  const several = store.sources.value.length > 1 || !source;
  const name = `neuron ${ref.neuron}`;
  const hover = (/** @type {NeuronRef | null} */ to) => { store.hovered.value = to; };
  return html`<header class="neuron-head"><h3 @pointerenter=${() => hover(ref)} @pointerleave=${() => hover(null)} title=${explain('neuron')}><span class="neuron-word">neuron</span> ${ref.neuron}</h3>
    ${iconButton({ name: 'pin', label: pinned ? `Unpin ${name}` : `Pin ${name}: its card stays open (p)`, pressed: pinned, onClick: () => store.togglePinned(ref) })}
    ${source ? iconButton({ name: 'trail', label: tracked ? `Stop tracking ${name}` : `Track ${name}: its trail on the map, its barcode in the overview (t)`, pressed: tracked, onClick: () => store.toggleTracked(ref) }) : nothing}
    ${iconButton({ name: 'close', label: `Close the card of ${name}`, onClick: () => close(ref) })}</header>
    <p class="neuron-where mute" title="${ref.layer} of ${ref.run}${source ? '' : ': not shown on the map'}">${several ? html`<i class="source-mark ${sourceMark(store, ref.run, ref.layer)}"></i>` : nothing}<span>${several ? `${ref.layer} · ${ref.run}` : ref.layer}</span></p>`;
}

/** @param {Sight} sight @param {import('../../model/neurons.js').Label | null} label @param {boolean} playing */
function concepts(sight, label, playing) {
  if (label && !label.valid) return html`<div class="bars"><p class="hint">${unplacedHint(label)}</p></div>`;
  // While time runs details are there for some steps and not for others: none is calmer than a flicker.
  const detail = playing ? null : sight.detailAt(sight.epoch.value);
  const best = label?.word ? [{ word: label.word, slot: label.slot, similarity: label.similarity }] : [];
  return conceptBars(detail?.concepts ?? best, sight.threshold.value, !detail);
}

/** The label history, which is a slider of time too. @param {Sight} sight @param {CardContext} context @param {ReturnType<typeof bindLife>} live */
function life(sight, { store, domain }, live) {
  const steps = sight.steps.value;
  const at = sight.epoch.value;
  return html`<div class="neuron-life" role="slider" tabindex="0" aria-label="Label history of neuron ${sight.ref.neuron}" aria-valuemin="0" aria-valuemax=${Math.max(0, steps.length - 1)} aria-valuenow=${at}
    aria-valuetext="step ${formatCount(sight.step.value)}: ${labelText(sight.label.value)}" data-explain="barcode" @pointerdown=${live.down} @pointermove=${live.move} @pointerup=${live.up} @pointercancel=${live.up}>
    ${steps.length ? barcode(sight, domain.value) : nothing}${evolutionTicks(store, sight, domain.value)}<i class="now-line"></i></div>`;
}

/** The two steps between which the evolution was ranked that led here. @param {import('../../store.js').Store} store @param {Sight} sight @param {[number, number]} domain */
function evolutionTicks(store, { ref, places, steps }, [low, high]) {
  const marked = store.markedEvolution.value;
  if (!marked || !sameNeuron(ref, store.focus.value) || high <= low || !steps.value.length) return nothing;
  const share = (/** @type {number} */ step) => clamp((placeOfStep(places.value, steps.value, step) - low) / (high - low), 0, 1);
  return [marked.from, marked.to].map((step) => html`<i class="evolution-tick" style="left:${(100 * share(step)).toFixed(2)}%"></i>`);
}

/** Click or drag in the label history. The arrow keys move time everywhere, so here too. @param {CardContext} context @param {Sight} sight */
function bindLife({ store, player, domain }, sight) {
  let dragging = false;
  const indexUnder = (/** @type {PointerEvent} */ event) => {
    const { left, width } = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const [low, high] = domain.peek();
    return indexOfPlace(store.first.peek().places.peek(), low + (high - low) * clamp((event.clientX - left) / Math.max(1, width), 0, 1));
  };
  return {
    down: (/** @type {PointerEvent} */ event) => {
      if (event.button || sight.steps.peek().length < 2) return;
      dragging = true;
      /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
      player.scrub(indexUnder(event));
    },
    move: (/** @type {PointerEvent} */ event) => { if (dragging) player.scrub(indexUnder(event)); },
    up: () => { if (dragging) player.jump(Math.round(store.cursor.peek())); dragging = false; },
  };
}

/** @param {Sight} sight @param {() => void} again */
function problem({ record }, again) {
  if (!record.problem.value) return nothing;
  return html`<p class="neuron-problem" role="alert">${icon('warn')}<span>Not all of this card could be loaded: ${record.problem.value}.</span><button type="button" class="text-button" @click=${again}>try again</button></p>`;
}

/**
 * Keeps the current column of the strip in view. Asking where things are lays the page out: not in every frame.
 * @param {HTMLElement} element
 */
function createFollower(element) {
  let timer = 0;
  let shown = '';
  const follow = () => {
    timer = 0;
    const strip = /** @type {HTMLElement | null} */ (element.querySelector('.film'));
    const column = /** @type {HTMLElement | null} */ (strip?.querySelector('[tabindex="0"]'));
    const step = column?.dataset.step ?? '';
    // Who scrolls the strip by hand is left alone until time moves.
    if (!strip || !column || step === shown) return;
    shown = step;
    const left = column.offsetLeft - strip.offsetLeft;
    if (left < strip.scrollLeft || left + column.offsetWidth > strip.scrollLeft + strip.clientWidth) strip.scrollLeft = Math.max(0, left - (strip.clientWidth - column.offsetWidth) / 2);
  };
  return { follow: () => { if (!timer) timer = setTimeout(follow, FOLLOW_MS); }, stop: () => clearTimeout(timer) };
}
