// @ts-check
/** Shapes on a canvas, the same as the SVG writer gives. */
import { readable } from '../model/text.js';
import { FONTS, TAIL_GAP } from './drawing.js';

/** @typedef {import('./drawing.js').Shape} Shape */

/** @param {CanvasRenderingContext2D} context in px of the shapes @param {Shape[]} shapes */
export function drawShapes(context, shapes) {
  for (const shape of shapes) drawShape(context, shape);
  context.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} context @param {Shape} shape */
function drawShape(context, shape) {
  if (shape.type === 'group') {
    context.save();
    if (shape.clip) {
      context.beginPath();
      context.rect(shape.clip.x, shape.clip.y, shape.clip.width, shape.clip.height);
      context.clip();
    }
    drawShapes(context, shape.shapes);
    context.restore();
    return;
  }
  if (shape.type === 'text') { drawText(context, shape); return; }
  if (shape.type === 'map') { context.globalAlpha = 1; context.drawImage(shape.canvas(), shape.x, shape.y, shape.width, shape.height); return; }
  if (shape.type === 'image') {
    if (shape.picture) context.drawImage(shape.picture, shape.x, shape.y, shape.width, shape.height);
    return;
  }
  context.globalAlpha = shape.opacity ?? 1;
  const path = shape.type === 'path' ? new Path2D(shape.d) : new Path2D();
  if (shape.type === 'circle') path.arc(shape.x, shape.y, Math.max(0, shape.r), 0, 2 * Math.PI);
  if (shape.type === 'rect') path.roundRect(shape.x, shape.y, shape.width, shape.height, shape.radius ?? 0);
  const moved = shape.type === 'path' && shape.x !== undefined;
  if (moved) { context.save(); context.translate(shape.x ?? 0, /** @type {import('./drawing.js').Path} */ (shape).y ?? 0); }
  if (shape.fill && shape.fill !== 'none') {
    context.fillStyle = shape.fill;
    context.fill(path);
  }
  if (shape.stroke) {
    context.strokeStyle = shape.stroke;
    context.lineWidth = shape.strokeWidth ?? 1;
    context.lineCap = context.lineJoin = 'round';
    context.setLineDash(shape.type === 'path' && shape.dash ? shape.dash.split(/[ ,]+/).map(Number) : []);
    context.stroke(path);
  }
  if (moved) context.restore();
}

/** @param {CanvasRenderingContext2D} context @param {import('./drawing.js').Text} shape */
function drawText(context, { x, y, text, size, fill, weight = 400, italic, anchor = 'start', halo, haloWidth = 3.5, tail, tailFill = fill, tailWeight = weight }) {
  context.globalAlpha = 1;
  context.font = `${italic ? 'italic ' : ''}${weight} ${size}px ${FONTS}`;
  context.textAlign = anchor === 'middle' ? 'center' : anchor;
  context.textBaseline = 'alphabetic';
  if (halo) {
    context.strokeStyle = halo;
    context.lineWidth = haloWidth;
    context.lineJoin = 'round';
    context.setLineDash([]);
    context.strokeText(text, x, y);
  }
  context.fillStyle = fill;
  context.fillText(readable(text), x, y);
  if (tail === undefined) return;
  const end = x + context.measureText(text).width + TAIL_GAP;
  context.font = `${tailWeight} ${size}px ${FONTS}`;
  context.fillStyle = tailFill;
  context.fillText(readable(tail), end, y);
}
