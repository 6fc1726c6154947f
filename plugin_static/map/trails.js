// @ts-check
/** The way a neuron came, as a ribbon that is widest and clearest where the neuron is now: its taper tells the direction. */
import { between, epochOf, isLoaded, placeAt } from '../model/layer.js';
import { KIND } from '../model/paint.js';

/** @typedef {import('../model/layer.js').Layer} Layer */
/** @typedef {import('../model/paint.js').Paint} Paint */
/** @typedef {{neuron: number, steps: number, strength: number}} Trail steps until it has faded; strength: opacity at the neuron, 0..1 */
/** @typedef {{x: number, y: number, age: number, code: number}} TrailPoint age in steps */
/** @typedef {{x: number, y: number}} Point */

/** Of neurons that the reader or the training script chose, and of the one under the pointer. */
export const STRONG = { steps: 20, strength: 0.9 };
/** Of neurons that the tab suggests: enough to see who moves. */
export const GENTLE = { steps: 5, strength: 0.6 };

const SAMPLES = 14;
const HEAD_WIDTH = 3.4;
const TAIL_WIDTH = 0.6;

/**
 * Where a neuron has been, from now backwards, as long as the map stays the same and the neuron has a signal.
 * @param {Layer} layer @param {Paint} paint @param {Trail} trail @param {number} cursor fractional index
 * @returns {TrailPoint[]} map units
 */
export function trailPoints(layer, paint, { neuron, steps }, cursor) {
  const moment = between(layer, cursor);
  const { before, share } = moment;
  const nearest = epochOf(moment);
  if (nearest < 0 || paint.at(nearest).kind[neuron] === KIND.HIDDEN) return [];
  const [x, y] = placeAt(layer, neuron, moment);
  if (Number.isNaN(x + y)) return [];
  const points = [{ x, y, age: 0, code: paint.at(nearest).code[neuron] }];
  for (let epoch = share > 0 ? before : before - 1; epoch >= 0; epoch--) {
    if (!isLoaded(layer, epoch) || layer.spaces[epoch] !== layer.spaces[nearest] || paint.at(epoch).kind[neuron] === KIND.HIDDEN) break;
    const [pastX, pastY] = placeAt(layer, neuron, { before: epoch, after: epoch, share: 0 });
    if (Number.isNaN(pastX + pastY)) break;
    const age = before + share - epoch;
    points.push({ x: pastX, y: pastY, age, code: paint.at(epoch).code[neuron] });
    if (age >= steps) break;
  }
  return points;
}

/**
 * Inner control points of a curve from b to c through a, b, c, d: centripetal Catmull-Rom, which makes no loops.
 * @param {Point} a @param {Point} b @param {Point} c @param {Point} d @returns {[Point, Point]}
 */
export function controlPoints(a, b, c, d) {
  const gap = (/** @type {Point} */ p, /** @type {Point} */ q) => Math.hypot(q.x - p.x, q.y - p.y);
  const [ab, bc, cd] = [gap(a, b), gap(b, c), gap(c, d)];
  const inner = (/** @type {Point} */ outer, /** @type {Point} */ near, /** @type {Point} */ far, /** @type {number} */ beside) => {
    const root = Math.sqrt(beside * bc);
    const weight = 2 * beside + 3 * root + bc;
    const sum = 3 * (beside + root);
    if (beside < 1e-9) return near;
    return { x: (near.x * weight - outer.x * bc + far.x * beside) / sum, y: (near.y * weight - outer.y * bc + far.y * beside) / sum };
  };
  return [inner(a, b, c, ab), inner(d, c, b, cd)];
}

/** @param {Point} b @param {Point} p @param {Point} q @param {Point} c @param {number} t @returns {{x: number, y: number, dx: number, dy: number}} */
function onCurve(b, p, q, c, t) {
  const s = 1 - t;
  const mix = (/** @type {'x' | 'y'} */ k) => s * s * s * b[k] + 3 * s * s * t * p[k] + 3 * s * t * t * q[k] + t * t * t * c[k];
  const slope = (/** @type {'x' | 'y'} */ k) => s * s * (p[k] - b[k]) + 2 * s * t * (q[k] - p[k]) + t * t * (c[k] - q[k]);
  return { x: mix('x'), y: mix('y'), dx: slope('x'), dy: slope('y') };
}

/** @typedef {{outline: Point[], from: TrailPoint, to: TrailPoint, opacity: [number, number]}} Ribbon between two steps, the newer first */

/**
 * A trail as ribbons that taper with age.
 * @param {TrailPoint[]} points px, newest first @param {Trail} trail @returns {Ribbon[]} oldest first
 */
export function ribbons(points, { steps, strength }) {
  const left = (/** @type {number} */ age) => Math.max(0, 1 - age / steps);
  /** @type {Ribbon[]} */
  const made = [];
  for (let i = points.length - 2; i >= 0; i--) {
    const b = points[i];
    const c = points[i + 1];
    if (Math.hypot(c.x - b.x, c.y - b.y) < 0.5) continue;
    const [p, q] = controlPoints(points[i - 1] ?? b, b, c, points[i + 2] ?? c);
    const there = [];
    const back = [];
    for (let k = 0; k <= SAMPLES; k++) {
      const { x, y, dx, dy } = onCurve(b, p, q, c, k / SAMPLES);
      const half = (TAIL_WIDTH + (HEAD_WIDTH - TAIL_WIDTH) * left(b.age + ((c.age - b.age) * k) / SAMPLES)) / 2 / (Math.hypot(dx, dy) || 1);
      there.push({ x: x - dy * half, y: y + dx * half });
      back.push({ x: x + dy * half, y: y - dx * half });
    }
    made.push({ outline: [...there, ...back.reverse()], from: b, to: c, opacity: [strength * left(b.age) ** 1.5, strength * left(c.age) ** 1.5] });
  }
  return made;
}

/**
 * @param {CanvasRenderingContext2D} context in CSS px @param {TrailPoint[]} points in CSS px, newest first
 * @param {Trail} trail @param {(code: number, opacity: number) => string} colorOf
 */
export function drawTrail(context, points, trail, colorOf) {
  for (const { outline, from, to, opacity } of ribbons(points, trail)) {
    const gradient = context.createLinearGradient(from.x, from.y, to.x, to.y);
    gradient.addColorStop(0, colorOf(from.code, opacity[0]));
    gradient.addColorStop(1, colorOf(to.code, opacity[1]));
    context.fillStyle = gradient;
    context.beginPath();
    for (const { x, y } of outline) context.lineTo(x, y);
    context.fill();
  }
}
