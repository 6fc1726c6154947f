// @ts-check
/** Moves the cursor in time: playing, gliding to a step, and the keys that do so. */
import { effect, easeCubicInOut } from './lib.js';
import { isHidden } from './host.js';
import { nearestIndex } from './model/steps.js';

/** Steps per second at speed 1; long runs go faster, so that none takes more than 25 seconds. */
const STEPS_PER_SECOND = 4;
const LONGEST_S = 25;
/** The keys 1 to 9 choose among these. */
export const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8];

/** Logged steps per second. @param {number} speed @param {number} last index */
export const stepsPerSecond = (speed, last) => speed * Math.max(STEPS_PER_SECOND, last / LONGEST_S);

/** @typedef {ReturnType<typeof createPlayer>} Player */

/** @param {import('./store.js').Store} store */
export function createPlayer(store) {
  let frame = 0;
  const last = () => Math.max(0, store.steps.peek().length - 1);
  /** Between which indices the player stays: the reader's range, as far as it has steps. */
  const bounds = () => {
    const range = store.range.peek();
    if (!range) return [0, last()];
    const [from, to] = range.map((step) => nearestIndex(store.steps.peek(), step));
    return from < to ? [from, to] : [0, last()];
  };
  const pause = () => { store.playing.value = false; };
  /** Whether steps follow each other without motion between them. */
  const isStill = () => store.reducedMotion.peek() || !store.animate.peek();

  /** Glide to a step; at once for readers who want no motion. @param {number} target */
  const glide = (target) => {
    cancelAnimationFrame(frame);
    const to = Math.max(0, Math.min(last(), Math.round(target)));
    const from = store.cursor.peek();
    if (isStill() || Math.abs(to - from) < 1e-6) return store.seek(to);
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
    const [start, end] = bounds();
    if (store.cursor.peek() >= end - 1e-6 || store.cursor.peek() < start) store.seek(start);
    let before = performance.now();
    let exact = store.cursor.peek();
    let id = 0;
    const advance = (/** @type {number} */ now) => {
      // A tab in the background or a slow frame must not make time jump.
      const seconds = isHidden() ? 0 : Math.min(0.1, (now - before) / 1000);
      before = now;
      exact += seconds * stepsPerSecond(store.speed.peek(), last());
      const [from, to] = bounds();
      if (exact >= to) {
        if (!store.loop.peek()) { store.seek(to); return pause(); }
        exact = from;
      }
      const shown = isStill() ? Math.floor(exact) : exact;
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

  return { glide, step, jump, scrub, toggle, bounds };
}

/** Keys that work wherever typing is not meant. @param {Player} player @param {import('./store.js').Store} store @param {() => void} undo */
export function bindKeys(player, store, undo) {
  /** @type {Record<string, () => void>} */
  const keys = {
    ' ': player.toggle,
    ArrowLeft: () => player.step(-1),
    ArrowRight: () => player.step(1),
    PageDown: () => player.step(-10),
    PageUp: () => player.step(10),
    Home: () => player.jump(player.bounds()[0]),
    End: () => player.jump(player.bounds()[1]),
    l: () => { store.loop.value = !store.loop.peek(); },
    Escape: () => { if (store.selection.peek().size) store.clearSelection(); else { store.focus.value = null; store.concept.value = null; } },
    t: () => { const focus = store.focus.peek(); if (focus) store.toggleTracked(focus); },
    p: () => { const focus = store.focus.peek(); if (focus) store.togglePinned(focus); },
    ...Object.fromEntries(SPEEDS.map((speed, i) => [String(i + 1), () => { store.speed.value = speed; }])),
  };
  document.addEventListener('keydown', (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.defaultPrevented || event.altKey) return;
    if (target.closest('select, textarea, [role="listbox"], input:not([type="range"], [type="checkbox"], [type="radio"])')) return;
    if ((event.ctrlKey || event.metaKey) && event.key === 'z') { event.preventDefault(); undo(); return; }
    if (event.ctrlKey || event.metaKey) return;
    // A slider of another thing than time moves with the arrows itself.
    if (target.closest('[data-own-keys]')) return;
    if (event.key === ' ' && target.closest('button, summary, a')) return;
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
