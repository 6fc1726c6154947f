// @ts-check
/** Chooses who draws the map. */
import { CanvasRenderer } from './canvas.js';

/** @param {HTMLCanvasElement} canvas @returns {import('./shared.js').Renderer} */
export function createRenderer(canvas) {
  return new CanvasRenderer(canvas);
}
