// @ts-check
/** Where neurons were at the step before: a hollow dot and a hairline to where they are now. */
import { epochOf } from '../model/layer.js';
import { KIND } from '../model/paint.js';
import { cssColor } from '../theme.js';
import { MAX_GHOSTS } from './shared.js';

/** @typedef {import('./shared.js').Frame} Frame */
/** @typedef {import('./shared.js').Sheet} Sheet */

/** Those that hardly moved have no ghost. */
const LEAST_PX = 2.5;

/**
 * The neurons that moved, with both their places, four numbers each.
 * @param {Frame} frame @param {Sheet} sheet @returns {number[]} x and y then, x and y now, CSS px
 */
export function ghostLines({ x: left, y: top, scale }, { layer, moment, paint, marks, ghost = -1 }) {
  /** @type {number[]} */
  const lines = [];
  const then = ghost >= 0 ? layer.frames[ghost]?.position : undefined;
  const before = layer.frames[moment.before]?.position;
  const after = layer.frames[moment.after]?.position;
  if (!then || !before || !after || layer.spaces[ghost] !== layer.spaces[moment.before]) return lines;
  const { kind } = paint.at(epochOf(moment));
  const onlyMarked = layer.neurons > MAX_GHOSTS;
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    if (onlyMarked && marks[neuron] === 0) continue;
    if (kind[neuron] !== KIND.FULL && kind[neuron] !== KIND.FAINT) continue;
    const i = 2 * neuron;
    const from = before[i] === before[i] ? before : after;
    const share = after[i] === after[i] ? moment.share : 0;
    const x = scale * (from[i] + (share ? (after[i] - from[i]) * share : 0));
    const y = scale * (from[i + 1] + (share ? (after[i + 1] - from[i + 1]) * share : 0));
    const [pastX, pastY] = [scale * then[i], scale * then[i + 1]];
    if (!(Math.abs(x - pastX) + Math.abs(y - pastY) >= LEAST_PX)) continue;
    lines.push(left + pastX, top - pastY, left + x, top - y);
  }
  return lines;
}

/** @param {CanvasRenderingContext2D} context in CSS px @param {Frame} frame @param {Sheet} sheet @param {import('../theme.js').Palette} palette */
export function drawGhosts(context, frame, sheet, palette) {
  const lines = ghostLines(frame, sheet);
  if (!lines.length) return;
  const radius = Math.max(1.4, frame.radius * 0.5);
  context.lineWidth = 0.8;
  context.strokeStyle = cssColor(palette.ink, 0.24);
  context.beginPath();
  for (let i = 0; i < lines.length; i += 4) { context.moveTo(lines[i], lines[i + 1]); context.lineTo(lines[i + 2], lines[i + 3]); }
  context.stroke();
  context.strokeStyle = cssColor(palette.ink, 0.34);
  context.beginPath();
  for (let i = 0; i < lines.length; i += 4) { context.moveTo(lines[i] + radius, lines[i + 1]); context.arc(lines[i], lines[i + 1], radius, 0, 2 * Math.PI); }
  context.stroke();
}
