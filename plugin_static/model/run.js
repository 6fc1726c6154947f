// @ts-check
/** What the tab has fetched of one run. */
import { byName } from './text.js';

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
export const emptyRunData = () => ({ spaces: byName(), timeline: byName(), layers: byName(), tags: [], scalars: byName(), alerts: { checked: [], alerts: [] }, tiles: new Map() });

/** A name for a layer of a run that no other can imitate: no folder's name, and so no run's, has a NUL in it. @param {{run: string, layer: string}} shown */
export const keyOf = ({ run, layer }) => `${run}\0${layer}`;

/** The run and the layer that have a key. @param {string} key */
export function namesOf(key) {
  const end = key.indexOf('\0');
  return { run: key.slice(0, end), layer: key.slice(end + 1) };
}
