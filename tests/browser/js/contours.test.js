// @ts-check
import { allContours, crowdsOf } from '/plugin_static/model/contours.js';
import { between } from '/plugin_static/model/layer.js';
import { KIND } from '/plugin_static/model/paint.js';
import { equal, makeLayer, ok, test } from './harness.js';

const size = { width: 200, height: 100 };
const transform = { scale: 1, x: 0, y: 100 };

/** Two crowds of twenty neurons around (50, 50) and (150, 50), the second half in another colour. @param {'slot' | 'ramp' | 'source'} scale */
function sheet(scale = 'slot', kind = KIND.FULL) {
  const positions = Array.from({ length: 40 }, (_, i) => [(i < 20 ? 50 : 150) + (i % 5) - 2, 50 + (i % 4) - 2]).flat();
  const layer = makeLayer([Array.from({ length: 40 }, () => 0)], { positions });
  const coat = { kind: new Uint8Array(40).fill(kind), code: Uint8Array.from({ length: 40 }, (_, i) => (i < 20 ? 1 : 4)), size: null };
  return { layer, paint: { scale, colorBy: /** @type {const} */ ('category'), range: /** @type {[number, number]} */ ([0, 1]), at: () => coat }, moment: between(layer, 0), source: 2 };
}
const xs = (/** @type {string} */ path) => [...path.matchAll(/(-?[\d.]+),/g)].map(([, x]) => Number(x));

test('neurons of one colour are one crowd; those filtered out are none', () => {
  equal(crowdsOf([sheet('slot')], transform).map(({ scale, code, x }) => [scale, code, x.length]), [['slot', 1, 20], ['slot', 4, 20]]);
  equal(crowdsOf([sheet('source')], transform).map(({ scale, code, x }) => [scale, code, x.length]), [['source', 2, 40]]);
  equal(crowdsOf([sheet('ramp')], transform).map(({ scale, x }) => [scale, x.length]), [['plain', 40]]);
  equal(crowdsOf([sheet('slot', KIND.DIM_FULL)], transform), []);
});
test('lines go around each crowd, the inner ones closer', () => {
  const [left, right] = allContours([sheet()], transform, size);
  ok(left.paths.length >= 3, `several lines, got ${left.paths.length}`);
  ok(xs(left.paths[0]).every((x) => x < 100) && xs(right.paths[0]).every((x) => x > 100), 'each on its side');
  const width = (/** @type {string} */ path) => Math.max(...xs(path)) - Math.min(...xs(path));
  ok(width(left.paths[0]) > width(left.paths[left.paths.length - 1]), 'the first is the outermost');
});
test('without neurons there are no lines', () => equal(allContours([], transform, size), []));
