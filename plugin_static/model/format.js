// @ts-check
/** Numbers and names as text for people. */

/** About three significant digits: 0.123, 1.23, 12.3, 123, 12.3k; "–" when there is none. @param {number | null | undefined} value */
export function formatNumber(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1e6) return `${trim((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${trim((value / 1e3).toPrecision(3))}k`;
  if (size >= 100 || Number.isInteger(value)) return String(Math.round(value));
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  if (size >= 0.001) return value.toFixed(3);
  return value === 0 ? '0' : value.toExponential(1);
}

/** @param {string} digits */
const trim = (digits) => (digits.includes('.') && !digits.includes('e') ? digits.replace(/\.?0+$/, '') : digits);

/** A step or count, with thin spaces between thousands. @param {number} value */
export function formatCount(value) {
  if (!Number.isFinite(value)) return '–';
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, '\u2009').replace('-', '\u2212');
}

/** @param {number} count @param {string} noun @param {string} [plural] */
export const counted = (count, noun, plural = `${noun}s`) => `${formatCount(count)} ${count === 1 ? noun : plural}`;

/** A share such as 0.01 as "1%". @param {number} share */
export const formatShare = (share) => `${Number((share * 100).toPrecision(2))}%`;

/** A long name shortened in the middle, where names differ least. @param {string} name @param {number} length */
export function shorten(name, length) {
  const letters = [...name];
  if (letters.length <= length) return name;
  const head = Math.ceil((length - 1) / 2);
  return `${letters.slice(0, head).join('')}…${letters.slice(letters.length - (length - 1 - head)).join('')}`;
}
