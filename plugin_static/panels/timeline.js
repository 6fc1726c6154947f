// @ts-check
/** The time line: play, step, scrub, speed, loop, range, and by what time is measured. */
import { computed, effect, html, nothing, render, scaleLinear, signal, svg } from '../lib.js';
import { axisName, axisOf, axisTicks, formatPlace } from '../charts/ticks.js';
import { createPicker } from '../charts/picker.js';
import { formatCount } from '../model/format.js';
import { indexOfPlace, placeOfIndex } from '../model/axis.js';
import { indexOfStep } from '../model/steps.js';
import { createMarks } from './marks.js';
import { createRange } from './range.js';
import { icon, iconButton } from './icons.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('../model/axis.js').AxisMode} AxisMode */

const SPEEDS = [0.5, 1, 2, 4];
const BAR_HEIGHT = 17;
/** @type {[AxisMode, string][]} */
const MODES = [['step', 'as the training script counts'], ['epoch', 'every logged step is as wide'], ['time', 'hours on the clock']];

/** @param {HTMLElement} host @param {Store} store @param {Player} player */
export function mountTimeline(host, store, player) {
  const width = signal(600);
  const axis = computed(() => axisOf(store));
  const scale = computed(() => {
    const { places } = axis.value;
    const [low, high] = places.length ? [places[0], places[places.length - 1]] : [0, 0];
    return high > low ? scaleLinear([low, high], [0, width.value]) : scaleLinear([low - 1, low + 1], [0, width.value]);
  });
  const place = (/** @type {number} */ index) => scale.value(placeOfIndex(axis.value.places, index));
  const bars = computed(() => barsOf(store, place, width.value));
  const ticks = computed(() => axisTicks(axis.value, scale.value, 62));
  const loaded = computed(() => spansLoaded(store));
  const range = createRange(store);
  const marks = createMarks(store, player);
  const axisPicker = createPicker('axis-picker');

  const scrubber = () => /** @type {HTMLElement} */ (host.querySelector('.scrub'));
  const indexUnder = (/** @type {PointerEvent} */ event) => indexOfPlace(axis.peek().places, scale.peek().invert(event.clientX - scrubber().getBoundingClientRect().left));
  /** Where a range is being drawn from, null while scrubbing. @type {number | null} */
  let rangeFrom = null;
  const onDown = (/** @type {PointerEvent} */ event) => {
    if (store.steps.peek().length < 2 || event.button !== 0 || /** @type {Element} */ (event.target).closest('button, [role="slider"]')) return;
    scrubber().setPointerCapture(event.pointerId);
    host.querySelector('input')?.focus({ preventScroll: true });
    event.preventDefault();
    rangeFrom = event.shiftKey ? indexUnder(event) : null;
    if (rangeFrom === null) player.scrub(indexUnder(event));
  };
  const onMove = (/** @type {PointerEvent} */ event) => {
    if (!scrubber().hasPointerCapture(event.pointerId)) return;
    if (rangeFrom === null) player.scrub(indexUnder(event));
    else range.set(rangeFrom, indexUnder(event));
  };
  const onUp = (/** @type {PointerEvent} */ event) => {
    if (scrubber().hasPointerCapture(event.pointerId) && rangeFrom === null) player.jump(Math.round(store.cursor.peek()));
  };

  effect(() => {
    const steps = store.steps.value;
    const now = place(store.cursor.value);
    const reads = formatPlace(axis.value, store.first.value.placeNow.value);
    const { mode } = axis.value;
    render(html`
      ${transport(store, player, steps.length)}
      <div class="time-now"><div class="step-now" aria-live="off"><span>step</span><b>${steps.length ? formatCount(store.step.value) : '–'}</b><span class="mute">/ ${steps.length ? formatCount(steps[steps.length - 1]) : '–'}</span></div>
        ${axisPicker.template({
          button: html`<span class="axis-mode"><span class="mute">by</span> ${axisName(mode)}</span>${mode === 'step' ? nothing : html`<b>${reads}</b>`}${icon('chevron')}`,
          label: `Axis: ${axisName(mode)}`,
          title: 'What the time line and all charts are laid out by: choose a scalar such as accuracy to compare runs where they are equally far. A scalar counts as reached when it first was',
          options: () => axisOptions(store), isChosen: (value) => value === mode, choose: (value) => { store.axis.value = /** @type {AxisMode} */ (value); },
          empty: 'This run logged no scalars',
        })}</div>
      <div class="scrub" @pointerdown=${onDown} @pointermove=${onMove} @pointerup=${onUp} @dblclick=${range.clear} title="Bars: how much the neurons moved at each step. Drag to scrub, shift-drag to set a range">
        <svg class="moved" width=${width.value} height=${BAR_HEIGHT} aria-hidden="true"><path d=${bars.value}/></svg>
        <div class="moved past" style="width:${now}px"><svg width=${width.value} height=${BAR_HEIGHT} aria-hidden="true"><path d=${bars.value}/></svg></div>
        <div class="track">${loaded.value.map(([from, to]) => html`<i class="track-loaded" style="left:${place(from)}px;width:${Math.max(2, place(to) - place(from))}px"></i>`)}<div class="track-fill" style="width:${steps.length > 1 ? now : 0}px"></div></div>
        ${evolutionMarks(store, place)}
        ${steps.length > 1 ? range.template(place, indexUnder, width.value) : nothing}
        <div class="knob" style="left:${now}px"></div>
        <div class="scrub-marks" aria-hidden="true">${ticks.value.map(({ at, text }) => html`<span style="left:${at}px">${text}</span>`)}</div>
        <input type="range" min="0" max=${Math.max(0, steps.length - 1)} step="any" .value=${String(store.cursor.value)} ?disabled=${steps.length < 2} aria-label="Step"
          aria-valuetext="${mode === 'step' ? '' : `${axisName(mode)} ${reads}, `}step ${store.step.value}" @input=${(/** @type {any} */ event) => player.scrub(Number(event.target.value))}>
        ${marks(place, width.value)}
      </div>
      <div class="playing">${range.clearButton()}${iconButton({ name: 'loop', label: 'Loop (l): start again at the end', pressed: store.loop.value, onClick: () => { store.loop.value = !store.loop.peek(); } })}
        <div class="speed" role="group" aria-label="Speed">${speeds(store.speed.value).map((speed) => html`<button type="button" aria-pressed=${String(store.speed.value === speed)} title="${speed} times the usual speed (keys 1 to 9: slower to faster)" @click=${() => { store.speed.value = speed; }}>${speed}×</button>`)}</div></div>`, host);
  });
  new ResizeObserver(() => { if (scrubber()?.clientWidth) width.value = scrubber().clientWidth; }).observe(host);
  // The chooser's text changes with the cursor, and with it the room for the track.
  new ResizeObserver(() => { if (scrubber().clientWidth) width.value = scrubber().clientWidth; }).observe(scrubber());
}

/** @param {Store} store @param {Player} player @param {number} count */
function transport(store, player, count) {
  const running = store.playing.value;
  return html`<div class="transport">
    ${iconButton({ name: 'back', label: 'Previous step (left arrow)', onClick: () => player.step(-1) })}
    <button type="button" class="play" title="${running ? 'Pause' : 'Play'} (space)" aria-label=${running ? 'Pause' : 'Play'} ?disabled=${count < 2} @click=${player.toggle}>${icon(running ? 'pause' : 'play')}</button>
    ${iconButton({ name: 'forward', label: 'Next step (right arrow)', onClick: () => player.step(1) })}
  </div>`;
}

/** The usual speeds, and the one that a key chose. @param {number} now */
const speeds = (now) => [...new Set([...SPEEDS, now])].sort((a, b) => a - b);

/** @param {Store} store @returns {import('../charts/picker.js').Option[]} */
function axisOptions(store) {
  const others = store.others.value.filter(({ run }) => run !== store.first.value.run);
  return [
    ...MODES.map(([value, note]) => ({ value, label: axisName(value), note })),
    ...[...store.data.value.tags].sort((a, b) => Number(isOwn(a)) - Number(isOwn(b)) || a.localeCompare(b)).map((tag) => {
      const without = others.filter(({ data }) => !data.value.tags.includes(tag)).map(({ run }) => run);
      return { value: `scalar:${tag}`, label: tag, note: without.length ? `not in ${without.join(', ')}` : '' };
    }),
  ];
}

/** Whether the monitor itself logged a scalar: those of the script are more often looked for. @param {string} tag */
const isOwn = (tag) => tag.startsWith('concepts/');

/** The two steps whose evolutions are ranked, while they are looked at. @param {Store} store @param {(index: number) => number} place */
function evolutionMarks(store, place) {
  const shown = store.markedEvolution.value;
  const steps = store.steps.value;
  if (!shown || !steps.length || shown.to < steps[0] || shown.from > steps[steps.length - 1]) return nothing;
  const [from, to] = [shown.from, shown.to].map((step) => place(indexOfStep(steps, step)));
  return html`<div class="evolution-span" style="left:${from}px;width:${Math.max(0, to - from)}px"></div><i class="evolution-end" style="left:${from}px"></i><i class="evolution-end" style="left:${to}px"></i>`;
}

/** Bars as one path: how much the neurons moved at each step. @param {Store} store @param {(index: number) => number} place @param {number} width */
function barsOf(store, place, width) {
  const steps = store.steps.value;
  const moved = new Map(store.first.value.metrics.value.map((entry) => [entry.step, entry.mean_displacement ?? 0]));
  const most = Math.max(1e-9, ...moved.values());
  const bar = Math.max(1, Math.min(7, (0.4 * width) / Math.max(1, steps.length)));
  return steps.map((step, i) => {
    const height = ((moved.get(step) ?? 0) / most) * BAR_HEIGHT;
    return height > 0 ? `M${(place(i) - bar / 2).toFixed(1)},${BAR_HEIGHT}h${bar.toFixed(1)}v${(-height).toFixed(1)}h${(-bar).toFixed(1)}z` : '';
  }).join('');
}

/** Runs of steps whose neurons are here already. @param {Store} store @returns {[number, number][]} first and last index */
function spansLoaded(store) {
  const frames = store.layer.value?.frames ?? [];
  /** @type {[number, number][]} */
  const spans = [];
  frames.forEach((frame, i) => {
    if (!frame) return;
    const last = spans[spans.length - 1];
    if (last && last[1] === i - 1) last[1] = i;
    else spans.push([i, i]);
  });
  return spans;
}
