// @ts-check
/**
 * The cursor is a fractional index into the logged steps, because steps need not be contiguous (-1, 0, 5, 10)
 * and every logged step deserves the same time when playing. Charts have the step itself on their axis.
 */

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

/** Step at a fractional index, interpolated. @param {ArrayLike<number>} steps @param {number} index */
export function stepAt(steps, index) {
  if (steps.length === 0) return NaN;
  const bounded = clamp(index, 0, steps.length - 1);
  const before = Math.floor(bounded);
  const after = Math.min(before + 1, steps.length - 1);
  return steps[before] + (steps[after] - steps[before]) * (bounded - before);
}

/** Fractional index of a step: the inverse of `stepAt`, held to the ends. @param {ArrayLike<number>} steps @param {number} step */
export function indexOfStep(steps, step) {
  const last = steps.length - 1;
  if (last < 0 || step <= steps[0]) return 0;
  if (step >= steps[last]) return last;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle;
    else high = middle;
  }
  return low + (step - steps[low]) / (steps[high] - steps[low]);
}

/** Index of the logged step nearest to a step. @param {ArrayLike<number>} steps @param {number} step */
export function nearestIndex(steps, step) {
  const exact = indexOfStep(steps, step);
  const below = Math.floor(exact);
  if (below >= steps.length - 1) return Math.max(0, steps.length - 1);
  return step - steps[below] <= steps[below + 1] - step ? below : below + 1;
}

/**
 * A few logged steps to write on an axis, always with the first and the last.
 * @param {ArrayLike<number>} steps @param {number} room how many labels fit
 * @returns {number[]} indices
 */
export function labelledIndices(steps, room) {
  const last = steps.length - 1;
  if (last < 0) return [];
  if (last === 0) return [0];
  const stride = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000].find((size) => last / size <= Math.max(1, room - 1)) ?? last;
  const indices = [];
  const origin = steps[0] < 0 && stride > 1 ? Math.max(0, nearestIndex(steps, 0)) : 0;
  for (let index = origin; index <= last; index += stride) indices.push(index);
  if (origin > 0) indices.unshift(0);
  if (last - indices[indices.length - 1] >= stride / 2) indices.push(last);
  else indices[indices.length - 1] = last;
  return indices;
}
