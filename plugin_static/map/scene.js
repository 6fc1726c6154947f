// @ts-check
/** The map as a picture of any size: for files, figures and animations. What one sees is what one gets, captions and tools left out. */
import { untracked } from '../lib.js';
import { fitTransform, boundingBox, recentre, zoomed } from '../model/geometry.js';
import { allContours } from '../model/contours.js';
import { countConcepts } from '../model/select.js';
import { indexOfPlace, placeOfIndex } from '../model/axis.js';
import { between } from '../model/layer.js';
import { clamp } from '../model/steps.js';
import { readable } from '../model/text.js';
import { cssColor } from '../theme.js';
import { CanvasRenderer } from './canvas.js';
import { ANCHOR_FONT, BRIGHT_FONT, layOut, STAR, WORD_FONT } from './overlay.js';
import { createSheets, pointRadius } from './sheets.js';
import { contourColor, svgOf } from './svg.js';
import { fitOf } from './view.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../theme.js').Palette} Palette */
/**
 * @typedef {object} SceneOptions
 * @property {number} width CSS px
 * @property {number} height
 * @property {number} [ratio] device pixels per CSS px, 2 by default; of a canvas only
 * @property {import('../source.js').Source[]} [sources] what lies on the map; by default what the first map shows
 * @property {{k: number, x: number, y: number}} [camera] by default the reader's
 * @property {import('../model/geometry.js').Size & {captionHeight?: number}} [seenAt] size of the map on the screen that the camera belongs to; by default the picture's
 * @property {number} [cursor] index of a step of the first source, may be fractional; by default where the reader is
 * @property {number} [margin] px around the whole space
 */
/**
 * @typedef {object} Scene
 * @property {import('./shared.js').Frame} frame
 * @property {import('./shared.js').Sheet[]} sheets
 * @property {import('./overlay.js').Writing} writing
 * @property {import('../model/contours.js').Contours[]} contours in px of the whole map, before the camera
 * @property {{k: number, x: number, y: number}} camera
 */

const MARGIN = 44;
const RATIO = 2;

/** @param {Store} store @param {SceneOptions} options @returns {Scene} */
export function sceneOf(store, { width, height, ratio = RATIO, sources: given, camera, seenAt, cursor, margin = MARGIN }) {
  return untracked(() => {
    const sources = given ?? (store.layout.value === 'overlay' ? store.sources.value : store.sources.value.slice(0, 1));
    const size = { width, height };
    const lead = sources[0] ?? null;
    const momentOf = (/** @type {import('../source.js').Source} */ source) => (cursor === undefined ? source.cursor.value : placed(store, source, cursor));
    const epochOf = (/** @type {import('../source.js').Source} */ source) => Math.round(momentOf(source));
    const space = lead?.spaceAt.value(epochOf(lead)) ?? null;
    const box = (space && boundingBox(space.position, space.anchorPosition)) ?? { left: -1, right: 1, bottom: -1, top: 1 };
    const fit = fitTransform(box, size, { left: margin, right: margin, top: margin, bottom: margin });
    const view = camera ?? store.view.value;
    const moved = view.k !== 1 || view.x !== 0 || view.y !== 0;
    const adjusted = moved && seenAt ? recentre(view, fitOf(lead, seenAt, seenAt.captionHeight), seenAt, fit, size) : view;
    const transform = zoomed(fit, adjusted);
    const alike = sources.filter((source) => space && source.spaceAt.value(epochOf(source))?.fingerprint === space.fingerprint);
    const layers = alike.flatMap((source) => (source.layer.value ? [{ layer: source.layer.value, epoch: epochOf(source) }] : []));
    const neurons = sources.reduce((total, { layer }) => total + (layer.value?.neurons ?? 0), 0);
    const sheets = createSheets(store, () => sources, { hovered: false }).value.map((sheet) => {
      const source = sources.find((one) => one.run === sheet.layer.run && one.name === sheet.layer.name);
      const at = source ? momentOf(source) : sheet.cursor;
      return cursor === undefined ? sheet : { ...sheet, cursor: at, moment: between(sheet.layer, at), ghost: sheet.ghost === -1 ? -1 : Math.ceil(at - 1e-6) - 1 };
    });
    return {
      frame: { width, height, ratio, ...transform, radius: pointRadius(neurons, height, view.k), terrain: space },
      sheets,
      contours: store.showContours.value ? allContours(sheets.filter(({ moment }) => moment.before >= 0), fit, size) : [],
      camera: adjusted,
      writing: layOut({
        space, counts: countConcepts(layers, space?.words.length ?? 0), size, transform, zoom: view.k, showLabels: store.showLabels.value,
        concept: store.concept.value, anchors: store.anchors.value, nearest: undefined, keepFree: [],
      }),
    };
  });
}

/** Where a source is when the first one is at an index. @param {Store} store @param {import('../source.js').Source} source @param {number} cursor */
function placed(store, source, cursor) {
  const first = store.first.value;
  const index = source === first ? cursor : indexOfPlace(source.places.value, placeOfIndex(first.places.value, cursor));
  return clamp(index, 0, Math.max(0, source.steps.value.length - 1));
}

/**
 * The current map as a picture.
 * @param {Store} store @param {Palette} palette @param {SceneOptions} options
 * @param {CanvasRenderer} [kept] one that has the palette already, to draw the pictures of an animation with
 * @returns {HTMLCanvasElement}
 */
export function drawScene(store, palette, options, kept) {
  const { frame, sheets, writing, contours, camera } = sceneOf(store, options);
  const renderer = kept ?? sceneRenderer(palette);
  renderer.draw(frame, sheets);
  const { context } = renderer;
  drawContours(context, contours, camera, frame.ratio, palette);
  context.setTransform(frame.ratio, 0, 0, frame.ratio, 0, 0);
  writeOn(context, writing, palette);
  if (!kept) renderer.dispose();
  return renderer.canvas;
}

/** @param {Palette} palette */
export function sceneRenderer(palette) {
  const renderer = new CanvasRenderer(document.createElement('canvas'), { inMemory: true });
  renderer.setPalette(palette);
  return renderer;
}

/**
 * The current map as the text of an SVG file.
 * @param {Store} store @param {Palette} palette @param {SceneOptions} options
 */
export function sceneSvg(store, palette, options) {
  return svgOf(sceneOf(store, { ...options, ratio: options.ratio ?? RATIO }), palette);
}

/** @param {CanvasRenderingContext2D} context @param {Scene['contours']} contours @param {Scene['camera']} camera @param {number} ratio @param {Palette} palette */
function drawContours(context, contours, { k, x, y }, ratio, palette) {
  context.setTransform(ratio * k, 0, 0, ratio * k, ratio * x, ratio * y);
  context.lineWidth = 1.1 / k;
  context.lineJoin = 'round';
  for (const group of contours) {
    context.strokeStyle = cssColor(contourColor(palette, group), 0.8);
    for (const path of group.paths) context.stroke(new Path2D(path));
  }
}

/** Stars and words. @param {CanvasRenderingContext2D} context in CSS px @param {import('./overlay.js').Writing} writing @param {Palette} palette */
function writeOn(context, { stars, names, words }, palette) {
  context.lineJoin = 'round';
  context.textBaseline = 'alphabetic';
  context.strokeStyle = cssColor(palette.well);
  const write = (/** @type {import('./overlay.js').Written} */ { text, x, y }, /** @type {string} */ font, /** @type {import('../theme.js').Rgb} */ color, /** @type {number} */ around) => {
    context.font = font;
    context.lineWidth = around;
    context.strokeText(readable(text), x, y);
    context.fillStyle = cssColor(color);
    context.fillText(readable(text), x, y);
  };
  for (const word of words) write(word, word.bright ? BRIGHT_FONT : WORD_FONT, word.bright ? palette.ink : palette.faint, 3);
  const star = new Path2D(STAR);
  context.lineWidth = 3;
  context.fillStyle = cssColor(palette.star);
  for (const { x, y } of stars) {
    context.save();
    context.translate(x, y);
    context.stroke(star);
    context.fill(star);
    context.restore();
  }
  for (const name of names) write(name, ANCHOR_FONT, palette.ink, 3.5);
}
