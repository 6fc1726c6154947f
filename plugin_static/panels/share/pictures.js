// @ts-check
/** The map as PNG and SVG. */
import { readColors } from '../../export/colors.js';
import { drawShapes } from '../../export/canvas.js';
import { createMeasure } from '../../export/drawing.js';
import { drawPicture, panesOf } from '../../export/picture.js';
import { saveBlob, saveText } from '../../export/save.js';
import { svgText } from '../../export/svg.js';
import { fileName } from '../../model/table.js';
import { namesOf } from './table.js';

/** @typedef {import('./share.js').Sharing} Sharing */

/** Pixels per px of the screen: sharp in print and on dense screens. */
const RATIO = 2;

/** @param {Sharing} sharing @param {'png' | 'svg'} format @param {boolean} forPrint on white instead of in the theme shown @param {import('./task.js').Work} work @returns {Promise<import('./task.js').Outcome>} */
export async function savePicture({ store, maps }, format, forPrint, { progress }) {
  await progress(0.1);
  const colors = readColors(forPrint ? 'print' : store.theme.peek());
  const drawing = drawPicture(store, panesOf(store, maps), { colors, measure: createMeasure(), ratio: RATIO });
  const name = fileName(['map', ...namesOf(store)], format);
  if (format === 'svg') saveText(svgText(drawing), 'image/svg+xml', name);
  else saveBlob(await toPng(drawing, RATIO), name);
  return { text: `Saved ${name}${format === 'png' ? `, ${drawing.width * RATIO} × ${drawing.height * RATIO} pixels` : ''}` };
}

/** @param {import('../../export/drawing.js').Drawing} drawing @param {number} ratio @returns {Promise<Blob>} */
export async function toPng({ width, height, shapes }, ratio) {
  const canvas = Object.assign(document.createElement('canvas'), { width: width * ratio, height: height * ratio });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.scale(ratio, ratio);
  drawShapes(context, shapes);
  const blob = await new Promise((/** @type {(blob: Blob | null) => void} */ resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) throw new Error('The browser could not make a picture this large: make the window smaller, or save an SVG');
  return blob;
}
