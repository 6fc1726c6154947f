// @ts-check
/**
 * What the time line and the charts have on their axis: the step, the epoch (the how-manieth logged step), the
 * hours since the first one, or any scalar of the run, so that two runs can be compared at equal training
 * accuracy (ConceptEvo compares at 25, 50 and 75%; dissertation section 7.3).
 */
import { indexOfStep, stepAt } from './steps.js';

/** @typedef {'step' | 'epoch' | 'time' | `scalar:${string}`} AxisMode */
/** @typedef {import('../api.js').ScalarPoint} ScalarPoint */

/** The scalar's tag of a mode, '' for the others. @param {AxisMode} mode */
export const tagOfAxis = (mode) => (mode.startsWith('scalar:') ? mode.slice('scalar:'.length) : '');

/**
 * The place of every logged step on the axis, never falling: a scalar counts as reached when it first was.
 * @param {AxisMode} mode @param {number[]} steps @param {number[]} wallTimes seconds @param {ScalarPoint[]} points of the mode's scalar
 * @returns {number[]} one for each step; by step where the scalar has no value
 */
export function axisPlaces(mode, steps, wallTimes, points) {
  if (mode === 'epoch') return steps.map((_, i) => i);
  if (mode === 'time') return rising(wallTimes.map((time) => (time - wallTimes[0]) / 3600));
  const tag = tagOfAxis(mode);
  const known = points.filter((point) => point[2] !== null && Number.isFinite(point[2]));
  if (!tag || !known.length) return [...steps];
  const times = known.map(([, time]) => time);
  const values = known.map(([, , value]) => /** @type {number} */ (value));
  const falling = values[values.length - 1] < values[0];
  const best = values.map(((extreme) => (value) => { extreme = falling ? Math.min(extreme, value) : Math.max(extreme, value); return extreme; })(values[0]));
  const byStep = sameSteps(known, steps);
  const at = steps.map((step, i) => (byStep ? lastNotAfter(known.map(([s]) => s), step) : lastNotAfter(times, wallTimes[i])));
  // Left to right is always forward in training, so a loss runs down the axis.
  return rising(at.map((index) => (falling ? -best[Math.max(0, index)] : best[Math.max(0, index)])));
}

/** Whether small is late on this axis (a loss), so that its labels run downwards. @param {AxisMode} mode @param {ScalarPoint[]} points */
export function runsDown(mode, points) {
  const values = points.map((point) => point[2]).filter((value) => value !== null && Number.isFinite(value));
  return tagOfAxis(mode) !== '' && values.length > 1 && /** @type {number} */ (values[values.length - 1]) < /** @type {number} */ (values[0]);
}

/** @param {ScalarPoint[]} points @param {number[]} steps whether the scalar counts the same steps as the concepts */
function sameSteps(points, steps) {
  const span = Math.max(1, steps[steps.length - 1] - steps[0]);
  return Math.abs(points[points.length - 1][0] - steps[steps.length - 1]) <= 0.5 * span + 1;
}

/** @param {number[]} sorted @param {number} value @returns {number} index, -1 when all are after it */
function lastNotAfter(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** @param {number[]} values */
function rising(values) {
  let highest = -Infinity;
  return values.map((value) => { highest = Math.max(highest, Number.isFinite(value) ? value : highest); return Number.isFinite(highest) ? highest : 0; });
}

/** Where a fractional index lies on the axis. @param {number[]} places @param {number} index */
export const placeOfIndex = (places, index) => stepAt(places, index);

/** The earliest fractional index at a place of the axis: the inverse of `placeOfIndex`, held to the ends. @param {number[]} places never falling @param {number} place */
export function indexOfPlace(places, place) {
  const first = places.findIndex((value) => value >= place);
  if (first <= 0) return first === 0 ? 0 : Math.max(0, places.length - 1);
  const below = places[first - 1];
  return first - 1 + (place - below) / (places[first] - below);
}

/** Where any step lies on the axis, logged or not. @param {number[]} places @param {number[]} steps @param {number} step */
export const placeOfStep = (places, steps, step) => {
  if (places === steps || steps.length === 0) return step;
  return placeOfIndex(places, indexOfStep(steps, step));
};
