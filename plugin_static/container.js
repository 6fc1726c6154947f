// @ts-check
/**
 * Decoder of the binary container that carries arrays, the same one as in event files (docs/event_format.md):
 * a 24-byte prefix, a JSON header, and a body of little-endian arrays at offsets that are multiples of 8.
 */

/** @typedef {Float32Array | Int32Array | Uint16Array | Uint8Array | Int8Array} Values */
/** @typedef {{shape: number[], values: Values}} ArrayEntry */
/**
 * @typedef {object} Container
 * @property {string} kind
 * @property {number} version
 * @property {number} step
 * @property {Record<string, any>} attrs
 * @property {Record<string, ArrayEntry>} arrays half floats come as Float32Array
 */

/** The newest schema version that this tab reads. */
export const SCHEMA_VERSION = 1;
const PREFIX = 24;

/** @type {Record<string, (body: ArrayBuffer, offset: number, length: number) => Values>} */
const READERS = {
  '<f4': (body, offset, length) => new Float32Array(body, offset, length),
  '<i4': (body, offset, length) => new Int32Array(body, offset, length),
  '<u2': (body, offset, length) => new Uint16Array(body, offset, length),
  '|u1': (body, offset, length) => new Uint8Array(body, offset, length),
  '|i1': (body, offset, length) => new Int8Array(body, offset, length),
  '<f2': (body, offset, length) => Float32Array.from(new Uint16Array(body, offset, length), halfToFloat),
};

/**
 * @param {ArrayBuffer} buffer one whole container
 * @returns {Container}
 * @throws {Error} when it is no container, cut short, or of a newer schema
 */
export function decodeContainer(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < PREFIX || view.getUint32(0, false) !== 0x434d4f4e) {
    throw new Error('the answer is not a Concept Monitor container');
  }
  const version = view.getUint16(4, true);
  if (version > SCHEMA_VERSION) {
    throw new Error(`the data has schema version ${version}, this tab reads up to ${SCHEMA_VERSION}: update conceptmon-tb`);
  }
  const headerLength = view.getUint32(16, true);
  const start = PREFIX + headerLength;
  if (start > buffer.byteLength) throw new Error('the answer was cut short');
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, PREFIX, headerLength)));
  // A typed array must start at a multiple of its item size, which only a copy can promise for the body.
  const body = start % 8 === 0 ? buffer : buffer.slice(start);
  const base = start % 8 === 0 ? start : 0;
  /** @type {Record<string, ArrayEntry>} */
  const arrays = {};
  for (const { name, dtype, shape, offset } of header.arrays) {
    const read = READERS[dtype];
    if (!read) throw new Error(`the data has an array of unknown type ${dtype}`);
    const length = shape.reduce((/** @type {number} */ product, /** @type {number} */ size) => product * size, 1);
    arrays[name] = { shape, values: read(body, base + offset, length) };
  }
  return { kind: header.kind, version, step: Number(view.getBigInt64(8, true)), attrs: header.attrs, arrays };
}

/** Value of an IEEE 754 half float. @param {number} bits */
export function halfToFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
