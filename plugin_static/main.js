// @ts-check
/** Puts the tab together: state, data, views. */
import { createApi } from './api.js';
import { mountCharts } from './charts/column.js';
import { connectHost, readAddress, watchDarkMode, writeAddress } from './host.js';
import { computed, effect, html, render } from './lib.js';
import { startLoader } from './loader.js';
import { mountHoverCard } from './map/hovercard.js';
import { mountMap } from './map/view.js';
import { indexOfStep, nearestIndex } from './model/steps.js';
import { mountEmpty } from './panels/empty.js';
import { mountInspector } from './panels/inspector.js';
import { mountCaption, mountComparedCaption, mountLegend, mountTools } from './panels/mapframe.js';
import { mountTimeline } from './panels/timeline.js';
import { mountTopBar } from './panels/topbar.js';
import { bindKeys, createPlayer } from './player.js';
import { createStore } from './store.js';
import { createPalette } from './theme.js';

const PAGE = html`
  <main class="app" aria-label="Concept Monitor">
    <nav id="top" aria-label="What is shown"></nav>
    <section id="well" aria-label="Concept map"><div id="maps"><div class="map" id="map"></div><div class="map" id="map-compared" hidden></div></div>
      <header id="caption"></header><div id="compared-name"></div><div id="legend" role="group" aria-label="Categories"></div>
      <div id="tools" role="toolbar" aria-label="Map tools" aria-orientation="vertical"></div><div id="card" hidden></div></section>
    <aside id="column"><div id="charts"></div><div id="inspector"></div></aside>
    <footer id="timeline" aria-label="Time line"></footer>
  </main>
  <div id="empty" hidden></div>
  <div id="loading" role="status"><span>Reading the log directory…</span></div>`;

/** @param {HTMLElement} body of the frame */
export async function start(body) {
  document.documentElement.lang = 'en';
  document.title = 'Concept Monitor';
  await addStylesheet(new URL('./style.css', import.meta.url).href);
  const store = createStore();
  watchDarkMode((dark) => { store.theme.value = dark ? 'dark' : 'light'; });
  const palette = createPalette(store);
  render(PAGE, body);

  const api = createApi(new URL('../', import.meta.url).href);
  const wanted = readAddress();
  const player = createPlayer(store);
  bindKeys(player, store);
  const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

  const maps = mountMaps(store, palette, element);
  mountTopBar(element('top'), store, maps);
  mountCaption(element('caption'), store);
  mountComparedCaption(element('compared-name'), store);
  mountLegend(element('legend'), store);
  mountTools(element('tools'), store, maps);
  mountHoverCard(element('card'), store, () => maps.list, api);
  const charts = mountCharts(element('charts'), store, player);
  mountInspector(element('inspector'), store, charts.x, api);
  mountTimeline(element('timeline'), store, player);
  mountEmpty(element('empty'), store);

  effect(() => {
    const known = store.index.value !== null;
    const empty = known && store.runNames.value.length === 0;
    element('loading').hidden = known;
    element('loading').firstElementChild?.replaceChildren(store.problem.value || 'Reading the log directory…');
    element('empty').hidden = !empty;
    /** @type {HTMLElement} */ (document.querySelector('.app')).hidden = !known || empty;
  });
  restoreStep(store, wanted);
  keepAddress(store);
  const loader = startLoader(store, api, wanted);
  // So that the keys work at once, without a click into the frame.
  window.focus();
  connectHost({ onReload: loader.refresh, onRunsChanged: loader.refresh });
}

/** @param {string} href @returns {Promise<void>} */
function addStylesheet(href) {
  return new Promise((resolve) => {
    const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href });
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
}

/**
 * The map, a second one beside it for the run compared with, and what the tools do to both.
 * @param {import('./store.js').Store} store @param {import('./lib.js').Signal<import('./theme.js').Palette>} palette
 * @param {(id: string) => HTMLElement} element
 */
function mountMaps(store, palette, element) {
  const comparedCursor = computed(() => {
    const steps = store.comparedLayer.value?.steps ?? [];
    return store.playing.value ? indexOfStep(steps, store.stepNow.value) : Math.min(indexOfStep(steps, store.stepNow.value), Math.max(0, steps.length - 1));
  });
  const first = mountMap(element('map'), store, {
    run: () => store.primary.value, layer: () => store.layer.value, paint: () => store.paint.value, spaceAt: () => store.spaceAt.value,
    cursor: () => store.cursor.value, tracked: () => (store.trackedBy.value === 'suggestion' ? [] : store.tracked.value),
    suggested: () => store.suggestedOnMap.value, metrics: () => store.metricsNow.value,
  }, palette, true);
  const second = mountMap(element('map-compared'), store, {
    run: () => store.compared.value, layer: () => store.comparedLayer.value, paint: () => store.comparedPaint.value,
    spaceAt: () => store.comparedSpaceAt.value, cursor: () => comparedCursor.value, tracked: () => [], suggested: () => [],
    metrics: () => store.comparedMetricsNow.value,
  }, palette, false);
  effect(() => {
    const both = store.compared.value !== '' && store.sideBySide.value;
    element('map-compared').hidden = !both;
  });
  const zoomAround = (/** @type {number} */ factor, /** @type {number} */ x, /** @type {number} */ y) => {
    const view = store.view.peek();
    const k = Math.max(0.6, Math.min(60, view.k * factor));
    store.view.value = { k, x: x - ((x - view.x) * k) / view.k, y: y - ((y - view.y) * k) / view.k };
  };
  return {
    list: [first, second],
    /** @param {number} factor */
    zoomBy: (factor) => zoomAround(factor, first.size.peek().width / 2, first.size.peek().height / 2),
    /** Bring a concept word into view. @param {string} word */
    centreOn: (word) => {
      const space = store.space.peek();
      const id = space ? space.words.indexOf(word) : -1;
      if (!space || id < 0) return;
      const { width, height } = first.size.peek();
      const fit = first.fit.peek();
      const k = Math.max(1.6, store.view.peek().k);
      const x = fit.x + fit.scale * space.position[2 * id];
      const y = fit.y - fit.scale * space.position[2 * id + 1];
      store.view.value = { k, x: width / 2 - k * x, y: height / 2 - k * y };
    },
  };
}

/** Once the first layer is there, go to what the address asks for. @param {import('./store.js').Store} store @param {Record<string, string>} wanted */
function restoreStep(store, wanted) {
  const stop = effect(() => {
    const layer = store.layer.value;
    if (!layer) return;
    queueMicrotask(() => {
      stop();
      if (wanted.step !== undefined && Number.isFinite(Number(wanted.step))) store.seek(nearestIndex(layer.steps, Number(wanted.step)));
      if (wanted.tracked) store.setTracked(wanted.tracked.split('.').map(Number).filter((neuron) => Number.isInteger(neuron) && neuron >= 0));
      if (wanted.neuron && Number(wanted.neuron) < layer.neurons) store.selected.value = Number(wanted.neuron);
    });
  });
}

/** Keep run, layer, step and tracked neurons in the address, so that a link shows the same. @param {import('./store.js').Store} store */
function keepAddress(store) {
  let timer = 0;
  effect(() => {
    if (!store.layer.value) return;
    const state = {
      run: store.primary.value,
      compare: store.compared.value,
      layer: store.layerName.value,
      // At the end there is nothing to remember: whoever opens the link sees the newest step.
      step: store.following.value ? undefined : String(store.step.value),
      tracked: store.trackedBy.value === 'reader' ? store.tracked.value.join('.') : undefined,
      neuron: store.selected.value === null ? undefined : String(store.selected.value),
    };
    clearTimeout(timer);
    timer = setTimeout(() => writeAddress(state), 300);
  });
}
