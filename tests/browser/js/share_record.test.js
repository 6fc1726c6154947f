// @ts-check
import { inlineJson } from '/plugin_static/export/animation.js';
import { cutText, moved, wrapText } from '/plugin_static/export/drawing.js';
import { escapeXml, svgText } from '/plugin_static/export/svg.js';
import { webmFile } from '/plugin_static/export/webm.js';
import { chooseSteps, filmFrames, MAX_STEPS, NOTHING, recordLayer, thinned, toText } from '/plugin_static/model/record.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeLayer, makeSpaceAnswer, near, ok, test } from './harness.js';

const bytes = (/** @type {string} */ text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const numbers = (/** @type {string} */ text) => Array.from(new Uint16Array(bytes(text).buffer));
const space = spaceFromContainer(/** @type {any} */ (makeSpaceAnswer(['dog', 'red', 'cat'], ['object', 'color', 'object'])));
const letters = (/** @type {string} */ text) => text.length;

test('all steps of a range are kept while they fit, else as many as fit with both ends', () => {
  equal(chooseSteps(2, 5, 100), [2, 3, 4, 5]);
  equal(chooseSteps(0, 100, 10, 50), [0, 25, 50, 75, 100]);
  equal(chooseSteps(0, 9, 1e9), [0, 9]);
  equal([chooseSteps(3, 3, 10), chooseSteps(0, 5000, 1).length], [[3], MAX_STEPS]);
});
test('a film holds its ends and passes every step', () => {
  const frames = filmFrames(3, 4, 30, 0.5);
  equal([frames[0], frames[15], frames[frames.length - 1]], [0, 0, 2]);
  ok(frames.every((at, i) => i === 0 || at >= frames[i - 1]), 'time runs back');
  near(frames.length / 30, 1.5, 0.1);
});
test('a layer is recorded with places of 16 bits, words that occur, and no place for what is not valid', () => {
  const layer = { ...makeLayer([[0, null], [2, -1]], { steps: [0, 7], positions: [0, 0, NaN, NaN, 10, 20, 5, 10] }), spaces: ['a', 'b'] };
  const coat = (/** @type {number} */ epoch) => ({ kind: Uint8Array.from(epoch ? [2, 1] : [2, 0]), code: Uint8Array.from([epoch, 255]), size: null });
  const record = recordLayer(layer, () => space, { scale: 'slot', colorBy: 'category', range: [0, 1], at: coat }, [0, 7], space.categories);
  equal([record.steps, record.places, record.box, record.spaces], [[0, 7], [0, 7], [0, 10, 0, 20], [0, 1]]);
  equal(numbers(record.positions), [0, 0, NOTHING, NOTHING, NOTHING - 1, NOTHING - 1, 32767, 32767]);
  equal([record.words, numbers(record.labels), Array.from(bytes(record.kinds)), record.codes], [['dog', 'cat'], [0, NOTHING, 1, NOTHING], [2, 0, 2, 1], '']);
  equal(record.groups.map((group) => space.categories[group].name), ['object', 'object']);
});
test('another colouring than by category has its codes with it', () => {
  const coat = () => ({ kind: Uint8Array.of(2), code: Uint8Array.of(77), size: null });
  const record = recordLayer(makeLayer([[0]]), () => space, { scale: 'ramp', colorBy: 'similarity', range: [0, 1], at: coat }, [0], space.categories);
  equal(Array.from(bytes(record.codes)), [77]);
});
test('a layer can be thinned to some of its steps', () => {
  const layer = thinned(makeLayer([[0], [1], [2]], { steps: [0, 5, 9] }), [0, 2]);
  equal([layer.steps, layer.wallTimes, layer.loaded, layer.frames.length, layer.neurons], [[0, 9], [1000, 1540], 2, 2, 1]);
});
test('bytes become text in parts', () => equal(bytes(toText(Uint8Array.from({ length: 70000 }, (_, i) => i % 256)))[69999], 69999 % 256));
test('data inside a page cannot end its script', () => {
  const hostile = '</script><!--<script>&';
  ok(!/[<>&\u2028]/.test(inlineJson({ hostile: `${hostile}\u2028` })), 'a letter got through');
  equal(JSON.parse(inlineJson({ hostile })), { hostile });
});
test('text for XML holds what XML can, and escapes the rest', () => {
  equal(escapeXml('a<b> & "c" \u0000\ud800\u{1f600}'), 'a&#60;b&#62; &#38; &#34;c&#34; \ufffd\ufffd\u{1f600}');
});
test('shapes become SVG that a parser reads', () => {
  const text = svgText({ width: 96, height: 10, title: 'a & b', description: '<', shapes: [
    { type: 'group', clip: { x: 0, y: 0, width: 5, height: 5 }, label: '"', shapes: [{ type: 'circle', x: 1, y: 2, r: 3.14159, fill: '#ff0000', title: '<x>' }] },
    { type: 'text', x: 0, y: 0, text: 'dog', size: 12, fill: '#000000', tail: '12', halo: '#ffffff' },
    { type: 'map', x: 1, y: 2, width: 3, height: 4, svg: () => '<svg xmlns="http://www.w3.org/2000/svg" width="3"><linearGradient id="trail-0-0-0"/><path fill="url(#trail-0-0-0)"/></svg>', canvas: () => document.createElement('canvas') },
  ] }, { unit: 'mm' });
  const parsed = new DOMParser().parseFromString(text, 'image/svg+xml');
  equal(parsed.querySelector('parsererror'), null);
  equal([parsed.documentElement.getAttribute('width'), parsed.querySelector('circle')?.getAttribute('r'), parsed.querySelector('circle title')?.textContent], ['25.4mm', '3.14', '<x>']);
  equal([parsed.querySelector('svg svg')?.getAttribute('x'), parsed.querySelector('linearGradient')?.id, parsed.querySelector('svg svg path')?.getAttribute('fill')], ['1', 'map-1-trail-0-0-0', 'url(#map-1-trail-0-0-0)']);
  equal([...parsed.querySelectorAll('text')].map(({ textContent }) => textContent), ['dog', 'dog12']);
});
test('texts are cut and wrapped to a width, shapes moved with what they clip', () => {
  equal([cutText('abcdef', 4, letters), cutText('abc', 4, letters), wrapText('aa bb cccccc d', 5, letters)], ['abc…', 'abc', ['aa bb', 'cccc…', 'd']]);
  equal(moved([{ type: 'group', clip: { x: 0, y: 0, width: 1, height: 1 }, shapes: [{ type: 'path', d: 'M0,0', fill: 'none' }] }], 3, 4),
    [{ type: 'group', clip: { x: 3, y: 4, width: 1, height: 1 }, shapes: [{ type: 'path', d: 'M0,0', fill: 'none', x: 3, y: 4 }] }]);
});
test('a WebM file has a header, its length, and an index that leads to its clusters', () => {
  const frame = (/** @type {number} */ time, /** @type {boolean} */ key) => ({ data: Uint8Array.of(9, 9, 9), time, key });
  const file = webmFile({ width: 4, height: 2, codec: 'V_VP9', duration: 100, frames: [frame(0, true), frame(33, false), frame(66, true)] });
  equal(Array.from(file.subarray(0, 4)), [0x1a, 0x45, 0xdf, 0xa3]);
  const find = (/** @type {number[]} */ id, from = 0) => { for (let i = from; i < file.length; i++) if (id.every((byte, k) => file[i + k] === byte)) return i; return -1; };
  const segment = find([0x18, 0x53, 0x80, 0x67]);
  const view = new DataView(file.buffer);
  equal(Number(view.getBigUint64(segment + 4) & 0xffffffffffffffn), file.length - segment - 12);
  const cluster = find([0x1f, 0x43, 0xb6, 0x75]);
  const second = find([0x1f, 0x43, 0xb6, 0x75], cluster + 1);
  const cue = find([0xf1, 0x01]);
  const next = find([0xf1, 0x01], cue + 1);
  equal([Number(view.getBigUint64(cue + 9)), Number(view.getBigUint64(next + 9))], [cluster - segment - 12, second - segment - 12]);
});
