// @ts-check
/** Encoded frames as a WebM file (elements as in Matroska's specification, RFC 9559): one video track, with its duration and an index, so that players can seek. */

/** @typedef {{data: Uint8Array, time: number, key: boolean}} Frame time in ms */
/** @typedef {Uint8Array | Element[]} Content */
/** @typedef {{id: number, content: Content}} Element */

const ID = {
  EBML: 0x1a45dfa3, VERSION: 0x4286, READ_VERSION: 0x42f7, MAX_ID: 0x42f2, MAX_SIZE: 0x42f3, DOC_TYPE: 0x4282, DOC_VERSION: 0x4287, DOC_READ_VERSION: 0x4285,
  SEGMENT: 0x18538067, INFO: 0x1549a966, SCALE: 0x2ad7b1, DURATION: 0x4489, MUXER: 0x4d80, WRITER: 0x5741,
  TRACKS: 0x1654ae6b, TRACK: 0xae, NUMBER: 0xd7, UID: 0x73c5, TYPE: 0x83, LACING: 0x9c, CODEC: 0x86, VIDEO: 0xe0, WIDTH: 0xb0, HEIGHT: 0xba,
  CUES: 0x1c53bb6b, CUE: 0xbb, CUE_TIME: 0xb3, CUE_PLACE: 0xb7, CUE_TRACK: 0xf7, CUE_CLUSTER: 0xf1, CLUSTER: 0x1f43b675, TIMESTAMP: 0xe7, BLOCK: 0xa3,
};
const NS_PER_MS = 1e6;

/**
 * @param {{width: number, height: number, codec: 'V_VP8' | 'V_VP9', duration: number, frames: Frame[]}} film duration in ms; the first frame is a key frame
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function webmFile({ width, height, codec, duration, frames }) {
  const head = bytesOf({ id: ID.EBML, content: [
    whole(ID.VERSION, 1), whole(ID.READ_VERSION, 1), whole(ID.MAX_ID, 4), whole(ID.MAX_SIZE, 8), text(ID.DOC_TYPE, 'webm'), whole(ID.DOC_VERSION, 4), whole(ID.DOC_READ_VERSION, 2),
  ] });
  const info = bytesOf({ id: ID.INFO, content: [whole(ID.SCALE, NS_PER_MS), float(ID.DURATION, duration), text(ID.MUXER, 'Concept Monitor'), text(ID.WRITER, 'Concept Monitor')] });
  const tracks = bytesOf({ id: ID.TRACKS, content: [{ id: ID.TRACK, content: [
    whole(ID.NUMBER, 1), whole(ID.UID, 1), whole(ID.TYPE, 1), whole(ID.LACING, 0), text(ID.CODEC, codec), { id: ID.VIDEO, content: [whole(ID.WIDTH, width), whole(ID.HEIGHT, height)] },
  ] }] });
  const groups = groupByKey(frames);
  const clusters = groups.map((group) => bytesOf({ id: ID.CLUSTER, content: [whole(ID.TIMESTAMP, group[0].time), ...group.map((frame) => block(frame, group[0].time))] }));
  // Its numbers have a fixed width, so that it is as long as it will be.
  const before = info.length + tracks.length + index(groups, clusters, 0).length;
  const inside = [info, tracks, index(groups, clusters, before), ...clusters];
  return joined([head, numberBytes(ID.SEGMENT), sizeBytes(total(inside)), ...inside]);
}

/** Frames from one key frame to the next. @param {Frame[]} frames */
function groupByKey(frames) {
  /** @type {Frame[][]} */
  const groups = [];
  for (const frame of frames) {
    if (frame.key || !groups.length) groups.push([]);
    groups[groups.length - 1].push(frame);
  }
  return groups;
}

/** Where each group begins. @param {Frame[][]} groups @param {Uint8Array[]} clusters @param {number} start of the first, bytes */
function index(groups, clusters, start) {
  let place = start;
  return bytesOf({ id: ID.CUES, content: groups.map((group, i) => {
    const cue = { id: ID.CUE, content: [whole(ID.CUE_TIME, group[0].time), { id: ID.CUE_PLACE, content: [whole(ID.CUE_TRACK, 1), whole(ID.CUE_CLUSTER, place)] }] };
    place += clusters[i].length;
    return cue;
  }) });
}

/** @param {Frame} frame @param {number} start of its cluster, ms @returns {Element} */
function block({ data, time, key }, start) {
  const relative = Math.round(time - start);
  return { id: ID.BLOCK, content: joined([Uint8Array.of(0x81, (relative >> 8) & 255, relative & 255, key ? 0x80 : 0), data]) };
}

/** @param {number} id @param {number} value @returns {Element} */
function whole(id, value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Math.round(value)));
  return { id, content: bytes };
}
/** @param {number} id @param {number} value @returns {Element} */
function float(id, value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return { id, content: bytes };
}
/** @param {number} id @param {string} value ASCII @returns {Element} */
const text = (id, value) => ({ id, content: new TextEncoder().encode(value) });

/** @param {Element} element @returns {Uint8Array} */
function bytesOf({ id, content }) {
  const inside = content instanceof Uint8Array ? [content] : content.map(bytesOf);
  return joined([numberBytes(id), sizeBytes(total(inside)), ...inside]);
}
/** An id as it is, without leading zeros. @param {number} id */
const numberBytes = (id) => Uint8Array.from([24, 16, 8, 0].map((shift) => (id >>> shift) & 255).filter((byte, i, all) => all.slice(0, i + 1).some(Boolean)));
/** A length in eight bytes, the first of which says so. @param {number} size */
function sizeBytes(size) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size));
  bytes[0] = 0x01;
  return bytes;
}
/** @param {Uint8Array[]} parts */
const total = (parts) => parts.reduce((sum, { length }) => sum + length, 0);
/** @param {Uint8Array[]} parts @returns {Uint8Array<ArrayBuffer>} */
function joined(parts) {
  const bytes = new Uint8Array(total(parts));
  let at = 0;
  for (const part of parts) { bytes.set(part, at); at += part.length; }
  return bytes;
}
