// @ts-check
/** Marks on the time line where something happens: which, and how they look. */
import { computed, effect, html, nothing, signal, svg } from '../lib.js';
import { alertEvents } from '../model/alerts.js';
import { RULES, findDead, findFalling, findRateChanges, findReached, mergeMarks, rateTags } from '../model/events.js';
import { formatCount, formatNumber } from '../model/format.js';
import { countSeries } from '../model/metrics.js';
import { alignPoints } from '../model/scalars.js';
import { indexOfStep } from '../model/steps.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../model/events.js').Event} Event */
/** @typedef {import('../model/events.js').EventKind} EventKind */

/** So far apart that each mark can be pointed at, px. */
const GAP = 22;
/** Where events share a mark, the one that asks most for attention gives it its shape. @type {EventKind[]} */
const SEVERITY = ['critical', 'alert', 'falling', 'dead', 'rate', 'reached'];

/** Shapes on a 12 px grid: none tells by its colour alone. @type {Record<EventKind, any>} */
const SHAPES = {
  reached: svg`<path d="M6 2.500 10.300 9.800H1.700z"/>`,
  falling: svg`<path d="M6 9.800 10.300 2.500H1.700z"/>`,
  dead: svg`<path class="open" d="m2.800 2.800 6.400 6.400M9.200 2.800 2.800 9.200"/>`,
  rate: svg`<path d="M6 1.500 10.500 6 6 10.500 1.500 6z"/>`,
  alert: svg`<circle cx="6" cy="6" r="4.600"/><path class="hole" d="M6 3.300v3.200M6 8.400v.3"/>`,
  critical: svg`<path d="M3.700.5h4.600L11.500 3.700v4.600L8.300 11.500H3.700L.5 8.300V3.700z"/><path class="hole" d="m4 4 4 4M8 4 4 8"/>`,
};
/** @param {EventKind} kind */
export const shape = (kind) => html`<svg class="event-shape ${kind}" width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">${SHAPES[kind]}</svg>`;

/** Events of the first shown source, in its steps. @param {Store} store */
export function createEvents(store) {
  const metrics = computed(() => store.first.value.metrics.value);
  const cutLayer = computed(() => { const layer = store.layer.value; return layer && layer.cut !== null ? layer : null; });
  const neurons = computed(() => store.layer.value?.neurons ?? 0);
  const rateTag = computed(() => rateTags(store.data.value.tags)[0] ?? '');
  effect(() => { if (rateTag.value) store.wantScalars([rateTag.value]); });
  const ratePoints = computed(() => store.data.value.scalars[rateTag.value] ?? null);
  const steps = computed(() => store.steps.value);

  /** One value for each step, null where the log has none. @template T @param {T[]} entries @param {(entry: T) => number} stepOf @param {(entry: T) => number | null} valueOf */
  const byStep = (entries, stepOf, valueOf) => {
    const known = new Map(entries.map((entry) => [stepOf(entry), valueOf(entry)]));
    return steps.value.map((step) => known.get(step) ?? null);
  };
  const ofAlerts = computed(() => alertEvents(store.data.value.alerts.alerts, steps.value, store.layerName.value));
  // Where the rules were looked at while training ran, what they said counts, and nothing is judged twice.
  const ofLog = computed(() => (store.data.value.alerts.checked.length ? [] : [
    ...findFalling(byStep(metrics.value, ({ step }) => step, (entry) => entry.d_anchor), formatNumber),
    ...findDead(byStep(metrics.value, ({ step }) => step, (entry) => (entry.dead ?? 0) + (entry.constant ?? 0) + (entry.nonfinite ?? 0)), neurons.value),
  ]));
  const ofCounts = computed(() => {
    const counts = countSeries({ layer: cutLayer.value, metrics: metrics.value, spaceAt: store.spaceAt.value }).filter((entry) => entry !== null);
    return findReached(byStep(counts, ({ step }) => step, ({ interpretable }) => interpretable), neurons.value);
  });
  const ofRate = computed(() => {
    if (!ratePoints.value || !steps.value.length) return [];
    const { points } = alignPoints(ratePoints.value, steps.value, store.first.value.wallTimes.value);
    return findRateChanges(points.map(({ x, y }) => ({ x: indexOfStep(steps.value, x), y })), formatNumber);
  });
  return computed(() => [...ofAlerts.value, ...ofLog.value, ...ofCounts.value, ...ofRate.value]);
}

/**
 * @param {Store} store @param {import('../player.js').Player} player
 * @returns {(place: (index: number) => number, width: number) => any} the marks as a template; place: px of an index on the track
 */
export function createMarks(store, player) {
  const events = createEvents(store);
  const open = signal(-1);
  return (place, width) => {
    const marks = mergeMarks(events.value, place, GAP);
    return html`<div class="event-marks">${marks.map(({ index, events: members }, i) => {
      const at = place(index);
      const step = store.steps.value[Math.round(index)];
      const kinds = SEVERITY.filter((kind) => members.some((event) => event.kind === kind));
      const texts = members.map(({ text }) => text);
      // The tooltip stays inside the track: it grows away from the nearer end.
      const side = at < width / 3 ? 'start' : at > (2 * width) / 3 ? 'end' : '';
      return html`<button type="button" class="event-mark" style="left:${at}px" data-kind=${kinds[0]} aria-label="Step ${formatCount(step)}: ${texts.join('; ')}"
          @click=${() => player.jump(Math.round(index))} @pointerenter=${() => { open.value = i; }} @pointerleave=${() => { open.value = -1; }}
          @focus=${() => { open.value = i; }} @blur=${() => { open.value = -1; }}>${shape(kinds[0])}${members.length > 1 ? html`<span class="event-count">${members.length}</span>` : nothing}
        ${open.value === i ? html`<span class="event-tip ${side}" role="tooltip"><b>Step ${formatCount(step)}</b>
          ${members.map(({ kind, text }) => html`<span class="event-line">${shape(kind)}<span>${text}</span></span>`)}
          ${kinds.map((kind) => html`<span class="event-rule">${shape(kind)}<span><b>${RULES[kind].name}</b> ${RULES[kind].rule}</span></span>`)}</span>` : nothing}</button>`;
    })}</div>`;
  };
}
