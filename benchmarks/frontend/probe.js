// Runs in every frame before its own scripts. In the tab's frame it notes when the tab is usable.
(() => {
  performance.setResourceTimingBufferSize(10000);
  const now = () => performance.timeOrigin + performance.now();
  const marks = { origin: performance.timeOrigin, ready: 0, usable: 0, loaded: 0, draws: [] };
  Object.assign(window, { conceptmonMarks: marks });
  const isUsable = () => {
    const input = document.querySelector('.scrub input[type=range]');
    return input !== null && !input.disabled;
  };
  const look = () => {
    const { dataset } = document.documentElement;
    if (!marks.ready && dataset.ready === 'true') marks.ready = now();
    if (!marks.usable && marks.ready && isUsable()) marks.usable = now();
    if (!marks.loaded && dataset.loaded === 'true') marks.loaded = now();
  };
  const watch = () => {
    new MutationObserver((changes) => {
      // A drawn frame is counted by what the map tells of it, whether the number changed or not.
      for (const { attributeName, target } of changes) if (attributeName === 'data-draw-ms') marks.draws.push(Number(target.dataset.drawMs));
      if (!marks.loaded || !marks.usable) look();
    }).observe(document.documentElement, { attributes: true, subtree: true, childList: true, attributeFilter: ['data-ready', 'data-loaded', 'data-draw-ms', 'disabled', 'max'] });
    look();
  };
  if (document.documentElement) watch();
  else document.addEventListener('DOMContentLoaded', watch);
})();
