// @ts-check
import { alignPoints, defaultGroups, groupTags, lastAt, outlierLimit, thin } from '/plugin_static/model/scalars.js';
import { boundingBox, fitTransform, overlaps, placeLabels, recentre, spread, zoomed } from '/plugin_static/model/geometry.js';
import { formatCount, formatNumber, formatShare, shorten } from '/plugin_static/model/format.js';
import { locateImages, tileStyle } from '/plugin_static/model/images.js';
import { axisTicks, formatPlace } from '/plugin_static/charts/ticks.js';
import { searchOptions } from '/plugin_static/charts/picker.js';
import { equal, near, ok, test } from './harness.js';

test('tags of one quantity are one chart, loss first, then accuracy, our own last', () => {
  const groups = groupTags(['lr', 'accuracy/val', 'train_loss', 'val_loss', 'concepts/l4/d_anchor', 'Loss/train', 'epoch/validation/f1']);
  equal(groups.map(({ label, members }) => [label, members.map(({ split }) => split)]), [['Loss', ['train', 'train', 'val']], ['Accuracy', ['val']], ['epoch/f1', ['val']], ['lr', ['']], ['concepts/l4/d_anchor', ['']]]);
  equal(defaultGroups(groups), ['loss', 'accuracy']);
});
test('without loss or accuracy the first tag is shown', () => equal([defaultGroups(groupTags(['b', 'a'])), defaultGroups(groupTags(['concepts/l4/d_anchor'])), defaultGroups([])], [['a'], [], []]));
test('scalars per epoch keep their steps, and gaps stay gaps', () => {
  const { points, byTime } = alignPoints([[0, 10, 1], [1, 20, null], [2, 30, 3]], [0, 1, 2], [10, 20, 30]);
  equal([points, byTime], [[{ x: 0, y: 1 }, { x: 1, y: NaN }, { x: 2, y: 3 }], false]);
});
test('scalars per batch meet the epochs by the clock', () => {
  const { points, byTime } = alignPoints([[0, 10, 1], [500, 15, 2], [1000, 30, 3]], [0, 1, 2], [10, 20, 30]);
  equal([points.map(({ x }) => x), byTime], [[0, 0.5, 2], true]);
});
test('a value at a step is the last one logged', () => {
  const points = [{ x: 1, y: 5 }, { x: 3, y: 7 }];
  const at = (/** @type {number} */ x) => lastAt(points, x, (point) => point.x)?.y;
  equal([at(0), at(1), at(2), at(3), at(9)], [5, 5, 5, 7, 7]);
  equal(lastAt([], 1, () => 0) === undefined, true);
});
test('a value far off all others may lie outside a chart, a steep curve may not', () => {
  const loss = [7.7, 1.9, 1.5, 1.3, 1.2, 1.0, 0.9, 0.8, 0.7, 0.6];
  equal([outlierLimit(loss), outlierLimit(loss.slice(1)), outlierLimit([9, 1, 2]), outlierLimit([3, 3, 3, 3, 3, 3, 3, 9])], [1.9, Infinity, Infinity, Infinity]);
  equal(outlierLimit(Array.from({ length: 250 }, (_, i) => 5 * Math.exp(-i / 8))), Infinity);
});
test('thinning keeps spikes', () => {
  const points = Array.from({ length: 5000 }, (_, x) => ({ x, y: x === 3210 ? 99 : 0 }));
  const kept = thin(points, 400);
  ok(kept.length <= 400 && kept.some(({ y }) => y === 99), 'the spike survives');
  ok(kept.every(({ x }, i) => i === 0 || x >= kept[i - 1].x), 'in order');
});
test('thinning keeps gaps, and does not fill them', () => {
  const points = Array.from({ length: 10000 }, (_, x) => ({ x, y: x >= 4000 && x < 6000 ? NaN : x === 7777 ? Infinity : 1 }));
  const kept = thin(points, 400);
  ok(kept.length < 700, `${kept.length} points`);
  ok(kept.some(({ x, y }) => x >= 4000 && x < 6000 && Number.isNaN(y)), 'the long gap');
  ok(kept.some(({ y }) => y === Infinity), 'the single one');
  ok(kept.every(({ x, y }) => Number.isFinite(y) !== (x >= 4000 && x < 6000) || x === 7777), 'nothing invented');
});

test('a box ignores places that are not finite', () => equal([boundingBox(Float32Array.of(1, 2, NaN, 3, -1, 5)), boundingBox([])], [{ left: -1, right: 1, bottom: 2, top: 5 }, null]));
test('fitting centres a box inside its margins', () => {
  const { scale, x, y } = fitTransform({ left: 0, right: 10, bottom: 0, top: 10 }, { width: 200, height: 120 }, { left: 10, right: 10, top: 10, bottom: 10 });
  equal([scale, x, y], [10, 50, 110]);
});
test('zooming comes after fitting', () => equal(zoomed({ scale: 2, x: 3, y: 4 }, { k: 10, x: 1, y: 2 }), { scale: 20, x: 31, y: 42 }));
test('a change of size keeps the middle in the middle', () => {
  const before = { fit: { scale: 2, x: 10, y: 20 }, size: { width: 100, height: 80 } };
  const after = { fit: { scale: 3, x: -5, y: 7 }, size: { width: 300, height: 60 } };
  const view = recentre({ k: 4, x: -30, y: 12 }, before.fit, before.size, after.fit, after.size);
  const middle = (/** @type {any} */ { fit, size }, /** @type {any} */ { k, x, y }) => { const t = zoomed(fit, { k, x, y }); return [(size.width / 2 - t.x) / t.scale, (t.y - size.height / 2) / t.scale]; };
  const [a, b] = [middle(before, { k: 4, x: -30, y: 12 }), middle(after, view)];
  near(a[0], b[0]);
  near(a[1], b[1]);
});
test('labels never overlap, the first wins, the rest is hidden', () => {
  const places = placeLabels(Array.from({ length: 12 }, () => ({ x: 50, y: 50, width: 30 })), { width: 100, height: 100 });
  ok(places[0] !== null && places.includes(null), 'some are shown, some hidden');
  const boxes = places.flatMap((place) => (place ? [{ left: place.x, right: place.x + 30, top: place.y - 9, bottom: place.y + 3 }] : []));
  ok(boxes.every((a, i) => boxes.every((b, j) => i === j || !overlaps(a, b))), 'no overlap');
});
test('end labels are pushed apart in order', () => {
  const out = spread([50, 51, 49, 100], 0, 100, 10);
  ok(out[2] < out[0] && out[0] < out[1] && out[1] < out[3], 'in order');
  ok(out[0] - out[2] >= 10 && out[1] - out[0] >= 10 && out[3] <= 100, 'apart and inside');
});

test('numbers have about three digits', () => {
  equal([0.12345, 1.2345, 12.345, 1234.5, 12345, 2.5e6, 0, 0.00012, NaN, null].map(formatNumber), ['0.123', '1.23', '12.3', '1235', '12.3k', '2.5M', '0', '1.2e-4', '–', '–']);
  equal([formatCount(-1), formatCount(12345), formatShare(0.01)], ['\u22121', '12\u2009345', '1%']);
});
test('long names are cut in the middle', () => equal([shorten('abcdefghij', 5), shorten('abc', 5)], ['ab…ij', 'abc']));
test('images are found in their page', () => {
  const tile = locateImages([{ step: 4, columns: 2, ids: [7, 9, 11] }]).get(11);
  equal(tile, { step: 4, column: 0, row: 1, columns: 2, rows: 2 });
  const style = tileStyle(/** @type {any} */ (tile), 'http://h/images?run=a%22b&step=4', 50);
  ok(style.includes('background-size:100px 100px') && style.includes('background-position:0px -50px'), style);
  ok(!/url\("[^"]*"[^)]/.test(style), style);
  near(tile?.rows ?? 0, 2);
});

test('the axis is read in its own unit', () => {
  equal([['step', 12345], ['epoch', 3], ['time', 0.25], ['time', 2.5], ['time', 0.005], ['scalar:acc', 0.6234]].map(([mode, place]) => formatPlace({ mode: /** @type {any} */ (mode), down: false }, Number(place))), ['12\u2009345', '3', '15 min', '2.50 h', '18 s', '0.623']);
  equal(formatPlace({ mode: 'scalar:loss', down: true }, -1.5), '1.50');
});
test('labels of the axis do not touch, wherever its steps lie', () => {
  const scale = Object.assign((/** @type {number} */ place) => 4 * place, { range: () => [0, 400], domain: () => [0, 100] });
  const places = [0, 1, 2, 3, 4, 50, 99, 100];
  const ticks = axisTicks({ mode: 'step', down: false, steps: [0, 10, 20, 30, 40, 50, 60, 70], places }, scale, 40);
  equal([ticks[0].text, ticks[ticks.length - 1].text], ['0', '70']);
  ok(ticks.every(({ at }, i) => i === 0 || at - ticks[i - 1].at >= 28), JSON.stringify(ticks));
});
test('scalars are found by any words of their names', () => {
  const options = ['loss/train', 'accuracy/val', 'concepts/layer4/d_anchor'].map((label) => ({ value: label, label }));
  equal(searchOptions(options, 'D_anchor 4').map(({ value }) => value), ['concepts/layer4/d_anchor']);
  equal(searchOptions(options, '').length, 3);
});
