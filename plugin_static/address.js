// @ts-check
/**
 * The view in the address: every part of the state that a view wants to survive a reload, or to be shared as a
 * link, is kept under a name of its own. The same record makes undo possible: going back is restoring an earlier one.
 */
import { effect, signal } from './lib.js';
import { readAddress, writeAddress } from './host.js';

/** @typedef {ReturnType<typeof createAddress>} Address */
/**
 * @template T
 * @typedef {object} Spelling how a value is written in the address
 * @property {(value: T) => string | undefined} write undefined: the usual value, left out
 * @property {(text: string) => T} read may throw: then the value is left as it was
 * @property {boolean} [undoable] whether undo brings it back (not for what changes by itself, such as the step)
 */

const SETTLE_MS = 300;
const MAX_UNDO = 100;

/** Spellings of common values. */
export const text = (/** @type {string} */ usual = '') => ({ write: (/** @type {string} */ value) => (value === usual ? undefined : value), read: (/** @type {string} */ written) => written });
export const flag = (/** @type {boolean} */ usual) => ({ write: (/** @type {boolean} */ value) => (value === usual ? undefined : value ? '1' : '0'), read: (/** @type {string} */ written) => written === '1' });
/** @template {string} T @param {readonly T[]} choices the first is the usual one @returns {Spelling<T>} */
export const oneOf = (choices) => ({
  write: (value) => (value === choices[0] ? undefined : value),
  read: (written) => { if (!choices.includes(/** @type {T} */ (written))) throw new RangeError(written); return /** @type {T} */ (written); },
});
/** Any value as JSON. @template T @param {(value: T) => boolean} isUsual @param {(value: unknown) => value is T} isValid @returns {Spelling<T>} */
export const json = (isUsual, isValid) => ({
  write: (value) => (isUsual(value) ? undefined : JSON.stringify(value)),
  read: (written) => { const value = JSON.parse(written); if (!isValid(value)) throw new TypeError(written); return value; },
});

export function createAddress() {
  const wanted = readAddress();
  /** @type {Map<string, {now: () => string | undefined, set: (written: string | undefined) => void, undoable: boolean}>} */
  const kept = new Map();
  /** @type {Record<string, string | undefined>} */
  let state = { ...wanted };
  /** @type {Record<string, string | undefined>[]} */
  const past = [];
  const canUndo = signal(false);
  const started = signal(false);
  let timer = 0;
  let restoring = false;

  const settle = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!started.peek()) return;
      const next = { ...state, ...Object.fromEntries([...kept].map(([name, { now }]) => [name, now()])) };
      const differs = [...kept].some(([name, { undoable }]) => undoable && next[name] !== state[name]);
      if (differs && !restoring) {
        past.push(state);
        if (past.length > MAX_UNDO) past.shift();
        canUndo.value = true;
      }
      restoring = false;
      state = next;
      writeAddress(state);
    }, SETTLE_MS);
  };

  /**
   * Keep a signal in the address, and take from there what a link asks for.
   * @template T @param {string} name @param {import('./lib.js').Signal<T>} value @param {Spelling<T>} spelling
   */
  const keep = (name, value, { write, read, undoable = true }) => {
    const usual = value.peek();
    const set = (/** @type {string | undefined} */ written) => {
      try {
        value.value = written === undefined ? usual : read(written);
      } catch {
        // A value written by hand or by another version: the usual one stays.
      }
    };
    if (wanted[name] !== undefined) set(wanted[name]);
    kept.set(name, { now: () => write(value.peek()), set, undoable });
    effect(() => { void value.value; settle(); });
  };

  const undo = () => {
    const before = past.pop();
    canUndo.value = past.length > 0;
    if (!before) return;
    restoring = true;
    for (const [name, { set, undoable, now }] of kept) if (undoable && before[name] !== now()) set(before[name]);
    settle();
  };

  /** The whole state as it is spelt in the address, now: the address itself follows a moment later. @returns {Record<string, string | undefined>} */
  const now = () => ({ ...state, ...Object.fromEntries([...kept].map(([name, { now: written }]) => [name, written()])) });

  /** From now on what changes is written: what a link asks for has been restored. */
  const start = () => { started.value = true; settle(); };
  return { wanted, keep, undo, canUndo, start, now };
}
