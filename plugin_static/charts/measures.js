// @ts-check
/** The charts of what the monitor measures of a layer: anchor distance, pairwise distance, displacement, entropy. */
import { computed, html } from '../lib.js';
import { explainMark } from '../panels/explain.js';
import { chart } from './frame.js';
import { createLines } from './lines.js';
import { entropyPoints, metricPoints, onAxis, sourceSeries } from './series.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('./lines.js').Axis} Axis */
/** @typedef {import('./series.js').Series} Series */

/** @param {Store} store @param {Axis} axis @param {() => number} height */
export function createAnchorDistance(store, axis, height) {
  const series = computed(() => {
    const first = store.first.value;
    const gated = metricPoints(first, 'd_anchor_gated');
    const edited = store.sources.value.flatMap((source, place) => {
      const values = store.editedDistance.value[source.key] ?? [];
      const points = onAxis(source, values.map(({ step, value }) => ({ x: step, y: value })));
      return points.length ? [{ source, points, name: place ? '' : 'yours', spoken: `${place ? `${source.run} ` : ''}your anchors`, className: `edited from-${place}`, swatch: 'edited' }] : [];
    });
    const soft = { source: first, points: gated, name: 'gated', spoken: 'gated', className: 'soft', swatch: 'soft' };
    const all = sourceSeries(store, (source) => metricPoints(source, 'd_anchor'), (_, place) => (place ? '' : 'all'));
    return /** @type {Series[]} */ ([...all.slice(0, -1), soft, ...edited, ...all.slice(-1).map((one) => ({ ...one, swatch: one.swatch ?? 'from-0' }))]);
  });
  const lines = createLines(axis, height, { series: () => series.value });
  return () => {
    const { body, read } = lines();
    return chart({ name: 'anchor distance', width: axis.width(), height: height(), body, label: `Anchor distance at step ${store.step.value}, lower is more diverse: ${read || 'nothing logged yet'}` });
  };
}

/** @type {{name: string, term: import('../panels/explain.js').Term, note: string, points: (source: import('../source.js').Source) => import('./frame.js').Point[], empty?: string}[]} */
const MEASURES = [
  { name: 'Mean pairwise distance', term: 'mean_pairwise_distance', note: 'higher is more spread out', points: (source) => metricPoints(source, 'mean_pairwise_distance') },
  { name: 'Mean displacement', term: 'mean_displacement', note: 'lower is more settled', points: (source) => metricPoints(source, 'mean_displacement') },
  { name: 'Concept entropy', term: 'entropy', note: 'bits; higher is more varied', points: entropyPoints, empty: 'No neuron is interpretable yet' },
  { name: 'Entropy of places', term: 'place_entropy', note: 'nats; higher is more diverse', points: (source) => metricPoints(source, 'entropy'), empty: 'Not in the log of this layer' },
];

/** @param {Store} store @param {Axis} axis @param {() => number} height */
export function createMeasures(store, axis, height) {
  const made = MEASURES.map((measure) => {
    const series = computed(() => sourceSeries(store, measure.points));
    return { ...measure, lines: createLines(axis, height, { series: () => series.value, empty: measure.empty }) };
  });
  return () => made.map(({ name, term, note, lines }) => {
    const { body, read } = lines();
    return chart({
      name: name.toLowerCase(), width: axis.width(), height: height(), body, label: `${name} at step ${store.step.value}, ${note}: ${read || 'nothing logged yet'}`,
      title: html`<span class="chart-name">${name}</span>${explainMark(term)}<span class="chart-note">${note}</span>`,
    });
  });
}
