// @ts-check
/** The maps in the well: one for each source side by side, or all on one; they share the camera. */
import { computed, effect, untracked } from '../lib.js';
import { MAX_COMPARED } from '../store.js';
import { ownCamera } from './camera.js';
import { mountMap } from './view.js';

const LEAST_ZOOM = 0.6;
const MOST_ZOOM = 60;

/** @typedef {ReturnType<typeof mountMaps>} Maps */

/**
 * @param {HTMLElement} host @param {import('../store.js').Store} store @param {import('../lib.js').Signal<import('../theme.js').Palette>} palette
 */
export function mountMaps(host, store, palette) {
  const list = Array.from({ length: MAX_COMPARED + 1 }, (_, place) => {
    const element = document.createElement('div');
    element.className = 'map';
    element.id = place === 0 ? 'map' : `map-${place + 1}`;
    const name = document.createElement('header');
    name.className = 'map-name';
    const frame = document.createElement('div');
    frame.className = 'map-frame';
    frame.append(element, name);
    host.append(frame);
    const shown = computed(() => {
      const all = store.sources.value;
      if (store.layout.value === 'overlay') return place === 0 ? all : [];
      return all.slice(place, place + 1);
    });
    effect(() => { frame.hidden = shown.value.length === 0 && place > 0; });
    const camera = ownCamera(store, () => shown.value[0]);
    return { frame, name, camera, ...mountMap(element, camera.store, palette, () => shown.value, place === 0) };
  });
  effect(() => { host.dataset.maps = String(store.layout.value === 'overlay' ? 1 : Math.max(1, store.sources.value.length)); });

  tellApart(store);

  const zoomAround = (/** @type {number} */ factor, /** @type {number} */ x, /** @type {number} */ y) => {
    const view = store.view.peek();
    const k = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, view.k * factor));
    store.view.value = { k, x: x - ((x - view.x) * k) / view.k, y: y - ((y - view.y) * k) / view.k };
  };
  const [first] = list;
  return {
    list,
    /** The map that shows a neuron, with its pixel there. @param {import('../source.js').NeuronRef} ref */
    find: (ref) => list.flatMap((map) => { const pixel = map.frame.hidden ? null : map.pixelOf(ref); return pixel ? [{ map, pixel }] : []; })[0] ?? null,
    /** @param {number} factor */
    zoomBy: (factor) => zoomAround(factor, first.size.peek().width / 2, first.size.peek().height / 2),
    fit: () => { store.view.value = { k: 1, x: 0, y: 0 }; for (const { camera } of list) camera.reset(); },
    /** What is in the middle, in map units, and how near; null for the whole map. */
    camera: computed(() => {
      const { k, x, y } = store.view.value;
      if (k === 1 && x === 0 && y === 0) return null;
      const { width, height } = first.size.value;
      const { scale, x: fitX, y: fitY } = first.fit.value;
      return { k, x: ((width / 2 - x) / k - fitX) / scale, y: (fitY - (height / 2 - y) / k) / scale };
    }),
    /** Bring a place into view. @param {number} mapX @param {number} mapY @param {number} [zoom] by default near enough to read words */
    centreOn: (mapX, mapY, zoom = Math.max(1.6, store.view.peek().k)) => {
      const { width, height } = first.size.peek();
      const fit = first.fit.peek();
      const k = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, zoom));
      store.view.value = { k, x: width / 2 - k * (fit.x + fit.scale * mapX), y: height / 2 - k * (fit.y - fit.scale * mapY) };
    },
  };
}

/** Where runs or layers are laid over each other, colour tells them apart, unless the reader wants it otherwise. @param {import('../store.js').Store} store */
function tellApart(store) {
  let before = isOverlaid(store);
  effect(() => {
    const now = isOverlaid(store);
    if (now === before) return;
    before = now;
    untracked(() => {
      const { colorBy, primary, compared } = store;
      const own = compared.peek().every(({ run }) => run === primary.peek()) ? 'layer' : 'run';
      if (now && colorBy.peek() === 'category') colorBy.value = own;
      else if (!now && (colorBy.peek() === 'run' || colorBy.peek() === 'layer')) colorBy.value = 'category';
    });
  });
}

/** @param {import('../store.js').Store} store */
const isOverlaid = (store) => store.layout.value === 'overlay' && store.compared.value.length > 0;
