// @ts-check
/** Where a probe image lies in the atlas pages. */

/** @typedef {{step: number, column: number, row: number, columns: number, rows: number}} Tile */

/** No image has this number; it stands for a page that is in the log and cannot be shown. */
const REFUSED = -1;

/** Whether some page of the log cannot be shown: what is missing may have been on it. @param {Map<number, Tile>} tiles */
export const hasRefused = (tiles) => tiles.has(REFUSED);

/** @param {import('../api.js').ImagePage[]} pages @param {{step: number}[]} [skipped] pages that cannot be shown @returns {Map<number, Tile>} by image id */
export function locateImages(pages, skipped = []) {
  /** @type {Map<number, Tile>} */
  const tiles = new Map(skipped.slice(0, 1).map(({ step }) => [REFUSED, { step, column: 0, row: 0, columns: 1, rows: 1 }]));
  for (const { step, columns, ids } of pages) {
    const rows = Math.ceil(ids.length / columns);
    ids.forEach((id, i) => tiles.set(id, { step, column: i % columns, row: Math.floor(i / columns), columns, rows }));
  }
  return tiles;
}

/** An address as it may stand between quotes in CSS; what is encoded in it stays as it is. @param {string} url */
const quotable = (url) => url.replace(/["\\\n\r\f]/g, encodeURIComponent);

/** CSS that shows one tile as the background of a square. @param {Tile} tile @param {string} url of its page @param {number} size px */
export function tileStyle(tile, url, size) {
  return [
    `width:${size}px`,
    `height:${size}px`,
    `background-image:url("${quotable(url)}")`,
    `background-size:${tile.columns * size}px ${tile.rows * size}px`,
    `background-position:${-tile.column * size}px ${-tile.row * size}px`,
  ].join(';');
}

/**
 * CSS that fills an element of any size with one tile.
 * @param {Tile} tile @param {string} url of its page
 */
export function tileFill(tile, url) {
  const share = (/** @type {number} */ place, /** @type {number} */ count) => (count > 1 ? (100 * place) / (count - 1) : 0);
  return [
    `background-image:url("${quotable(url)}")`,
    `background-size:${100 * tile.columns}% ${100 * tile.rows}%`,
    `background-position:${share(tile.column, tile.columns)}% ${share(tile.row, tile.rows)}%`,
  ].join(';');
}

/** @typedef {[number, number, number, number]} Patch left, top, right, bottom in 1/255 of the image */

/** CSS that lays a box over the patch of an image. @param {Patch} patch */
export function patchStyle([left, top, right, bottom]) {
  const percent = (/** @type {number} */ value) => `${((100 * value) / 255).toFixed(2)}%`;
  return `left:${percent(left)};top:${percent(top)};width:${percent(right - left)};height:${percent(bottom - top)}`;
}

/** A patch as it is logged: all zeros, or no area, is not known. @param {ArrayLike<number> | null | undefined} box @returns {Patch | null} */
export function toPatch(box) {
  if (!box || box.length < 4 || !(box[2] > box[0]) || !(box[3] > box[1])) return null;
  return [box[0], box[1], box[2], box[3]];
}
