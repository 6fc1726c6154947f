// @ts-check
/** The marks of neurons: each source shown on one map has a shape of its own, so that colour is not all that tells them apart. */

/** In the order of the sources; all cover about the same area. */
export const SHAPES = /** @type {const} */ (['disc', 'diamond', 'triangle', 'square']);
/** Radius of the circle around a shape that covers as much as a disc of radius 1. */
const REACH = [1, 1.25, 1.5, 1.25];
/** Corners of the shapes on a circle of radius 1, y downwards. @type {[number, number][][]} */
const CORNERS = [
  [],
  [[0, -1], [1, 0], [0, 1], [-1, 0]],
  [[0, -1], [0.866, 0.5], [-0.866, 0.5]],
  [[-0.707, -0.707], [0.707, -0.707], [0.707, 0.707], [-0.707, 0.707]],
];

/** How far a shape of a given radius reaches from its centre. @param {number} shape index of SHAPES @param {number} radius */
export const reachOf = (shape, radius) => (REACH[shape] ?? 1) * radius;

/** Whether a point at (dx, dy) from the centre lies on the shape. @param {number} shape @param {number} dx @param {number} dy @param {number} radius */
export function isOnShape(shape, dx, dy, radius) {
  const reach = reachOf(shape, radius);
  if (shape === 1) return Math.abs(dx) + Math.abs(dy) <= reach;
  if (shape === 2) return dy <= reach / 2 && dy >= -reach + Math.abs(dx) * 1.732;
  if (shape === 3) return Math.abs(dx) <= 0.707 * reach && Math.abs(dy) <= 0.707 * reach;
  return dx * dx + dy * dy <= reach * reach;
}

/** Put a shape on a path. @param {CanvasRenderingContext2D} context @param {number} shape @param {number} x @param {number} y @param {number} radius */
export function traceShape(context, shape, x, y, radius) {
  const reach = reachOf(shape, radius);
  if (!shape || !CORNERS[shape]) {
    context.moveTo(x + reach, y);
    context.arc(x, y, reach, 0, 2 * Math.PI);
    return;
  }
  CORNERS[shape].forEach(([dx, dy], i) => (i ? context.lineTo(x + reach * dx, y + reach * dy) : context.moveTo(x + reach * dx, y + reach * dy)));
  context.closePath();
}

/** The same as the text of an SVG path around the origin. @param {number} shape @param {number} radius */
export function shapePath(shape, radius) {
  const reach = reachOf(shape, radius);
  const at = (/** @type {number} */ value) => Number((reach * value).toFixed(2));
  if (!shape || !CORNERS[shape]) return `M${at(1)},0A${at(1)},${at(1)} 0 1 1 ${at(-1)},0A${at(1)},${at(1)} 0 1 1 ${at(1)},0Z`;
  return `M${CORNERS[shape].map(([dx, dy]) => `${at(dx)},${at(dy)}`).join('L')}Z`;
}
