// @ts-check
/** A value that follows others, but not at every frame while there is much to work out. */
import { effect, signal, untracked } from '../lib.js';

const PAUSE_MS = 100;

/**
 * @template T
 * @param {() => boolean} watch reads what the value depends on; answers whether working it out is much work
 * @param {() => T} workOut
 * @returns {import('../lib.js').Signal<T>}
 */
export function calm(watch, workOut) {
  const value = signal(untracked(workOut));
  let done = 0;
  let timer = 0;
  const now = () => {
    timer = 0;
    value.value = untracked(workOut);
    done = performance.now();
  };
  effect(() => {
    const wait = watch() ? done + PAUSE_MS - performance.now() : 0;
    if (wait > 0) { if (!timer) timer = setTimeout(now, wait); return; }
    clearTimeout(timer);
    untracked(now);
  });
  return value;
}
