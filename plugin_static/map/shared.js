// @ts-check
/** What every renderer of the map understands. */

/**
 * @typedef {object} Frame where the map is on the screen
 * @property {number} width CSS px
 * @property {number} height CSS px
 * @property {number} ratio device pixels per CSS px
 * @property {number} scale CSS px per map unit
 * @property {number} x CSS px of the map's origin
 * @property {number} y
 * @property {number} radius of a point, CSS px
 * @property {import('../model/space.js').Space | null} [terrain] whose concepts are drawn as faint dots under the neurons
 */
/**
 * @typedef {object} Sheet one layer of one run to draw; several lie on one map where runs are overlaid
 * @property {import('../model/layer.js').Layer} layer
 * @property {import('../model/paint.js').Paint} paint
 * @property {import('../model/layer.js').Moment} moment
 * @property {number} cursor fractional index, for the age of trails
 * @property {number} source which of the sources' own colours it has
 * @property {number} [shape] which of SHAPES its neurons have, a disc by default
 * @property {Uint8Array} marks one byte of MARK per neuron
 * @property {number[]} [marked] the neurons that have a mark
 * @property {import('./trails.js').Trail[]} trails
 * @property {number} [ghost] step whose places are shown as ghosts; -1 or left out: none
 */
/**
 * @typedef {object} Renderer
 * @property {string} kind
 * @property {(palette: import('../theme.js').Palette) => void} setPalette
 * @property {(frame: Frame, sheets: Sheet[]) => void} draw
 * @property {() => void} dispose
 */

/** Why a neuron is drawn on top, with a ring. */
export const MARK = { TRACKED: 1, SELECTED: 2, HOVERED: 4, SUGGESTED: 8 };
/** Above this many neurons the soft haze is left out. */
export const MAX_HAZE = 3000;
/** Above this many marks they are written as pixels instead of copied one by one. */
export const MANY = 3000;
/** Above this many neurons only those that the reader chose have a ghost. */
export const MAX_GHOSTS = 3000;
