// @ts-check
/** Parts that all charts share: margins, paths, grid, labels at line ends, and the frame around a plot. */
import { html, line, nothing, svg } from '../lib.js';
import { formatNumber } from '../model/format.js';
import { spread } from '../model/geometry.js';

/** Room left for y ticks and right for the labels at line ends. */
export const MARGIN = { left: 38, right: 92, top: 7, bottom: 4 };
/** Two marks on the y axis stand at least this far apart, px. */
const TICK_GAP = 14;

/** @typedef {{y: number, text: string, value: string, className?: string, swatch?: string, title?: string}} EndLabel */
/** @typedef {{x: number, y: number, at: number}} Point x: place on the axis; at: index of a logged step, may lie between two; y: NaN is a gap */

/**
 * Straight from point to point: a smooth curve would show values that nobody logged; a gap stays a gap.
 * @param {(x: number) => number} x @param {(y: number) => number} y @param {Pick<Point, 'x' | 'y'>[]} points
 */
export const linePath = (x, y, points) => line(/** @type {any} */ ((/** @type {Point} */ p) => x(p.x)), /** @type {any} */ ((/** @type {Point} */ p) => y(p.y)))
  .defined(/** @type {any} */ ((/** @type {Point} */ p) => Number.isFinite(y(p.y)))).digits(2)(/** @type {any} */ (points)) ?? '';

/** Round values on a y axis, as many as have room; on a logarithmic one powers of ten before others. @param {any} y d3 scale @param {boolean} log @returns {number[]} */
export function tickValues(y, log) {
  const [bottom, top] = y.range();
  const room = Math.max(2, Math.min(4, Math.floor((bottom - top) / 24)));
  /** @type {number[]} */
  const values = y.ticks(Math.max(3, room));
  const isPower = (/** @type {number} */ value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;
  const ordered = log ? [...values.filter(isPower), ...values.filter((value) => !isPower(value))] : values;
  /** @type {number[]} */
  const kept = [];
  for (const value of ordered) if (kept.every((other) => Math.abs(y(other) - y(value)) >= TICK_GAP) && kept.length <= room) kept.push(value);
  return kept;
}

/** @param {{y: any, ticks: number[], width: number, format?: (value: number) => string}} options */
export const grid = ({ y, ticks, width, format = formatTick }) => ticks.map((value) => svg`
  <line class="grid" x1=${MARGIN.left} x2=${width - MARGIN.right} y1=${y(value)} y2=${y(value)}/>
  <text class="tick" x=${MARGIN.left - 7} y=${y(value) + 3.5} text-anchor="end">${format(value)}</text>`);

/** @param {number} value */
const formatTick = (value) => {
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(0);
  return Number.isInteger(value) || Math.abs(value) >= 100 ? formatNumber(value) : String(Number(value.toPrecision(3)));
};

/** @param {EndLabel[]} labels @param {number} width @param {number} height */
export function endLabels(labels, width, height) {
  const [low, high] = [MARGIN.top + 4, height - 3];
  const gap = Math.min(14, (high - low) / Math.max(1, labels.length - 1));
  const places = spread(labels.map(({ y }) => (Number.isFinite(y) ? y : high)), low, high, gap);
  return labels.map(({ text, value, className = '', swatch, title }, i) => svg`<g class="end ${className}">
    ${title ? svg`<title>${title}</title>` : nothing}
    ${swatch ? svg`<path class="end-mark ${swatch}" d="M${width - MARGIN.right + 5},${places[i]}h11"/>` : nothing}
    <text x=${width - MARGIN.right + (swatch ? 20 : 8)} y=${places[i] + 4}>${text}<tspan class="end-value" dx=${text ? 5 : 0}>${value}</tspan></text></g>`);
}

/**
 * A chart in the column: a line for its title where it has one, and the plot, which a keyboard can reach and which
 * reads its values to those who cannot see it. `still`: it has no axis of time, so no cursor runs through it.
 * @param {{title?: any, label: string, width: number, height: number, body: any, still?: boolean, name: string}} options
 */
export const chart = ({ title, label, width, height, body, still = false, name }) => html`<figure class="chart" data-chart=${name}>
  ${title ? html`<figcaption class="chart-title">${title}</figcaption>` : nothing}
  <div class="plot-frame ${still ? 'still' : ''}"><svg class="chart-plot" width=${width} height=${height} role="img" tabindex="0" aria-label=${label}>${body}</svg>
    ${still ? nothing : html`<i class="ghost-line" hidden></i><i class="now"></i>`}</div></figure>`;

/** A few choices of which one holds. @template {string} T @param {{label: string, choices: [T, string, string][], now: T, choose: (value: T) => void}} options choices: value, text, explanation */
export const choice = ({ label, choices, now, choose }) => html`<span class="either" role="group" aria-label=${label}>${choices.map(([value, text, explanation]) => html`
  <button type="button" aria-pressed=${String(value === now)} title=${explanation} aria-label=${explanation} @click=${() => choose(value)}>${text}</button>`)}</span>`;
