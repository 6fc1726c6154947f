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
/**
 * @typedef {object} Renderer
 * @property {'webgl' | 'canvas'} kind
 * @property {(layer: import('../model/layer.js').Layer) => void} setLayer
 * @property {(paint: import('../model/paint.js').Paint) => void} setPaint
 * @property {(marks: Uint8Array) => void} setMarks one byte of MARK per neuron
 * @property {(trails: import('./trails.js').Trail[]) => void} setTrails
 * @property {(palette: import('../theme.js').Palette) => void} setPalette
 * @property {(frame: Frame) => void} draw
 * @property {() => void} dispose
 */

/** Why a neuron is drawn on top, with a ring. */
export const MARK = { TRACKED: 1, SELECTED: 2, HOVERED: 4, SUGGESTED: 8 };
/** Above this many neurons the soft haze is left out. */
export const MAX_HAZE = 3000;
