// @ts-check
/** What both renderers of the map understand. */

/**
 * @typedef {object} Frame
 * @property {number} before index of the step shown
 * @property {number} after index of the step it moves to
 * @property {number} share how far, 0..1
 * @property {number} cursor fractional index, for the age of trails
 * @property {number} width CSS px
 * @property {number} height CSS px
 * @property {number} ratio device pixels per CSS px
 * @property {number} scale CSS px per map unit
 * @property {number} x CSS px of the map's origin
 * @property {number} y
 * @property {number} radius of a point, CSS px
 * @property {boolean} trails
 */
/** @typedef {{from: number, x0: number, y0: number, x1: number, y1: number, code0: number, code1: number}} Segment */
/**
 * @typedef {object} Renderer
 * @property {'webgl' | 'canvas'} kind
 * @property {(layer: import('../model/layer.js').Layer) => void} setLayer
 * @property {(paint: import('../model/paint.js').Paint) => void} setPaint
 * @property {(marks: Uint8Array) => void} setMarks one byte of MARK per neuron
 * @property {(segments: Segment[]) => void} setTrails
 * @property {(palette: import('../theme.js').Palette) => void} setPalette
 * @property {(frame: Frame) => void} draw
 * @property {() => void} dispose
 */

/** Why a neuron is drawn on top, with a ring. */
export const MARK = { TRACKED: 1, SELECTED: 2, HOVERED: 4 };
/** Steps after which a trail has faded. */
export const TRAIL_STEPS = 20;
/** Above this many neurons the soft haze is left out. */
export const MAX_HAZE = 3000;

/**
 * The way of some neurons as segments between neighbouring steps, as long as the map stays the same.
 * @param {import('../model/layer.js').Layer} layer @param {import('../model/paint.js').Paint} paint @param {Iterable<number>} neurons
 * @returns {Segment[]}
 */
export function trailSegments(layer, paint, neurons) {
  /** @type {Segment[]} */
  const segments = [];
  const { position, neurons: count } = layer;
  for (const neuron of neurons) {
    for (let epoch = 0; epoch + 1 < layer.steps.length; epoch++) {
      const i = epoch * count + neuron;
      const j = i + count;
      if (layer.spaces[epoch] !== layer.spaces[epoch + 1] || !paint.kind[i] || !paint.kind[j]) continue;
      segments.push({
        from: epoch,
        x0: position[2 * i], y0: position[2 * i + 1], x1: position[2 * j], y1: position[2 * j + 1],
        code0: paint.code[i], code1: paint.code[j],
      });
    }
  }
  return segments;
}
