// @ts-check
/**
 * The page around us: TensorBoard's message channel, its dark mode, its address bar.
 * TensorBoard ships no library for plugin frames; only the frame's side of the channel is missing, so it is here.
 */
import { wellFormed } from './model/text.js';

const PREFIX = 'p.conceptmon.';
const BOOTSTRAP = 'experimental.bootstrap';

/**
 * Open the message channel. TensorBoard answers every message with `isReply`; it calls us the same way.
 * @param {{onReload: () => void, onRunsChanged: () => void}} listeners
 */
export function connectHost({ onReload, onRunsChanged }) {
  if (window.parent === window) return;
  const { port1: port, port2: remote } = new MessageChannel();
  /** @type {Record<string, () => void>} */
  const handlers = { 'experimental.DataReloaded': onReload, 'experimental.RunsChanged': onRunsChanged };
  port.addEventListener('message', (event) => {
    const message = JSON.parse(event.data);
    if (message.isReply) return;
    handlers[message.type]?.();
    port.postMessage(JSON.stringify({ type: message.type, id: message.id, payload: null, error: null, isReply: true }));
  });
  port.start();
  // To TensorBoard's own page alone: a page of another site that frames us is told nothing.
  window.parent.postMessage(BOOTSTRAP, window.location.origin, [remote]);
}

/** The parent window when it is of our origin, else our own. */
function host() {
  try {
    void window.parent.document.body;
    return window.parent;
  } catch {
    return window;
  }
}

/** Call back now and whenever TensorBoard's dark mode changes. @param {(dark: boolean) => void} callback */
export function watchDarkMode(callback) {
  const body = host().document.body;
  const sync = () => callback(body.classList.contains('dark-mode'));
  new MutationObserver(sync).observe(body, { attributes: true, attributeFilter: ['class'] });
  sync();
}

/** TensorBoard keeps hidden tabs running at height 0. */
export const isHidden = () => window.innerHeight === 0;

/** State kept in the address, such as `{run: 'a', step: '3'}`. @returns {Record<string, string>} */
export const readAddress = () => parseHash(host().location.hash);

/** Address of the page around us: what a link to this view begins with. */
export const hostAddress = () => host().location.href;

/** Keep state in the address without adding to the history. @param {Record<string, string | undefined>} state */
export function writeAddress(state) {
  const parent = host();
  const hash = formatHash(parent.location.hash, state);
  if (hash !== parent.location.hash) parent.history.replaceState(parent.history.state, '', hash);
}

/** @param {string} hash such as `#conceptmon&p.conceptmon.run=a` @returns {Record<string, string>} */
export function parseHash(hash) {
  /** @type {Record<string, string>} */
  const state = {};
  for (const part of hash.replace(/^#/, '').split('&')) {
    const [name, value = ''] = part.split('=');
    if (!name.startsWith(PREFIX)) continue;
    try {
      state[name.slice(PREFIX.length)] = decodeURIComponent(value);
    } catch {
      // A broken escape in a hand-written address: leave that value out.
    }
  }
  return state;
}

/**
 * The hash with our part replaced and everybody else's untouched.
 * @param {string} hash @param {Record<string, string | undefined>} state undefined and '' are left out
 */
export function formatHash(hash, state) {
  const others = hash.replace(/^#/, '').split('&').filter((part) => part && !part.startsWith(PREFIX));
  const ours = Object.entries(state)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${PREFIX}${name}=${encodeURIComponent(wellFormed(/** @type {string} */ (value)))}`);
  return '#' + [...others, ...ours].join('&');
}
