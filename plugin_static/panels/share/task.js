// @ts-check
/** One thing at a time that is made for the reader to take away, with its progress, its end and a way to stop it. */
import { signal } from '../../lib.js';

/** @typedef {{label: string, title?: string, run: () => void}} Action something to do with what was made */
/** @typedef {{text: string, tone?: 'plain' | 'warn', action?: Action, detail?: string}} Outcome detail: text to be taken by hand */
/** @typedef {{progress: (share: number, text?: string) => Promise<void>, signal: AbortSignal}} Work */
/** @typedef {{text: string, share: number | null, running: boolean, tone: 'plain' | 'warn', action?: Action, detail?: string}} TaskState share: done so far, 0..1 */
/** @typedef {ReturnType<typeof createTask>} Task */

/** A message without a button goes by itself. */
const SHOWN_MS = 9000;

export function createTask() {
  const state = signal(/** @type {TaskState | null} */ (null));
  /** @type {AbortController | null} */
  let current = null;
  let timer = 0;

  const dismiss = () => { clearTimeout(timer); current?.abort(); current = null; state.value = null; };

  /** @param {string} text what is being made @param {(work: Work) => Outcome | Promise<Outcome>} make */
  const run = async (text, make) => {
    dismiss();
    const controller = new AbortController();
    current = controller;
    state.value = { text, share: null, running: true, tone: 'plain' };
    const progress = async (/** @type {number} */ share, /** @type {string} */ told = text) => {
      controller.signal.throwIfAborted();
      state.value = { text: told, share, running: true, tone: 'plain' };
      // Let the page breathe, and the reader cancel.
      await new Promise((resolve) => setTimeout(resolve, 0));
      controller.signal.throwIfAborted();
    };
    /** @type {Outcome} */
    let outcome;
    try {
      outcome = await make({ progress, signal: controller.signal });
    } catch (error) {
      if (controller.signal.aborted) return;
      outcome = { text: error instanceof Error ? error.message : String(error), tone: 'warn' };
    }
    if (controller.signal.aborted) return;
    current = null;
    state.value = { share: null, running: false, tone: 'plain', ...outcome };
    if (!outcome.action && !outcome.detail && outcome.tone !== 'warn') timer = setTimeout(() => { state.value = null; }, SHOWN_MS);
  };

  const cancel = () => {
    const { text } = state.peek() ?? { text: '' };
    dismiss();
    state.value = { text: `${text.replace(/…$/, '')}: cancelled`, share: null, running: false, tone: 'plain' };
    timer = setTimeout(() => { state.value = null; }, SHOWN_MS);
  };
  return { state, run, cancel, dismiss };
}
