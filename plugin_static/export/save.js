// @ts-check
/** Hands files to the reader: TensorBoard's page lets a frame save what it made itself. */

/** Long enough for the browser to take the file over. */
const KEEP_MS = 60000;

/** @param {Blob} blob @param {string} name */
export function saveBlob(blob, name) {
  const href = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement('a'), { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(href), KEEP_MS);
}

/** @param {string} text @param {string} type @param {string} name */
export const saveText = (text, type, name) => saveBlob(new Blob([text], { type: `${type};charset=utf-8` }), name);

/**
 * Put text on the clipboard, also where the page is not served securely and the browser has no clipboard for it.
 * @param {string} text @returns {Promise<boolean>} whether it is there
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = Object.assign(document.createElement('textarea'), { value: text, readOnly: true, className: 'visually-hidden' });
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    document.body.append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    before?.focus();
    return done;
  }
}
