// @ts-check
/** What is written along the axis that the time line and all charts share, and how a place on it is read. */
import { runsDown, tagOfAxis } from '../model/axis.js';
import { formatCount, formatNumber } from '../model/format.js';
import { labelledIndices } from '../model/steps.js';

/** @typedef {import('../model/axis.js').AxisMode} AxisMode */
/** @typedef {{mode: AxisMode, down: boolean, steps: number[], places: number[]}} Axis down: small is late, as for a loss, and places are negative values */
/** @typedef {{at: number, text: string}} Tick at: in pixels */

/** The axis of the first shown source, which leads all others. @param {import('../store.js').Store} store @returns {Axis} */
export const axisOf = (store) => {
  const mode = store.axis.value;
  const { steps, places, data } = store.first.value;
  return { mode, down: runsDown(mode, data.value.scalars[tagOfAxis(mode)] ?? []), steps: steps.value, places: places.value };
};

/** What the axis shows. @param {AxisMode} mode */
export const axisName = (mode) => tagOfAxis(mode) || { step: 'step', epoch: 'epoch', time: 'wall time' }[/** @type {'step' | 'epoch' | 'time'} */ (mode)];

/** @param {number} hours */
function formatHours(hours) {
  if (hours === 0) return '0';
  if (Math.abs(hours) < 1 / 60) return `${formatNumber(hours * 3600)} s`;
  return Math.abs(hours) < 1 ? `${formatNumber(hours * 60)} min` : `${formatNumber(hours)} h`;
}

/** A round value as short as it can be written. @param {number} value */
const formatRound = (value) => (Math.abs(value) >= 1e4 ? formatNumber(value) : String(Number(value.toPrecision(4))));

/** A place in the axis' own unit. @param {Pick<Axis, 'mode' | 'down'>} axis @param {number} place */
export function formatPlace({ mode, down }, place) {
  if (!Number.isFinite(place)) return '–';
  if (mode === 'time') return formatHours(place);
  return tagOfAxis(mode) ? formatNumber(down ? -place : place) : formatCount(place);
}

/**
 * Labels along an axis that do not touch: logged steps where the axis counts steps, round values where it measures.
 * @param {Axis} axis @param {any} scale d3, from places to pixels @param {number} gap least distance of two labels, px @returns {Tick[]}
 */
export function axisTicks(axis, scale, gap) {
  const { mode, steps, places } = axis;
  const [left, right] = scale.range();
  const room = Math.max(2, Math.floor((right - left) / gap));
  if (mode === 'time' || tagOfAxis(mode)) {
    // Times are round in the unit in which they are written.
    const unit = mode !== 'time' ? 1 : scale.domain()[1] < 1 / 60 ? 3600 : scale.domain()[1] < 1 ? 60 : 1;
    const [low, high] = scale.domain().map((/** @type {number} */ place) => place * unit);
    return scale.copy().domain([low, high]).ticks(Math.min(room, 6)).map((/** @type {number} */ value) => ({ at: scale(value / unit), text: mode === 'time' ? formatPlace(axis, value / unit) : formatRound(axis.down ? -value || 0 : value) }));
  }
  /** @type {Tick[]} */
  const ticks = [];
  const marked = labelledIndices(steps, room);
  for (const index of marked) {
    const tick = { at: scale(places[index]), text: formatCount(mode === 'epoch' ? index : steps[index]) };
    const last = ticks[ticks.length - 1];
    if (!last || tick.at - last.at >= gap * 0.7) ticks.push(tick);
    else if (index === marked[marked.length - 1] && ticks.length > 1) ticks[ticks.length - 1] = tick;
  }
  return ticks;
}
