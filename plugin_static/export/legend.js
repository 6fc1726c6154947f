// @ts-check
/** The legend under a picture: what its colours and marks mean, with counts. */
import { shapePath } from '../map/shapes.js';
import { colorOf } from '../map/tint.js';
import { formatCount, formatNumber } from '../model/format.js';
import { starPath } from '../model/geometry.js';
import { NONE_KEY } from '../model/paint.js';
import { hexOf, moved, TAIL_GAP } from './drawing.js';

/** @typedef {import('./drawing.js').Shape} Shape */
/** @typedef {{width: number, shapes: Shape[]}} Entry around the baseline of its text */
/**
 * @typedef {object} LegendOf
 * @property {import('../model/space.js').Space | null} space
 * @property {import('../model/paint.js').Paint | null} paint
 * @property {import('../model/history.js').EpochSummary | null} summary
 * @property {ReadonlySet<string>} hidden categories that are dimmed
 * @property {number} neurons at most, for the room of the numbers
 * @property {boolean} counts whether to tell how many there are
 * @property {boolean} anchors whether there are stars
 * @property {string} invalid what is not drawn, in words
 * @property {{name: string, shape: number, tone: number}[]} sources those that lie on one map; empty for one
 */

const SIZE = 11.5;
const LINE = 21;
const GAP = 18;

/**
 * @param {LegendOf} of @param {import('./colors.js').Colors} colors @param {import('./drawing.js').Measure} measure @param {number} width px
 * @returns {{shapes: Shape[], height: number}}
 */
export function drawLegend(of, colors, measure, width) {
  const entries = [...sourceEntries(of, colors, measure), ...colorEntries(of, colors, measure), ...otherEntries(of, colors, measure)];
  /** @type {Shape[]} */
  const shapes = [];
  let [x, y] = [0, 15];
  for (const entry of entries) {
    if (x > 0 && x + entry.width > width) { x = 0; y += LINE; }
    shapes.push(...moved(entry.shapes, x, y));
    x += entry.width + GAP;
  }
  return { shapes: [{ type: 'group', shapes, role: 'legend', label: 'Legend' }], height: entries.length ? y + 7 : 0 };
}

/** @param {import('./drawing.js').Measure} measure @param {Shape[]} mark 10 px wide around its centre at (5, -4) @param {string} text @param {import('./colors.js').Colors} colors @param {{count?: number, most?: number, struck?: boolean}} [number] @returns {Entry} */
function entry(measure, mark, text, colors, { count, most = 0, struck } = {}) {
  const textWidth = measure(text, SIZE);
  const numberWidth = count === undefined ? 0 : TAIL_GAP + Math.max(measure(formatCount(count), SIZE), measure(formatCount(most), SIZE));
  return { width: 16 + textWidth + numberWidth, shapes: [
    ...mark,
    { type: 'text', x: 16, y: 0, text, size: SIZE, fill: struck ? colors.ink3 : colors.ink2, role: 'legend-name', ...(count === undefined ? {} : { tail: formatCount(count), tailFill: colors.ink3 }) },
    ...(struck ? [/** @type {Shape} */ ({ type: 'path', d: `M16,-4H${16 + textWidth}`, x: 0, y: 0, stroke: colors.ink3 })] : []),
  ] };
}

/** @param {string} fill @returns {Shape[]} */
const dot = (fill) => [{ type: 'circle', x: 5, y: -4, r: 4.5, fill }];

/** Runs or layers that lie on one map. @param {LegendOf} of @param {import('./colors.js').Colors} colors @param {import('./drawing.js').Measure} measure */
const sourceEntries = ({ sources, paint }, colors, measure) => sources.map(({ name, shape, tone }) => entry(measure,
  [{ type: 'path', d: shapePath(shape, 4.5), x: 5, y: -4, fill: paint?.scale === 'source' ? hexOf(colorOf(colors.palette, 'source', tone, 0)) : colors.ink2 }], name, colors));

/** @param {LegendOf} of @param {import('./colors.js').Colors} colors @param {import('./drawing.js').Measure} measure @returns {Entry[]} */
function colorEntries({ space, paint, summary, hidden, neurons, counts }, colors, measure) {
  const byCategory = !paint || paint.scale === 'slot';
  const categories = (space?.categories ?? []).map(({ name, label, slot }) => entry(measure, dot(byCategory ? colors.slots[slot] : colors.ink3), label, colors,
    { count: counts ? summary?.counts.get(name) ?? 0 : undefined, most: neurons, struck: hidden.has(name) }));
  return [...(paint?.scale === 'ramp' ? [ramp(paint, colors, measure)] : paint?.scale === 'hue' ? [entry(measure, [], 'one colour for each concept', colors)] : []), ...categories];
}

/** @param {import('../model/paint.js').Paint} paint @param {import('./colors.js').Colors} colors @param {import('./drawing.js').Measure} measure @returns {Entry} */
function ramp({ colorBy, range }, colors, measure) {
  const [low, high] = range.map(formatNumber);
  const told = colorBy === 'born' ? 'first interpretable, step by step' : colorBy;
  const at = [0, measure(told, SIZE) + 8];
  const bar = at[1] + measure(low, SIZE) + 7;
  const parts = 24;
  return { width: bar + 90 + 7 + measure(high, SIZE), shapes: [
    { type: 'text', x: 0, y: 0, text: told, size: SIZE, fill: colors.ink2, role: 'legend-name' },
    { type: 'text', x: at[1], y: 0, text: low, size: SIZE, fill: colors.ink3 },
    ...Array.from({ length: parts }, (_, i) => /** @type {Shape} */ ({ type: 'rect', x: bar + (i * 90) / parts, y: -8, width: 90 / parts + 0.3, height: 8, fill: hexOf(colorOf(colors.palette, 'ramp', 0, Math.round((254 * i) / (parts - 1)))) })),
    { type: 'text', x: bar + 97, y: 0, text: high, size: SIZE, fill: colors.ink3 },
  ] };
}

/** @param {LegendOf} of @param {import('./colors.js').Colors} colors @param {import('./drawing.js').Measure} measure @returns {Entry[]} */
const otherEntries = ({ summary, hidden, neurons, anchors, invalid, counts }, colors, measure) => [
  ...(summary ? [entry(measure, [{ type: 'circle', x: 5, y: -4, r: 3.5, fill: colors.well, stroke: colors.none, strokeWidth: 2 }], 'no concept', colors, { count: counts ? summary.uninterpretable : undefined, most: neurons, struck: hidden.has(NONE_KEY) })] : []),
  ...(anchors ? [entry(measure, [{ type: 'path', d: starPath(6.5), x: 5, y: -4, fill: colors.star }], 'anchor', colors)] : []),
  ...(invalid && counts ? [entry(measure, [], `${invalid}: not drawn`, colors)] : []),
];
