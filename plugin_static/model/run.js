// @ts-check
/** What the tab has fetched of one run. */

/**
 * @typedef {object} RunData What the tab has fetched of one run.
 * @property {Record<string, import('./space.js').Space>} spaces by fingerprint
 * @property {Record<string, import('../api.js').Metrics[]>} timeline by layer
 * @property {Record<string, import('./layer.js').Layer>} layers by name, only those shown
 * @property {string[]} tags scalar tags
 * @property {Record<string, import('../api.js').ScalarPoint[]>} scalars by tag, only those asked for
 * @property {import('../api.js').AlertsAnswer} alerts none checked: the run was logged without them
 * @property {Map<number, import('./images.js').Tile>} tiles by image id
 */

/** @returns {RunData} */
export const emptyRunData = () => ({ spaces: {}, timeline: {}, layers: {}, tags: [], scalars: {}, alerts: { checked: [], alerts: [] }, tiles: new Map() });
