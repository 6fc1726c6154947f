// @ts-check
import { decodeContainer, halfToFloat } from '/plugin_static/container.js';
import { equal, near, test, throws } from './harness.js';

/** The format written out byte by byte, as docs/event_format.md says. */
function encode({ magic = 'CMON', version = 1, step = 7, cut = 0 } = {}) {
  let header = JSON.stringify({ kind: 'layer', attrs: { layer: 'é' }, arrays: [
    { name: 'f', dtype: '<f4', shape: [2, 1], offset: 0 }, { name: 'h', dtype: '<f2', shape: [2], offset: 8 }, { name: 'b', dtype: '|u1', shape: [3], offset: 16 }] });
  let bytes = new TextEncoder().encode(header);
  while ((24 + bytes.length) % 8) { header += ' '; bytes = new TextEncoder().encode(header); }
  const buffer = new ArrayBuffer(24 + bytes.length + 24);
  const view = new DataView(buffer);
  [...magic].forEach((letter, i) => view.setUint8(i, letter.charCodeAt(0)));
  view.setUint16(4, version, true);
  view.setBigInt64(8, BigInt(step), true);
  view.setUint32(16, bytes.length, true);
  new Uint8Array(buffer, 24).set(bytes);
  const body = 24 + bytes.length;
  view.setFloat32(body, 1.5, true);
  view.setFloat32(body + 4, NaN, true);
  view.setUint16(body + 8, 0x3c00, true);
  view.setUint16(body + 10, 0xc000, true);
  [1, 2, 255].forEach((value, i) => view.setUint8(body + 16 + i, value));
  return buffer.slice(0, buffer.byteLength - cut);
}

test('arrays, attributes and a negative step come back', () => {
  const { kind, step, attrs, arrays } = decodeContainer(encode({ step: -1 }));
  equal([kind, step, attrs.layer], ['layer', -1, 'é']);
  equal(arrays.f, { shape: [2, 1], values: [1.5, NaN] });
  equal(arrays.h.values, [1, -2]);
  equal(arrays.b.values, [1, 2, 255]);
});
test('half floats keep subnormals, infinities and NaN', () => {
  near(halfToFloat(1), 2 ** -24, 1e-12);
  equal([halfToFloat(0x7c00), halfToFloat(0xfc00), halfToFloat(0x7e00)], [Infinity, -Infinity, NaN]);
});
test('a newer schema says what to do', () => throws(() => decodeContainer(encode({ version: 2 })), /schema version 2.*update/));
test('anything else is refused', () => throws(() => decodeContainer(encode({ magic: 'HTML' })), /not a Concept Monitor container/));
test('a cut answer is refused', () => throws(() => decodeContainer(encode().slice(0, 60)), /cut short/));
