// @ts-check
/** The three kinds of chart; each is a function from the store, the axis and a size to a template. */
import { area, html, nothing, scaleLinear, stack, svg } from '../lib.js';
import { formatCount, formatNumber, formatShare } from '../model/format.js';
import { placeOfStep } from '../model/axis.js';
import { alignPoints, defaultGroups, groupTags, outlierLimit, thin, valueAt } from '../model/scalars.js';
import { MARGIN, endLabels, grid, linePath } from './frame.js';

/** Two marks on the y axis stand at least this far apart, px. */
const TICK_GAP = 13;

const MAX_OUTLIERS = 3;
/** The number of an outlier stands before its wedge, away from the line that falls behind it, where it has this much room, px. */
const OUTLIER_ROOM = 24;

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('./frame.js').Point} Point */
/** @typedef {{points: Point[], name: string, className: string, swatch: string}} Series */

/** @param {{title: any, label: string, width: number, height: number, body: any}} options */
const chart = ({ title, label, width, height, body }) => html`<figure class="chart" style="height:${height}px">
  <figcaption class="chart-title">${title}</figcaption>
  <svg width=${width} height=${height} role="img" aria-label=${label}>${body}</svg></figure>`;

/** @param {Series[]} series @param {any} x @param {number} width @param {number} height @param {number} now @param {string} [nothingYet] */
function lines(series, x, width, height, now, nothingYet = 'Nothing logged yet') {
  const within = (/** @type {Point[]} */ points) => Math.max(points[0].x, Math.min(points[points.length - 1].x, Number.isNaN(now) ? Infinity : now));
  const logged = series.flatMap(({ points }) => points.map(({ y }) => y));
  const limit = outlierLimit(logged);
  const values = logged.filter((value) => value <= limit);
  if (!values.length) return { body: svg`<text class="chart-empty" x=${MARGIN.left + 8} y=${height / 2 + 8}>${nothingYet}</text>`, read: '' };
  const low = Math.min(...values);
  const high = Math.max(...values);
  const pad = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.1 || 1;
  const y = scaleLinear([low - pad, high + pad], [height - MARGIN.bottom, MARGIN.top]);
  const shown = series.filter(({ points }) => points.length);
  const labels = shown.map(({ points, name, className, swatch }) => ({
    y: y(points[points.length - 1].y), text: name, value: formatNumber(valueAt(points, now)), className, swatch,
  }));
  const top = y(y.domain()[1]);
  return {
    body: svg`${grid({ y, ticks: y.ticks(Math.max(2, Math.min(3, Math.floor((height - top) / 20)))), width })}
      <svg class="plot" x="0" y=${top} width=${width} height=${height - top + 2} viewBox="0 ${top} ${width} ${height - top + 2}">
        ${shown.map(({ points, className }) => svg`<path class="line ${className}" d=${linePath(x, y, thin(points, 800))}/>`)}</svg>
      ${shown.flatMap(({ points, className }) => points.filter((point) => point.y > limit).slice(0, MAX_OUTLIERS).map((point) => outlier(x(point.x), top, point, className)))}
      ${shown.map(({ points, className }) => svg`<circle class="line-dot ${className}" cx=${x(within(points))} cy=${Math.max(top, y(valueAt(points, now) ?? 0))} r="3"/>`)}
      ${endLabels(labels, width, height)}`,
    read: labels.map(({ text, value }) => `${text} ${value}`).join(', '),
  };
}

/** A value beyond the chart: a wedge at its upper edge with the number. @param {number} x @param {number} top @param {Point} point @param {string} className */
function outlier(x, top, point, className) {
  const before = x > MARGIN.left + OUTLIER_ROOM;
  return svg`<g class="outlier ${className}"><title>${formatNumber(point.y)} at step ${formatCount(point.x)}: beyond the chart</title>
    <path d="M${x - 4},${top + 5}L${x},${top - 1}L${x + 4},${top + 5}z"/>
    <text x=${before ? x - 7 : x + 7} y=${top + 6} text-anchor=${before ? 'end' : 'start'}>${formatNumber(point.y)}</text></g>`;
}

/** @param {Store} store */
const chosenGroups = (store) => {
  const groups = groupTags(store.data.value.tags);
  const keys = store.scalarChoice.value ?? defaultGroups(groups);
  return { groups, chosen: keys.flatMap((key) => groups.filter((group) => group.key === key)) };
};

/** @param {Store} store @param {any} x @param {number} width @param {number} height @param {number} place which of the scalar charts */
export function scalarChart(store, x, width, height, place) {
  const { groups, chosen } = chosenGroups(store);
  const group = chosen[place];
  /** @type {Series[]} */
  const series = [];
  let byTime = false;
  for (const { tag, split } of group?.members ?? []) {
    const secondary = group.members.length > 1 && split === 'train';
    const name = split || (group.members.length > 1 ? tag : 'value');
    store.sources.value.forEach((source, i) => {
      // One line for each run: two layers of one run have the same scalars.
      if (store.sources.value.findIndex(({ run }) => run === source.run) !== i || (i > 0 && secondary)) return;
      const aligned = alignPoints(source.data.value.scalars[tag] ?? [], source.steps.value, source.wallTimes.value);
      const points = onAxis(source, aligned.points);
      if (i > 0) series.unshift({ points, name: '', className: 'other', swatch: 'mark-other' });
      else {
        byTime ||= aligned.byTime;
        series.push({ points, name, className: secondary ? 'soft' : '', swatch: secondary ? 'mark-soft' : 'mark-main' });
      }
    });
  }
  const pick = (/** @type {Event} */ event) => {
    const keys = chosen.map(({ key }) => key);
    keys[place] = /** @type {HTMLSelectElement} */ (event.target).value;
    store.scalarChoice.value = [...new Set(keys)];
  };
  const { body, read } = lines(series, x, width, height, store.first.value.placeNow.value, group ? 'Nothing logged yet' : 'Scalars such as loss/train appear here');
  const title = group
    ? html`<label class="chart-choice"><span class="visually-hidden">Scalar of chart ${place + 1}</span><select @change=${pick}>
        ${groups.map(({ key, label }) => html`<option value=${key} ?selected=${key === group.key}>${label}</option>`)}</select></label>
      ${byTime ? html`<span class="chart-note">aligned by time</span>` : nothing}`
    : html`Loss <span class="chart-note">no scalars in this run</span>`;
  return chart({ title, label: `${group?.label ?? 'Scalars'} over steps. ${read}`, width, height, body });
}
/** How many scalar charts the reader's choice asks for. @param {Store} store */
scalarChart.count = (store) => chosenGroups(store).chosen.length;

/** Points whose x is a step, at their places on the axis. @param {Source} source @param {Point[]} points */
const onAxis = (source, points) => points.map(({ x, y }) => ({ x: placeOfStep(source.places.value, source.steps.value, x), y }));

/** @param {Source} source @param {'d_anchor' | 'd_anchor_gated'} field */
const metricPoints = (source, field) => onAxis(source, source.metrics.value.flatMap((entry) => (entry[field] === null || entry[field] === undefined ? [] : [{ x: entry.step, y: /** @type {number} */ (entry[field]) }])));

/** @param {Store} store @param {any} x @param {number} width @param {number} height */
export function anchorChart(store, x, width, height) {
  const first = store.first.value;
  /** @type {Series[]} */
  const series = [
    ...store.others.value.map((other) => ({ points: metricPoints(other, 'd_anchor'), name: '', className: 'other', swatch: 'mark-other' })),
    { points: metricPoints(first, 'd_anchor_gated'), name: 'gated', className: 'soft', swatch: 'mark-soft' },
    { points: metricPoints(first, 'd_anchor'), name: 'all', className: '', swatch: 'mark-main' },
  ];
  const { body, read } = lines(series, x, width, height, first.placeNow.value);
  const title = html`<span title="Mean distance of every concept to its nearest neuron (Eq. 2.2): low is diverse. “gated” counts interpretable neurons only, because noise lowers the other.">Anchor distance</span>
    <span class="chart-note">lower is more diverse</span>`;
  return chart({ title, label: `Anchor distance over steps. ${read}`, width, height, body });
}

/** @param {Store} store @param {any} x @param {number} width @param {number} height */
export function interpretableChart(store, x, width, height) {
  const source = store.first.value;
  const metrics = source.metrics.value;
  const space = store.space.value;
  const now = source.metricsNow.value;
  const place = (/** @type {number} */ step) => x(placeOfStep(source.places.value, source.steps.value, step));
  const hidden = store.hidden.value;
  const categories = (space?.categories ?? []).filter(({ name }) => metrics.some((entry) => entry.category_counts?.[name]));
  const total = Math.max(0, ...store.sources.value.flatMap((one) => one.metrics.value).map(({ interpretable }) => interpretable));
  const neurons = store.layer.value?.neurons ?? 0;
  const first = metrics[0];
  const baseline = first && first.step <= 0 && metrics.length > 1 ? first.interpretable : null;
  // The run compared with may have more neurons in this layer.
  const ceiling = total > 0.6 * neurons ? Math.max(neurons, total) : Math.max(4, total * 1.12);
  const y = scaleLinear([0, ceiling], [height - MARGIN.bottom, MARGIN.top + 2]);
  const rows = y.ticks(4).filter((/** @type {number} */ value) => Number.isInteger(value) && (ceiling !== neurons || Math.abs(y(value) - y(neurons)) >= TICK_GAP));
  const bands = stack().keys(categories.map(({ name }) => name)).value((/** @type {any} */ entry, key) => entry.category_counts?.[key] ?? 0)(/** @type {any} */ (metrics));
  const shape = area((/** @type {any} */ d) => place(d.data.step), (d) => y(d[0]), (d) => y(d[1]));
  const last = metrics.length - 1;
  // A category that was and is no more needs no label; the legend still counts it.
  /** @type {import('./frame.js').EndLabel[]} */
  const labels = bands.flatMap((band, i) => {
    const { name, label, slot } = categories[i];
    const count = now?.category_counts?.[name] ?? 0;
    if (!count && band[last][0] === band[last][1]) return [];
    return [{ y: (y(band[last][0]) + y(band[last][1])) / 2, text: label, value: formatCount(count), className: `ink-slot-${slot}${hidden.has(name) ? ' off' : ''}` }];
  });
  // Named at the line's end like every other line: whatever lies under the baseline, its name collides with nothing.
  if (baseline !== null) labels.push({ y: y(baseline) - 1, text: 'untrained', value: formatCount(baseline), className: 'soft', swatch: 'mark-dotted' });
  const others = store.others.value.map((one) => onAxis(one, one.metrics.value.map(({ step, interpretable }) => ({ x: step, y: interpretable })))).filter((points) => points.length > 1);
  for (const other of others) labels.push({ y: y(other[other.length - 1].y), text: '', value: formatCount(valueAt(other, source.placeNow.value) ?? NaN), className: 'other', swatch: 'mark-other' });
  const threshold = now?.threshold === null || now?.threshold === undefined ? '' : `threshold ${formatNumber(now.threshold)}${now.threshold_level && width > 400 ? ` (${formatShare(now.threshold_level)} by chance)` : ''}`;
  const title = html`Interpretable neurons <span class="chart-note"><b>${now ? formatCount(now.interpretable) : '–'}</b> of ${formatCount(neurons)}</span>
    <span class="chart-note chart-right" title="Best similarity above which a neuron counts as interpretable">${threshold}</span>`;
  const body = metrics.length && total > 0 ? svg`${grid({ y, ticks: ceiling === neurons ? [...rows, neurons] : rows, width })}
    ${metrics.length > 1
      ? bands.map((band, i) => svg`<path class="band slot-${categories[i].slot}${hidden.has(categories[i].name) ? ' off' : ''}" d=${shape(/** @type {any} */ (band)) ?? ''}/>`)
      : bands.map((band, i) => svg`<rect class="band slot-${categories[i].slot}" x=${place(metrics[0].step)} width="10" y=${y(band[0][1])} height=${y(band[0][0]) - y(band[0][1])}/>`)}
    ${others.map((other) => svg`<path class="line other" d=${linePath(x, y, other)}/>`)}
    ${baseline === null ? nothing : svg`<line class="baseline" x1=${MARGIN.left} x2=${width - MARGIN.right} y1=${y(baseline)} y2=${y(baseline)}><title>${formatCount(baseline)} interpretable before training</title></line>`}
    ${endLabels(labels, width, height)}`
    : svg`<text class="chart-empty" x=${MARGIN.left + 8} y=${height / 2 + 8}>${metrics.length ? 'No neuron is interpretable yet' : 'Nothing logged yet'}</text>`;
  const read = labels.map(({ text, value }) => `${text} ${value}`).join(', ');
  return chart({ title, label: `Interpretable neurons by category over steps. ${read}`, width, height, body });
}
