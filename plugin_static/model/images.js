// @ts-check
/** Where a probe image lies in the atlas pages. */

/** @typedef {{step: number, column: number, row: number, columns: number, rows: number}} Tile */

/** @param {import('../api.js').ImagePage[]} pages @returns {Map<number, Tile>} by image id */
export function locateImages(pages) {
  /** @type {Map<number, Tile>} */
  const tiles = new Map();
  for (const { step, columns, ids } of pages) {
    const rows = Math.ceil(ids.length / columns);
    ids.forEach((id, i) => tiles.set(id, { step, column: i % columns, row: Math.floor(i / columns), columns, rows }));
  }
  return tiles;
}

/** CSS that shows one tile as the background of a square. @param {Tile} tile @param {string} url of its page @param {number} size px */
export function tileStyle(tile, url, size) {
  return [
    `width:${size}px`,
    `height:${size}px`,
    `background-image:url("${encodeURI(decodeURI(url)).replaceAll('"', '%22')}")`,
    `background-size:${tile.columns * size}px ${tile.rows * size}px`,
    `background-position:${-tile.column * size}px ${-tile.row * size}px`,
  ].join(';');
}
