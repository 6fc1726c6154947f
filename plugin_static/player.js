// @ts-check
/** Moves the cursor in time: playing, gliding to a step, and the keys that do so. */
import { effect, easeCubicInOut } from './lib.js';
import { isHidden } from './host.js';

/** Steps per second at speed 1; long runs go faster, so that none takes more than 25 seconds. */
const STEPS_PER_SECOND = 4;
const LONGEST_S = 25;

/** @typedef {ReturnType<typeof createPlayer>} Player */

/** @param {import('./store.js').Store} store */
export function createPlayer(store) {
  let frame = 0;
  const last = () => Math.max(0, store.steps.peek().length - 1);
  const pause = () => { store.playing.value = false; };

  /** Glide to a step; at once for readers who want no motion. @param {number} target */
  const glide = (target) => {
    cancelAnimationFrame(frame);
    const to = Math.max(0, Math.min(last(), Math.round(target)));
    const from = store.cursor.peek();
    if (store.reducedMotion.peek() || Math.abs(to - from) < 1e-6) return store.seek(to);
    const duration = Math.min(600, 140 + 100 * Math.abs(to - from));
    const start = performance.now();
    const advance = (/** @type {number} */ now) => {
      const share = Math.max(0, Math.min(1, (now - start) / duration));
      store.seek(from + (to - from) * easeCubicInOut(share));
      if (share < 1) frame = requestAnimationFrame(advance);
      else store.seek(to);
    };
    goal = to;
    frame = requestAnimationFrame(advance);
  };
  let goal = 0;

  /** One step back or on, from where a glide under way will end. @param {number} by */
  const step = (by) => {
    const gliding = Math.abs(store.cursor.peek() - Math.round(store.cursor.peek())) > 1e-6;
    pause();
    glide((gliding ? goal : store.cursor.peek()) + by);
  };
  /** @param {number} index */
  const jump = (index) => { pause(); glide(index); };
  /** Follow the pointer, without animation. @param {number} index */
  const scrub = (index) => { cancelAnimationFrame(frame); pause(); store.seek(index); };
  const toggle = () => {
    if (store.steps.peek().length < 2) return;
    cancelAnimationFrame(frame);
    store.playing.value = !store.playing.peek();
  };

  effect(() => {
    if (!store.playing.value) return undefined;
    if (store.cursor.peek() >= last() - 1e-6) store.seek(0);
    let before = performance.now();
    let exact = store.cursor.peek();
    let id = 0;
    const advance = (/** @type {number} */ now) => {
      // A tab in the background or a slow frame must not make time jump.
      const seconds = isHidden() ? 0 : Math.min(0.1, (now - before) / 1000);
      before = now;
      exact += seconds * store.speed.peek() * Math.max(STEPS_PER_SECOND, last() / LONGEST_S);
      if (exact >= last()) {
        store.seek(last());
        return pause();
      }
      const shown = store.reducedMotion.peek() ? Math.floor(exact) : exact;
      if (shown !== store.cursor.peek()) store.seek(shown);
      id = requestAnimationFrame(advance);
    };
    id = requestAnimationFrame(advance);
    return () => {
      cancelAnimationFrame(id);
      // Stopping rests on a logged step, never between two.
      if (!store.playing.peek()) queueMicrotask(() => { if (!store.playing.peek()) glide(Math.round(store.cursor.peek())); });
    };
  });

  return { glide, step, jump, scrub, toggle };
}

/** Keys that work wherever typing is not meant. @param {Player} player @param {import('./store.js').Store} store */
export function bindKeys(player, store) {
  /** @type {Record<string, () => void>} */
  const keys = {
    ' ': player.toggle,
    ArrowLeft: () => player.step(-1),
    ArrowRight: () => player.step(1),
    PageDown: () => player.step(-10),
    PageUp: () => player.step(10),
    Home: () => player.jump(0),
    End: () => player.jump(store.steps.peek().length - 1),
    Escape: () => { store.selected.value = null; store.concept.value = null; },
    t: () => { if (store.selected.peek() !== null) store.toggleTracked(/** @type {number} */ (store.selected.peek())); },
  };
  document.addEventListener('keydown', (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.closest('select, [role="listbox"], input:not([type="range"])')) return;
    if (event.key === ' ' && target.closest('button, summary, a')) return;
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
