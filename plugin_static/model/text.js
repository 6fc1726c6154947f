// @ts-check
/**
 * Text of a log made fit to be shown. A log is written by anybody: its words may hold letters that nobody sees,
 * halves of letters, and marks that turn the order of the text around them.
 */

/** What one cannot see, what is half a letter, and marks of direction, which reach beyond the text they are in. */
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff\p{Cs}]/gu;
/** Letters of scripts that run from right to left: digits and commas beside them change sides. */
const LEFTWARDS = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
/** Text that needs no second look. */
const PLAIN = /^[\n\t\r\x20-\x7e]*$/;

/**
 * The text as it may stand beside other text: what is hidden is shown as �, and text that runs from right to left
 * is kept apart from what stands around it. To be called once, where the text is shown.
 * @param {string} text @returns {string}
 */
export function readable(text) {
  if (PLAIN.test(text)) return text;
  const seen = text.replace(HIDDEN, '\ufffd');
  return LEFTWARDS.test(seen) ? `\u2068${seen}\u2069` : seen;
}

/** Text whose letters are all whole: only such can be part of an address. @param {string} text */
export const wellFormed = (text) => text.replace(/\p{Cs}/gu, '\ufffd');

/** Text for XML and HTML: readable, and with its marks escaped. @param {string} text */
export const escapeXml = (text) => readable(text).replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);

/**
 * A record by names of a log, which may be "constructor" or "__proto__": nothing is found in it that was not put there.
 * @template T @param {Record<string, T>} [entries] @param {Record<string, T>} [more] @returns {Record<string, T>}
 */
export const byName = (entries = {}, more = {}) => Object.assign(Object.create(null), entries, more);
