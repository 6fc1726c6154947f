// @ts-check
/** Puts the tab together: state, data, views. */
import { createAddress } from './address.js';
import { createApi } from './api.js';
import { mountCharts } from './charts/column.js';
import { connectHost, watchDarkMode } from './host.js';
import { effect, html, render } from './lib.js';
import { startLoader } from './loader.js';
import { mountHoverCard } from './map/hovercard.js';
import { mountMaps } from './map/maps.js';
import { mountAlerts } from './panels/alerts.js';
import { mountAnchors } from './panels/anchors.js';
import { createDistances } from './panels/concepts/distances.js';
import { keepSpacesApart, mountCompare } from './panels/compare/compare.js';
import { mountHealth } from './panels/compare/health.js';
import { mountDivider } from './panels/divider.js';
import { mountEmpty } from './panels/empty.js';
import { mountExplanations } from './panels/explain.js';
import { mountHelp } from './panels/help.js';
import { mountInspector } from './panels/inspector.js';
import { mountCaption, mountComparedCaptions, mountLegend, mountTools } from './panels/mapframe.js';
import { mountPanels } from './panels/panels.js';
import { mountStates } from './panels/states.js';
import { mountThreshold } from './panels/threshold.js';
import { mountTimeline } from './panels/timeline.js';
import { mountTopBar } from './panels/topbar.js';
import { bindKeys, createPlayer } from './player.js';
import { keepCamera, keepState, restoreOnceLoaded } from './kept.js';
import { createStore } from './store.js';
import { createPalette } from './theme.js';

/** The first picture is not kept waiting for what is not on it, but this must come even if there never is one. */
const LATEST_MS = 2000;

const PAGE = html`
  <main class="app" aria-label="Concept Monitor">
    <nav id="top" aria-label="What is shown"></nav>
    <section id="well" aria-label="Concept map"><div id="maps"></div>
      <header id="caption"></header><div id="foot"><div id="legend" role="group" aria-label="Categories"></div><div id="threshold" role="group" aria-label="Threshold"></div></div>
      <div id="tools" role="toolbar" aria-label="Map tools" aria-orientation="vertical"></div><div id="card" hidden></div></section>
    <div id="divider" role="separator" tabindex="0" aria-orientation="vertical" aria-label="Width of the panels" data-own-keys title="Drag to give map or panels more room; double-click for the usual width"></div>
    <aside id="column" aria-label="Panels"><div id="panels" role="tablist" aria-label="Panels"></div>
      <div id="panel-overview" class="panel" role="tabpanel" aria-labelledby="tab-overview"><div id="health"></div><div id="alerts" hidden></div><div id="charts"></div><div id="inspector"></div></div>
      <div id="panel-neurons" class="panel" role="tabpanel" aria-labelledby="tab-neurons" hidden></div>
      <div id="panel-concepts" class="panel" role="tabpanel" aria-labelledby="tab-concepts" hidden></div>
      <div id="panel-evolutions" class="panel" role="tabpanel" aria-labelledby="tab-evolutions" hidden></div>
      <div id="panel-compare" class="panel" role="tabpanel" aria-labelledby="tab-compare" hidden></div></aside>
    <footer id="timeline" aria-label="Time line"></footer>
  </main>
  <div id="empty" hidden></div>
  <div id="loading" role="status"><span>Reading the log directory…</span></div>`;

/** @param {HTMLElement} body of the frame @param {string} routes address that the plugin's routes are below */
export async function start(body, routes) {
  document.documentElement.lang = 'en';
  document.title = 'Concept Monitor';
  const store = createStore();
  watchDarkMode((dark) => { store.theme.value = dark ? 'dark' : 'light'; });
  const palette = createPalette(store);
  render(PAGE, body);

  const api = createApi(routes);
  const address = createAddress();
  keepState(store, address);
  const player = createPlayer(store);
  bindKeys(player, store, address.undo);
  const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

  const maps = mountMaps(element('maps'), store, palette);
  mountExplanations(body);
  mountTopBar(element('top'), store, maps, { address, api, help: mountHelp(body) });
  mountCaption(element('caption'), store);
  mountComparedCaptions(maps, store);
  mountLegend(element('legend'), store);
  mountThreshold(element('threshold'), store);
  mountStates(element('well'), store);
  mountHealth(element('health'), store);
  mountAlerts(element('alerts'), store);
  mountCompare(element('panel-compare'), store);
  keepSpacesApart(store);
  mountTools(element('tools'), store, maps);
  mountHoverCard(element('card'), store, maps, api);
  mountPanels(element('panels'), store);
  mountDivider(element('divider'), /** @type {HTMLElement} */ (document.querySelector('.app')), store);
  const charts = mountCharts(element('charts'), store, player, api);
  mountInspector(element('inspector'), store, charts.x, api);
  const distances = createDistances(api);
  mountAnchors(element('well'), store, api, distances);
  mountTimeline(element('timeline'), store, player);
  mountEmpty(element('empty'), store);

  effect(() => {
    const known = store.index.value !== null;
    const empty = known && store.runNames.value.length === 0 && store.layer.value === null;
    element('loading').hidden = known;
    element('loading').firstElementChild?.replaceChildren(store.problem.value || 'Reading the log directory…');
    element('empty').hidden = !empty;
    /** @type {HTMLElement} */ (document.querySelector('.app')).hidden = !known || empty;
  });
  effect(() => {
    const all = store.sources.value;
    const done = all.length > 0 && all.every(({ layer }) => layer.value !== null && layer.value.loaded === layer.value.steps.length);
    document.documentElement.dataset.loaded = String(done);
  });
  restoreOnceLoaded(store, address);
  keepCamera(store, address, maps);
  const loader = startLoader(store, api);
  // So that the keys work at once, without a click into the frame.
  window.focus();
  connectHost({ onReload: loader.refresh, onRunsChanged: loader.refresh });

  await firstPicture();
  const [{ mountConcepts }, { mountNeurons }, { mountEvolutions }, { mountShare }] = await Promise.all([
    import('./panels/concepts/concepts.js'), import('./panels/neurons/panel.js'), import('./panels/evolutions/panel.js'), import('./panels/share/share.js'),
  ]);
  mountConcepts(element('panel-concepts'), store, api, distances);
  mountNeurons(element('panel-neurons'), store, api, player);
  mountEvolutions(element('panel-evolutions'), store, api, player);
  mountShare(element('share'), { store, maps, api, address, player });
}

/** Resolves once the map is drawn. @returns {Promise<void>} */
const firstPicture = () => new Promise((resolve) => {
  const root = document.documentElement;
  const observer = new MutationObserver(() => { if (root.dataset.ready) { observer.disconnect(); resolve(); } });
  observer.observe(root, { attributeFilter: ['data-ready'] });
  setTimeout(resolve, LATEST_MS);
});
