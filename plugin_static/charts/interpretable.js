// @ts-check
/** Interpretable neurons by category: over the steps as stacked areas, or at one step as bars of every layer. */
import { area, computed, html, nothing, scaleLinear, stack, svg } from '../lib.js';
import { formatCount, formatNumber } from '../model/format.js';
import { percentOf } from '../model/metrics.js';
import { lastAt } from '../model/scalars.js';
import { MARGIN, chart, choice, endLabels, grid, linePath, tickValues } from './frame.js';
import { countsOf, createLayerCounts } from './counts.js';
import { drawBars } from './bars.js';
import { isPlaced, nameOfSource, onAxis, sourceClass } from './series.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../model/metrics.js').Counts} Counts */
/** @typedef {import('./frame.js').EndLabel} EndLabel */
/** @typedef {import('./lines.js').Axis} Axis */

const MIN_CEILING = 4;
/** In a narrower column the head has no room for the number of all neurons. */
const ROOMY = 400;

/** @param {Store} store @param {Axis} axis @param {() => number} height @param {import('../api.js').Api} api */
export function createInterpretable(store, axis, height, api) {
  const isBars = () => store.countView.value === 'layers';
  const layerCounts = createLayerCounts(store, api, () => isBars() && !store.folded.value.has('interpretable') && store.panel.value === 'overview');
  const counts = computed(() => countsOf(store, store.first.value));
  const others = computed(() => store.others.value.filter((source) => isPlaced(store, source)).map((source) => ({ source, place: store.sources.value.indexOf(source), counts: countsOf(store, source) })));
  const drawn = computed(() => drawAreas(store, axis, height(), counts.value, others.value));

  const unitOf = (/** @type {Counts} */ { neurons }, /** @type {number} */ count) => (store.countUnit.value === 'percent' ? percentOf(count, neurons) : count);
  const write = (/** @type {number} */ value) => (store.countUnit.value === 'percent' ? `${formatNumber(Math.round(value * 10) / 10)}%` : formatCount(value));
  const countsNow = () => counts.value.find((entry) => entry?.step === store.step.value) ?? null;

  const controls = () => {
    const now = countsNow();
    const neurons = store.layer.value?.neurons ?? 0;
    return html`<span class="chart-note count-now" title=${store.threshold.value === null ? 'As logged, at the step under the cursor' : 'Counted with your threshold'}><b>${now ? write(unitOf(now, now.interpretable)) : '–'}</b>${axis.width() > ROOMY ? html` of ${formatCount(neurons)}` : nothing}</span><span class="grow"></span>
      ${choice({ label: 'Unit', now: store.countUnit.value, choose: (unit) => { store.countUnit.value = unit; }, choices: [['count', '#', 'Number of neurons'], ['percent', '%', 'Percent of the layer’s neurons']] })}
      ${choice({ label: 'Shown as', now: store.countView.value, choose: (view) => { store.countView.value = view; }, choices: [['steps', 'time', 'Stacked over all steps'], ['layers', 'layers', 'Bars of every layer at this step']] })}`;
  };

  const body = () => (isBars() ? bars() : areas());
  const bars = () => {
    const all = layerCounts();
    const { picture, read } = drawBars(store, axis, height(), all, { unitOf, write });
    return chart({ name: 'interpretable', width: axis.width(), height: height(), body: picture, still: true, label: `Interpretable neurons of every layer at step ${store.step.value}. ${read}` });
  };
  const areas = () => {
    const { picture, y, categories, ends, baseline } = drawn.value;
    const now = countsNow();
    const hidden = store.hidden.value;
    /** @type {EndLabel[]} */
    const labels = y ? categories.flatMap(({ name, label, slot }, i) => {
      const count = now?.byCategory[name] ?? 0;
      // A category that was and is no more needs no label; the legend still counts it.
      if (!count && !(ends[i].size > 0)) return [];
      return [{ y: ends[i].y, text: label, value: now ? write(unitOf(now, count)) : '–', className: `ink-slot-${slot}${hidden.has(name) ? ' off' : ''}` }];
    }) : [];
    const read = [...labels].reverse().map(({ text, value }) => `${text} ${value}`);
    if (y && baseline !== null) labels.push({ y: y(baseline), text: 'untrained', value: write(baseline), className: 'soft', swatch: 'dotted', title: 'As many were interpretable before training' });
    for (const { source, place, counts: series } of others.value) {
      const at = lastAt(series.filter((entry) => entry !== null), source.step.value, ({ step }) => step);
      const last = series.filter((entry) => entry !== null).pop();
      if (!at || !last || !y) continue;
      const value = write(unitOf(at, at.interpretable));
      labels.push({ y: y(unitOf(last, last.interpretable)), text: '', value, className: sourceClass(place), swatch: sourceClass(place), title: `${nameOfSource(store, source)}: all categories` });
      read.push(`${nameOfSource(store, source)} ${value}`);
    }
    const total = now ? `${write(unitOf(now, now.interpretable))} in all${read.length ? ', ' : ''}` : 'not counted yet ';
    return chart({ name: 'interpretable', width: axis.width(), height: height(), body: svg`${picture}${endLabels(labels, axis.width(), height())}`, label: `Interpretable neurons at step ${store.step.value}: ${total}${read.join(', ')}` });
  };
  return { controls, body };
}

/**
 * What does not follow the cursor.
 * @param {Store} store @param {Axis} axis @param {number} height @param {(import('../model/metrics.js').CountsOfStep | null)[]} counts
 * @param {{source: import('../source.js').Source, place: number, counts: (import('../model/metrics.js').CountsOfStep | null)[]}[]} others
 */
function drawAreas(store, axis, height, counts, others) {
  const percent = store.countUnit.value === 'percent';
  const valueOf = (/** @type {Counts} */ { neurons }, /** @type {number} */ count) => (percent ? percentOf(count, neurons) : count);
  const known = counts.filter((entry) => entry !== null);
  const categories = (store.space.value?.categories ?? []).filter(({ name }) => known.some(({ byCategory }) => byCategory[name]));
  const totals = [...known, ...others.flatMap((other) => other.counts.filter((entry) => entry !== null))];
  const total = totals.reduce((most, entry) => Math.max(most, valueOf(entry, entry.interpretable)), 0);
  /** @type {{y: number, size: number}[]} */
  const noEnds = [];
  if (total === 0) {
    const text = known.length ? 'No neuron is interpretable yet' : counts.length ? 'Counting…' : 'Nothing logged yet';
    return { y: null, categories, ends: noEnds, baseline: null, picture: svg`<text class="chart-empty" x=${MARGIN.left + 8} y=${height / 2 + 4}>${text}</text>` };
  }
  const whole = percent ? 100 : known[known.length - 1]?.neurons ?? 0;
  // The run compared with may have more neurons in this layer.
  const ceiling = total > 0.6 * whole ? Math.max(whole, total) : Math.max(MIN_CEILING, total * 1.12);
  const y = scaleLinear([0, ceiling], [height - MARGIN.bottom, MARGIN.top]);
  const ticks = tickValues(y, false).filter((value) => percent || Number.isInteger(value));
  const topped = ceiling === whole ? [...ticks.filter((value) => Math.abs(y(value) - y(whole)) >= 14), whole] : ticks;
  const x = axis.x();
  const source = store.first.value;
  const rows = onAxis(source, counts.map((entry, i) => ({ x: entry?.step ?? store.steps.value[i], y: 0 }))).map((point, i) => ({ x: point.x, counts: counts[i] }));
  const bands = stack().keys(categories.map(({ name }) => name)).value((/** @type {any} */ row, key) => (row.counts ? valueOf(row.counts, row.counts.byCategory[key] ?? 0) : 0))(/** @type {any} */ (rows));
  const shape = area((/** @type {any} */ d) => x(d.data.x), (d) => y(d[0]), (d) => y(d[1])).defined((/** @type {any} */ d) => d.data.counts !== null).digits(2);
  const lastKnown = rows.findLastIndex((row) => row.counts !== null);
  const first = known[0];
  const baseline = first && first.step <= 0 && known.length > 1 && first.interpretable > 0 ? valueOf(first, first.interpretable) : null;
  const hidden = store.hidden.value;
  const classOf = (/** @type {number} */ i) => `band slot-${categories[i].slot}${hidden.has(categories[i].name) ? ' off' : ''}`;
  const picture = svg`${grid({ y, ticks: topped, width: axis.width(), format: (value) => (percent ? `${formatNumber(value)}%` : formatNumber(value)) })}
    ${rows.length > 1
      ? bands.map((band, i) => svg`<path class=${classOf(i)} data-category=${categories[i].name} d=${shape(/** @type {any} */ (band)) ?? ''}/>`)
      : bands.map((band, i) => svg`<rect class=${classOf(i)} x=${x(rows[0].x)} width="10" y=${y(band[0][1])} height=${y(band[0][0]) - y(band[0][1])}/>`)}
    ${others.map((other) => svg`<path class="line ${sourceClass(other.place)}" d=${linePath(x, y, onAxis(other.source, other.counts.flatMap((entry) => (entry ? [{ x: entry.step, y: valueOf(entry, entry.interpretable) }] : []))))}/>`)}
    ${baseline === null ? nothing : svg`<line class="baseline" x1=${MARGIN.left} x2=${axis.width() - MARGIN.right} y1=${y(baseline)} y2=${y(baseline)}/>`}`;
  const ends = bands.map((band) => (lastKnown < 0 ? { y: y(0), size: 0 } : { y: (y(band[lastKnown][0]) + y(band[lastKnown][1])) / 2, size: band[lastKnown][1] - band[lastKnown][0] }));
  return { y, categories, ends, baseline, picture };
}
