// @ts-check
import { KIND } from '/plugin_static/model/paint.js';
import { between } from '/plugin_static/model/layer.js';
import { reachOf, SHAPES, isOnShape, shapePath } from '/plugin_static/map/shapes.js';
import { makeMask, Splat } from '/plugin_static/map/splat.js';
import { toPixel } from '/plugin_static/map/tint.js';
import { equal, makeLayer, near, ok, test } from './harness.js';

/** @type {import('/plugin_static/theme.js').Palette} */
const palette = {
  slots: [[1, 0, 0], [0, 0, 1]], none: [0.5, 0.5, 0.5], ramp: [[0, 0, 0], [1, 1, 1]], sources: [[0, 1, 0], [0, 1, 1]], well: [1, 1, 1], ink: [0, 0, 0], dark: false,
};
/** @param {Partial<import('/plugin_static/map/shared.js').Sheet>} sheet @param {{kind: number[], code: number[], size?: number[]}} coat */
function drawn(sheet, coat, cursor = 0) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 40, height: 40 });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const splat = new Splat();
  splat.setPalette(palette);
  const layer = /** @type {import('/plugin_static/model/layer.js').Layer} */ (sheet.layer);
  const made = { kind: Uint8Array.from(coat.kind), code: Uint8Array.from(coat.code), size: coat.size ? Uint8Array.from(coat.size) : null };
  splat.draw(context, { width: 40, height: 40, ratio: 1, scale: 1, x: 0, y: 40, radius: 3 }, [{
    paint: { scale: 'slot', colorBy: 'category', range: [0, 1], at: () => made }, source: 0, marks: new Uint8Array(layer.neurons), trails: [], cursor, moment: between(layer, cursor), ...sheet, layer,
  }]);
  return (/** @type {number} */ x, /** @type {number} */ y) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3);
}
const RED = [255, 0, 0];
const WELL = [255, 255, 255];

test('a mask covers as much as its disc, wherever its centre lies within a pixel', () => {
  for (const [fx, fy] of [[0.125, 0.125], [0.5, 0.5], [0.875, 0.375]]) {
    const { weights } = makeMask(0, KIND.FULL, 3, 0, fx, fy, 100);
    near(weights.reduce((sum, weight) => sum + weight, 0) / 256, Math.PI * 9, 1.2);
  }
});
test('all shapes cover about the same, within their reach', () => {
  for (let shape = 0; shape < SHAPES.length; shape++) {
    const { weights } = makeMask(shape, KIND.FULL, 5, 0, 0.5, 0.5, 100);
    near(weights.reduce((sum, weight) => sum + weight, 0) / 256, Math.PI * 25, 9);
    ok(!isOnShape(shape, reachOf(shape, 5) + 0.1, 0, 5), 'nothing beyond the reach');
    ok(shapePath(shape, 5).endsWith('Z'), 'closed');
  }
});
test('neurons are drawn in their colours where they are between two steps, and not where they have no signal', () => {
  const layer = makeLayer([[0, null], [0, null]], { positions: [10, 20, NaN, NaN, 30, 20, NaN, NaN] });
  const coat = { kind: [KIND.FULL, KIND.HIDDEN], code: [0, 1] };
  equal(drawn({ layer }, coat, 0)(10, 20), RED);
  const half = drawn({ layer }, coat, 0.5);
  equal([half(20, 20), half(10, 20), half(0, 0)], [RED, WELL, WELL]);
});
test('a marked neuron is left to be drawn on top; one at the edge is cut, not wrapped around', () => {
  const layer = makeLayer([[0, 0]], { positions: [10, 20, 0, 10] });
  const at = drawn({ layer, marks: Uint8Array.of(1, 0) }, { kind: [KIND.FULL, KIND.FULL], code: [0, 0] });
  equal([at(10, 20), at(0, 30), at(39, 30), at(39, 29)], [WELL, RED, WELL, WELL]);
});
test('what is filtered out is faint, what has no concept is hollow', () => {
  const layer = makeLayer([[0, 0]], { positions: [10, 20, 30, 20] });
  const dim = drawn({ layer }, { kind: [KIND.DIM_FULL, KIND.HIDDEN], code: [0, 0] })(10, 20);
  ok(dim[0] === 255 && dim[1] > 210 && dim[1] < 230, `an eighth of the colour, got ${dim}`);
  const large = makeMask(0, KIND.FAINT, 8, 0, 0.5, 0.5, 100);
  ok(![...large.offsets].includes(0), 'nothing in the middle');
});
test('size follows the similarity', () => {
  const layer = makeLayer([[0, 0]], { positions: [10, 20, 30, 20] });
  const at = drawn({ layer }, { kind: [KIND.FULL, KIND.FULL], code: [0, 0], size: [0, 254] });
  equal([at(13, 20), at(34, 20)], [WELL, RED]);
});
test('a pixel in memory begins with red', () => equal(new Uint8Array(Uint32Array.of(toPixel([1, 0.5, 0])).buffer), new Uint8Array([255, 128, 0, 255])));
