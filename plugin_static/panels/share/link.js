// @ts-check
/** The link to the view: made of the address around us and of what is kept of the state. */
import { formatHash } from '../../host.js';

/** Chat and mail programs cut longer links; the address bar itself takes more. */
export const MAX_LINK = 8000;
/** What a link may lose when it is too long, and how the loss is told. @type {Record<string, string>} */
const LOSABLE = { selection: 'the selection', pinned: 'the pinned neurons', tracked: 'the tracked neurons', trackedToo: 'the tracked neurons of the layers compared with', anchors: 'the edited anchors', hidden: 'the hidden categories', charts: 'the choice of charts' };

/**
 * @param {string} href address of the page around us @param {Record<string, string | undefined>} state as it is spelt in the address
 * @param {number} [most] letters
 * @returns {{link: string, dropped: string[]}} what had to be left out, as words for people
 */
export function makeLink(href, state, most = MAX_LINK) {
  const url = new URL(href);
  const spell = (/** @type {Record<string, string | undefined>} */ kept) => { url.hash = formatHash(url.hash, kept); return url.href; };
  const kept = { ...state };
  /** @type {string[]} */
  const dropped = [];
  let link = spell(kept);
  while (link.length > most) {
    const sizes = Object.keys(LOSABLE).map((name) => ({ name, size: encodeURIComponent(kept[name] ?? '').length })).sort((a, b) => b.size - a.size);
    if (!sizes[0].size) break;
    delete kept[sizes[0].name];
    dropped.push(LOSABLE[sizes[0].name]);
    link = spell(kept);
  }
  return { link, dropped };
}
