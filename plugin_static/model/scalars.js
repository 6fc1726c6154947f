// @ts-check
/** Which of a run's scalars belong together, and how they meet the steps of its concepts. */
import { indexOfStep, stepAt } from './steps.js';

/** @typedef {import('../api.js').ScalarPoint} ScalarPoint */
/** @typedef {{tag: string, split: string}} Member split: "train", "val" ..., '' for none */
/** @typedef {{key: string, label: string, members: Member[]}} TagGroup one quantity, measured on several splits */

const SPLIT = /(^|[/_\-. ])(train(?:ing)?|valid(?:ation)?|val|test|eval)(?=$|[/_\-. ])/i;
/** At most this share of the values may be left outside a chart, and never so many that fewer than MIN_OTHERS are left. */
const OUTLIER_SHARE = 0.06;
const MIN_OTHERS = 6;
/** How far they must stand off, in ranges of the others. */
const OUTLIER_DISTANCE = 2;
const OWN = /^concepts\//;

/**
 * Tags of one quantity together ("loss/train" and "loss/val"), loss first, then accuracy, then by name, and last
 * what the concept monitor itself logs.
 * @param {string[]} tags @returns {TagGroup[]}
 */
export function groupTags(tags) {
  /** @type {Map<string, TagGroup>} */
  const groups = new Map();
  for (const tag of [...tags].sort()) {
    const split = OWN.test(tag) ? '' : SPLIT.exec(tag)?.[2] ?? '';
    const label = (split ? tag.replace(SPLIT, '$1') : tag).replace(/^[/_\-. ]+|[/_\-. ]+$/g, '').replace(/[/_\-. ]{2,}/g, '/') || tag;
    const key = label.toLowerCase();
    const group = groups.get(key) ?? { key, label: /^[a-z]{4,}$/.test(label) ? label[0].toUpperCase() + label.slice(1) : label, members: [] };
    group.members.push({ tag, split: shortSplit(split) });
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => rank(a.key) - rank(b.key) || a.key.localeCompare(b.key));
}

/** @param {string} split */
function shortSplit(split) {
  const lower = split.toLowerCase();
  return lower.startsWith('train') ? 'train' : lower.startsWith('val') ? 'val' : lower;
}

/** @param {string} key */
function rank(key) {
  if (OWN.test(key)) return 4;
  if (/(^|[/_\-. ])loss$/.test(key)) return 0;
  if (/loss/.test(key)) return 1;
  if (/acc|top[-_]?1/.test(key)) return 2;
  return 3;
}

/** The groups to draw when nobody chose: loss, and accuracy where there is one. @param {TagGroup[]} groups @returns {string[]} keys */
export function defaultGroups(groups) {
  const loss = groups.find(({ key }) => rank(key) <= 1);
  const accuracy = groups.find(({ key }) => rank(key) === 2);
  const chosen = [loss, accuracy].filter((group) => group !== undefined);
  return (chosen.length ? chosen : groups.filter(({ key }) => rank(key) < 4).slice(0, 1)).map(({ key }) => key);
}

/**
 * Scalars logged per batch beside concepts logged per epoch have another step. Where the two do not fit,
 * meet by the clock: a point's place is where its wall time falls between the concepts' wall times.
 * @param {ScalarPoint[]} points @param {number[]} steps @param {number[]} wallTimes of the concepts
 * @returns {{points: {x: number, y: number}[], byTime: boolean}} x on the concepts' step axis; y NaN where the log has no finite value: a gap
 */
export function alignPoints(points, steps, wallTimes) {
  if (points.length === 0 || steps.length === 0) return { points: [], byTime: false };
  const lastScalar = points[points.length - 1][0];
  const lastConcept = steps[steps.length - 1];
  const span = Math.max(1, lastConcept - steps[0]);
  const byTime = steps.length > 1 && Math.abs(lastScalar - lastConcept) > 0.5 * span + 1;
  const aligned = points.map(([step, time, value]) => ({
    x: byTime ? stepAt(steps, indexOfStep(wallTimes, time)) : step,
    y: value ?? NaN,
  }));
  return { points: aligned, byTime };
}

/**
 * The last of sorted items whose key is not after a value, else the first.
 * @template T @param {T[]} items @param {number} value @param {(item: T) => number} keyOf never falling @returns {T | undefined}
 */
export function lastAt(items, value, keyOf) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keyOf(items[middle]) <= value + 1e-9) low = middle + 1;
    else high = middle;
  }
  return items[Math.max(0, low - 1)];
}

/**
 * The largest value that a chart must show. A few values that stand off from all others by more than twice the
 * others' whole range, such as the loss of a network hardly trained, would press everything else flat.
 * @param {number[]} values @returns {number} Infinity where nothing stands off
 */
export function outlierLimit(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const most = Math.min(sorted.length - MIN_OTHERS, Math.ceil(sorted.length * OUTLIER_SHARE));
  for (let count = 1; count <= most; count++) {
    const highest = sorted[sorted.length - count - 1];
    const range = highest - sorted[0];
    if (range > 0 && sorted[sorted.length - count] - highest > OUTLIER_DISTANCE * range) return highest;
  }
  return Infinity;
}

/**
 * About `limit` points, keeping the extremes of every bucket so that no spike is lost, and a gap where there was one.
 * @template {{x: number, y: number}} P @param {P[]} points @param {number} limit @returns {P[]}
 */
export function thin(points, limit) {
  if (points.length <= limit) return points;
  const size = Math.ceil((2 * points.length) / limit);
  const kept = [];
  for (let start = 0; start < points.length; start += size) {
    const bucket = points.slice(start, start + size);
    const finite = bucket.filter(({ y }) => Number.isFinite(y));
    const chosen = new Set(bucket.filter(({ y }) => !Number.isFinite(y)).slice(0, 1));
    if (finite.length) {
      chosen.add(finite.reduce((a, b) => (b.y < a.y ? b : a)));
      chosen.add(finite.reduce((a, b) => (b.y > a.y ? b : a)));
    }
    kept.push(...bucket.filter((point) => chosen.has(point)));
  }
  return kept;
}
