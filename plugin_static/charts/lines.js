// @ts-check
/** A chart of lines. What does not follow the cursor is worked out once, so that scrubbing is only a few numbers. */
import { computed, nothing, scaleLinear, scaleLog, svg } from '../lib.js';
import { formatNumber } from '../model/format.js';
import { lastAt, outlierLimit, thin } from '../model/scalars.js';
import { MARGIN, endLabels, grid, linePath, tickValues } from './frame.js';

/** @typedef {import('./series.js').Series} Series */
/** @typedef {import('./frame.js').Point} Point */
/** @typedef {{x: () => any, width: () => number}} Axis shared by the column */

const MAX_POINTS = 700;
const MAX_OUTLIERS = 3;
/** The number of an outlier stands before its wedge, away from the line that falls behind it, where it has this much room, px. */
const OUTLIER_ROOM = 24;

/**
 * @param {Axis} axis @param {() => number} height px
 * @param {object} what
 * @param {() => Series[]} what.series
 * @param {() => boolean} [what.log]
 * @param {string} [what.empty] what is said where there is nothing to draw
 */
export function createLines(axis, height, { series, log = () => false, empty = 'Nothing logged yet' }) {
  const shown = computed(() => series().filter(({ points }) => points.some(({ y }) => Number.isFinite(y))));
  const drawn = computed(() => drawLines(shown.value, axis.x(), axis.width(), height(), log(), empty));
  /** The picture, with the values at the cursor, and these in words. */
  return () => {
    const { y, body } = drawn.value;
    if (!y) return { body, read: '' };
    const x = axis.x();
    const [top] = [...y.range()].reverse();
    const live = shown.value.map((one) => {
      const { points, source } = one;
      const now = lastAt(points, source.cursor.value, ({ at }) => at) ?? points[0];
      const place = Math.max(points[0].x, Math.min(points[points.length - 1].x, source.placeNow.value));
      return { ...one, now, left: x(Number.isFinite(place) ? place : now.x), value: formatNumber(now.y) };
    });
    const labels = live.map(({ points, name, className, swatch, value, spoken }) => ({ y: y(lastFinite(points)), text: name, value, className, swatch, title: spoken }));
    return {
      body: svg`${body}${live.map(({ now, left, className }) => (Number.isFinite(y(now.y)) ? svg`<circle class="line-dot ${className}" cx=${left} cy=${Math.max(top, y(now.y))} r="3"/>` : nothing))}
        ${endLabels(labels, axis.width(), height())}`,
      read: live.map(({ spoken, value }) => `${spoken} ${value}`.trim()).reverse().join(', '),
    };
  };
}

/** @param {Point[]} points */
const lastFinite = (points) => { for (let i = points.length - 1; i >= 0; i--) if (Number.isFinite(points[i].y)) return points[i].y; return NaN; };

/** @param {Series[]} series @param {any} x @param {number} width @param {number} height @param {boolean} log @param {string} empty */
function drawLines(series, x, width, height, log, empty) {
  const note = (/** @type {string} */ text) => ({ y: null, body: svg`<text class="chart-empty" x=${MARGIN.left + 8} y=${height / 2 + 4}>${text}</text>` });
  if (!series.length) return note(empty);
  const all = series.flatMap(({ points, raw = [] }) => [...points, ...raw].map(({ y }) => y)).filter((value) => Number.isFinite(value) && (!log || value > 0));
  if (!all.length) return note('No value above 0 to show on a logarithmic scale');
  const limit = log ? Infinity : outlierLimit(all);
  let [low, high] = [Infinity, -Infinity];
  for (const value of all) if (value <= limit) { low = Math.min(low, value); high = Math.max(high, value); }
  const y = (log ? scaleLog : scaleLinear)(padded(low, high, log), [height - MARGIN.bottom, MARGIN.top]);
  const top = y.range()[1];
  const right = width - MARGIN.right + 2;
  const path = (/** @type {Point[]} */ points) => linePath(x, y, thin(log ? points.map((point) => (point.y > 0 ? point : { ...point, y: NaN })) : points, MAX_POINTS));
  return {
    y,
    body: svg`${grid({ y, ticks: tickValues(y, log), width })}
      <svg class="plot" x=${MARGIN.left - 2} y=${top - 2} width=${right - MARGIN.left + 2} height=${height - top + 4} viewBox="${MARGIN.left - 2} ${top - 2} ${right - MARGIN.left + 2} ${height - top + 4}">
        ${series.map(({ raw, className }) => (raw ? svg`<path class="line raw ${className}" d=${path(raw)}/>` : nothing))}
        ${series.map(({ points, className }) => svg`<path class="line ${className}" d=${path(points)}/>`)}</svg>
      ${limit === Infinity ? nothing : series.flatMap(({ points, className }) => points.filter((point) => point.y > limit).slice(0, MAX_OUTLIERS).map((point) => outlier(x(point.x), top, point, className)))}`,
  };
}

/** @param {number} low @param {number} high @param {boolean} log @returns {[number, number]} */
function padded(low, high, log) {
  if (log) return high > low ? [low * (low / high) ** 0.05, high * (high / low) ** 0.05] : [low / 2, high * 2];
  const pad = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.1 || 1;
  return [low - pad, high + pad];
}

/** A value beyond the chart: a wedge at its upper edge with the number. @param {number} x @param {number} top @param {Point} point @param {string} className */
function outlier(x, top, point, className) {
  const before = x > MARGIN.left + OUTLIER_ROOM;
  return svg`<g class="outlier ${className}"><title>${formatNumber(point.y)}: beyond the chart</title>
    <path d="M${x - 4},${top + 5}L${x},${top - 1}L${x + 4},${top + 5}z"/>
    <text x=${before ? x - 7 : x + 7} y=${top + 6} text-anchor=${before ? 'end' : 'start'}>${formatNumber(point.y)}</text></g>`;
}
