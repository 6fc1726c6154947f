// @ts-check
/** The concept space as the views use it: words, their categories with a colour slot each, and the map's places. */

/** @typedef {{name: string, label: string, slot: number, rank: number}} Category slot: index of its colour; rank: low-level first */
/**
 * @typedef {object} Space
 * @property {string} fingerprint
 * @property {string[]} words
 * @property {Category[]} categories in stacking order, low-level first
 * @property {Uint8Array} categoryOfWord index into `categories`
 * @property {Float32Array} position (words, 2)
 * @property {string[]} anchors
 * @property {Float32Array} anchorPosition (anchors, 2)
 * @property {string} encoder
 * @property {string} encoderFingerprint
 * @property {string} projection
 * @property {string} note
 */

/** The six Broden categories have fixed colours; their order here is the order of colour slots. */
export const KNOWN_CATEGORIES = ['object', 'scene', 'part', 'material', 'texture', 'color'];
/** From pixels to meaning: the order of stacking. */
const LEVELS = ['color', 'texture', 'material', 'part', 'object', 'scene'];
/** Slots 6-9 are for categories of one's own, the last one for all further ones and words without category. */
export const SLOTS = 11;
export const OTHER_SLOT = SLOTS - 1;
/** No more categories than fit into a byte are told apart; a log may have as many as words. */
const MAX_CATEGORIES = 250;

/** @param {import('../container.js').Container} container @returns {Space} */
export function spaceFromContainer({ attrs, arrays }) {
  const told = new Set([...new Set(/** @type {string[]} */ (attrs.categories))].slice(0, MAX_CATEGORIES));
  const names = /** @type {string[]} */ (attrs.categories).map((name) => (told.has(name) ? name : ''));
  const categories = listCategories(names);
  const index = new Map(categories.map((category, i) => [category.name, i]));
  return {
    fingerprint: attrs.fingerprint,
    words: attrs.words,
    categories,
    categoryOfWord: Uint8Array.from(names, (name) => index.get(name) ?? 0),
    position: /** @type {Float32Array} */ (arrays.position.values),
    anchors: attrs.anchors ?? [],
    anchorPosition: /** @type {Float32Array} */ (arrays.anchor_position?.values ?? new Float32Array(0)),
    encoder: attrs.encoder ?? '',
    encoderFingerprint: attrs.encoder_fingerprint ?? '',
    projection: attrs.projection ?? '',
    note: attrs.note ?? '',
  };
}

/**
 * Categories in stacking order with their colour slots.
 * @param {string[]} names category of every word, '' for none
 * @returns {Category[]}
 */
export function listCategories(names) {
  const distinct = [...new Set(names)];
  const own = distinct.filter((name) => name && !KNOWN_CATEGORIES.includes(slug(name)));
  const onlyUncategorised = distinct.length === 1 && distinct[0] === '';
  const free = KNOWN_CATEGORIES.map((_, slot) => slot).filter(
    (slot) => !distinct.some((name) => slug(name) === KNOWN_CATEGORIES[slot]),
  );
  const slots = [6, 7, 8, 9, ...free];
  return distinct
    .map((name) => {
      const known = KNOWN_CATEGORIES.indexOf(slug(name));
      if (known >= 0) return { name, label: name, slot: known, rank: LEVELS.indexOf(slug(name)) };
      if (!name) return { name, label: onlyUncategorised ? 'concept' : 'other', slot: onlyUncategorised ? 0 : OTHER_SLOT, rank: 999 };
      const order = own.indexOf(name);
      return { name, label: name, slot: slots[order] ?? OTHER_SLOT, rank: 10 + order };
    })
    .sort((a, b) => a.rank - b.rank);
}

/** Spelling variants of the known names share a colour. @param {string} name */
function slug(name) {
  const lower = name.toLowerCase().trim();
  return { colour: 'color', colors: 'color', objects: 'object', scenes: 'scene', parts: 'part', materials: 'material', textures: 'texture' }[lower] ?? lower;
}

/** Category of a concept, null for none. @param {Space} space @param {number} concept @returns {Category | null} */
export function categoryOf(space, concept) {
  return concept >= 0 && concept < space.words.length ? space.categories[space.categoryOfWord[concept]] : null;
}

/** @param {Space} space @param {number} concept */
export const wordOf = (space, concept) => space.words[concept] ?? '';
