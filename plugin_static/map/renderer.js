// @ts-check
/** Chooses how the map is drawn. */
import { CanvasRenderer } from './canvas.js';

const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** @param {HTMLCanvasElement} canvas @returns {import('./shared.js').Renderer} */
export function createRenderer(canvas) {
  // Without a graphics processor a canvas kept in main memory is several times faster than one drawn by a second process.
  return new CanvasRenderer(canvas, { inMemory: !hasGraphicsProcessor() });
}

/** Whether drawing is done by hardware, as far as WebGL tells. */
export function hasGraphicsProcessor() {
  const gl = document.createElement('canvas').getContext('webgl');
  if (!gl) return false;
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  const name = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  return !SOFTWARE.test(name);
}
