// @ts-check
/** The thesis' bar plot (Fig. 2.1, column 3): at one step, for every layer of the run, its neurons by category. */
import { nothing, scaleLinear, svg } from '../lib.js';
import { shorten } from '../model/format.js';
import { MARGIN, endLabels, grid, tickValues } from './frame.js';

/** @typedef {import('./counts.js').LayerCounts} LayerCounts */
/** @typedef {import('../model/metrics.js').Counts} Counts */

/** Room for the layers' names below, and their totals above. */
const FOOT = 16;
const HEAD = 14;
const MAX_BAR = 16;
const LETTER = 6.4;

/**
 * @param {import('../store.js').Store} store @param {import('./lines.js').Axis} axis @param {number} height @param {LayerCounts[]} layers
 * @param {{unitOf: (counts: Counts, count: number) => number, write: (value: number) => string}} unit
 */
export function drawBars(store, axis, height, layers, { unitOf, write }) {
  const width = axis.width();
  const categories = store.space.value?.categories ?? [];
  const percent = store.countUnit.value === 'percent';
  const most = Math.max(percent ? 5 : 4, ...layers.flatMap(({ counts }) => (counts ? categories.map(({ name }) => unitOf(counts, counts.byCategory[name] ?? 0)) : [])));
  const y = scaleLinear([0, most], [height - FOOT, MARGIN.top + HEAD]).nice(3);
  const room = (width - MARGIN.left - MARGIN.right) / Math.max(1, layers.length);
  const bar = Math.min(MAX_BAR, (room * 0.82) / Math.max(1, categories.length));
  const hidden = store.hidden.value;
  const groups = layers.map(({ name, counts, state }, i) => {
    const middle = MARGIN.left + room * (i + 0.5);
    const left = middle - (bar * categories.length) / 2;
    const isShown = name === store.first.value.name;
    return svg`<g class="bar-group ${isShown ? 'current' : ''}" data-layer=${name}>
      ${counts ? categories.map(({ name: category, label, slot }, k) => {
        const value = unitOf(counts, counts.byCategory[category] ?? 0);
        return svg`<rect class="bar-of slot-${slot}${hidden.has(category) ? ' off' : ''}" x=${left + k * bar + 0.5} width=${Math.max(1, bar - 1)} y=${y(value)} height=${Math.max(0, y(0) - y(value))}><title>${name}: ${label} ${write(value)}</title></rect>`;
      }) : svg`<text class="tick" x=${middle} y=${y(0) - 8} text-anchor="middle">${state === 'loading' ? '…' : room > 70 ? 'not logged' : '–'}</text>`}
      <text class="bar-total" x=${middle} y=${MARGIN.top + 5} text-anchor="middle">${counts ? write(unitOf(counts, counts.interpretable)) : nothing}</text>
      <text class="bar-layer" x=${middle} y=${height - 3} text-anchor="middle">${shorten(name, Math.max(3, Math.floor(room / LETTER)))}<title>${name}</title></text></g>`;
  });
  const legend = [...categories].reverse().map(({ label, slot, name }, i) => ({ y: MARGIN.top + HEAD + i * 15, text: label, value: '', className: `key ink-slot-${slot}${hidden.has(name) ? ' off' : ''}`, swatch: `key-slot-${slot}` }));
  const read = layers.map(({ name, counts, state }) => `${name}: ${counts ? `${write(unitOf(counts, counts.interpretable))} (${categories.map((category) => `${category.label} ${write(unitOf(counts, counts.byCategory[category.name] ?? 0))}`).join(', ')})` : state === 'loading' ? 'counting' : 'not logged at this step'}`).join('; ');
  const picture = svg`${grid({ y, ticks: tickValues(y, false).filter((value) => percent || Number.isInteger(value)), width, format: (value) => (percent ? `${value}%` : String(value)) })}
    <line class="grid" x1=${MARGIN.left} x2=${width - MARGIN.right} y1=${y(0)} y2=${y(0)}/>${groups}${endLabels(legend, width, height)}`;
  return { picture, read };
}
