// @ts-check
/** The map by keyboard: Alt and an arrow lead to the next neuron in that direction, Enter opens its card. */
import { conceptOf, isInterpretable, placeOf } from '../model/layer.js';
import { neuronTowards } from '../model/select.js';
import { wordOf } from '../model/space.js';
import { readable } from '../model/text.js';
import { keyOf } from '../source.js';

/** @type {Record<string, [number, number]>} map units, y upwards */
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
/** Distance to the edge within which the map moves along. */
const EDGE_PX = 48;

/** @param {import('./pointer.js').Pointed & {pixelOf: (ref: import('../source.js').NeuronRef) => [number, number] | null}} map @param {import('../store.js').Store} store */
export function bindKeys(map, store) {
  const { overlay, host } = map;
  overlay.setAttribute('tabindex', '0');
  overlay.setAttribute('role', 'application');
  overlay.setAttribute('aria-roledescription', 'map');
  const told = document.createElement('p');
  told.className = 'visually-hidden';
  told.setAttribute('role', 'status');
  host.append(told);

  const here = () => {
    const ref = [store.hovered.peek(), store.focus.peek()].find((one) => one && map.sheets.peek().some(({ layer }) => layer.run === one.run && layer.name === one.layer));
    return ref ?? null;
  };
  /** @param {[number, number]} direction */
  const move = (direction) => {
    const ref = here();
    const sheets = map.sheets.peek();
    const own = ref && sheets.find(({ layer }) => layer.run === ref.run && layer.name === ref.layer);
    const { scale, x, y } = map.transform.peek();
    const { width, height } = map.size.peek();
    // With no neuron to start from: the one nearest to the middle.
    const from = own && ref ? placeOf(own.layer, ref.neuron, own.cursor) : /** @type {[number, number]} */ ([(width / 2 - x) / scale, (y - height / 2) / scale]);
    const found = sheets.flatMap((sheet) => {
      const next = neuronTowards(sheet.layer, sheet.cursor, from, ref ? direction : [0, 0], map.isDrawn(sheet), sheet === own && ref ? ref.neuron : -1);
      return next ? [{ sheet, ...next }] : [];
    }).sort((a, b) => a.cost - b.cost)[0];
    if (!found) { told.textContent = 'No neuron in this direction'; return; }
    const next = { run: found.sheet.layer.run, layer: found.sheet.layer.name, neuron: found.neuron };
    store.hovered.value = next;
    bringIntoView(next);
    const source = store.sourceOf(keyOf(next));
    const epoch = source?.epoch.peek() ?? 0;
    const space = source?.space.peek();
    const named = space && isInterpretable(found.sheet.layer, epoch, next.neuron);
    told.textContent = `neuron ${next.neuron}: ${named ? readable(wordOf(space, conceptOf(found.sheet.layer, epoch, next.neuron))) : 'no clear concept'}`;
  };
  /** @param {import('../source.js').NeuronRef} ref */
  const bringIntoView = (ref) => {
    const pixel = map.pixelOf(ref);
    const { width, height } = map.size.peek();
    if (!pixel || !pixel.every(Number.isFinite)) return;
    const shift = (/** @type {number} */ at, /** @type {number} */ end) => (at < EDGE_PX ? EDGE_PX - at : at > end - EDGE_PX ? end - EDGE_PX - at : 0);
    const [dx, dy] = [shift(pixel[0], width), shift(pixel[1], height)];
    const view = store.view.peek();
    if (dx || dy) store.view.value = { k: view.k, x: view.x + dx, y: view.y + dy };
  };

  overlay.addEventListener('keydown', (event) => {
    const direction = DIRECTIONS[event.key];
    if (event.altKey && direction) move(direction);
    else if (event.key === 'Enter' && here()) {
      const ref = /** @type {import('../source.js').NeuronRef} */ (here());
      if (event.shiftKey) store.toggleTracked(ref);
      else store.focus.value = ref;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  overlay.addEventListener('blur', () => { store.hovered.value = null; });
}
