// @ts-check
/** Parts that all charts share: the axis of steps, grid, titles, labels at line ends. */
import { line, nothing, svg } from '../lib.js';
import { formatNumber } from '../model/format.js';
import { spread } from '../model/geometry.js';

/** Room left for y ticks and right for the labels at line ends. */
export const MARGIN = { left: 38, right: 92, top: 24, bottom: 4 };

/** @typedef {{y: number, text: string, value: string, className?: string, swatch?: string}} EndLabel */
/** @typedef {{x: number, y: number}} Point */

/** Straight from point to point: a smooth curve would show values that nobody logged. @param {(x: number) => number} x @param {(y: number) => number} y @param {Point[]} points */
export const linePath = (x, y, points) => line(/** @type {any} */ ((/** @type {Point} */ p) => x(p.x)), /** @type {any} */ ((/** @type {Point} */ p) => y(p.y)))(/** @type {any} */ (points)) ?? '';

/** @param {{y: any, ticks: number[], width: number}} options */
export const grid = ({ y, ticks, width }) => ticks.map((value) => svg`
  <line class="grid" x1=${MARGIN.left} x2=${width - MARGIN.right} y1=${y(value)} y2=${y(value)}/>
  <text class="tick" x=${MARGIN.left - 7} y=${y(value) + 3.5} text-anchor="end">${formatTick(value)}</text>`);

/** @param {number} value */
const formatTick = (value) => (Number.isInteger(value) || Math.abs(value) >= 100 ? formatNumber(value) : String(Number(value.toPrecision(3))));

/** @param {EndLabel[]} labels @param {number} width @param {number} height */
export function endLabels(labels, width, height) {
  const [low, high] = [MARGIN.top + 6, height - 4];
  const gap = Math.min(14, (high - low) / Math.max(1, labels.length - 1));
  const places = spread(labels.map(({ y }) => y), low, high, gap);
  return labels.map(({ text, value, className = '', swatch }, i) => svg`<g class="end ${className}">
    ${swatch ? svg`<path class="end-mark ${swatch}" d="M${width - MARGIN.right + 5},${places[i]}h9"/>` : nothing}
    <text x=${width - MARGIN.right + (swatch ? 18 : 8)} y=${places[i] + 4}>${text}<tspan class="end-value" dx="5">${value}</tspan></text></g>`);
}
