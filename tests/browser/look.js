// @ts-check
/** What a page that shows a hostile log must not have. Put into pages by test_content_in_tab.py. */
(() => {
  const SEEN_OR_HEARD = ['title', 'aria-label', 'aria-valuetext', 'placeholder', 'alt'];
  const REACHES_OUT = /[\u0000-\u0008\u000e-\u001f\u200e\u200f\u202a-\u202e]/;

  /** Text that people see or hear, with marks that reach beyond it. */
  const leaks = () => {
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const texts = node instanceof Element ? SEEN_OR_HEARD.map((name) => node.getAttribute(name) || '') : [node.data];
      for (const text of texts) {
        const open = (text.match(/[\u2066-\u2068]/g) || []).length - (text.match(/\u2069/g) || []).length;
        if (REACHES_OUT.test(text) || open) found.push(`mark of direction in ${node.nodeName} of ${node.parentElement?.className}: ${JSON.stringify(text.slice(0, 60))}`);
      }
    }
    return found;
  };

  /** What reaches beyond the page, other than within what scrolls or cuts its own content. */
  const bursts = () => {
    const width = document.documentElement.clientWidth;
    const found = document.documentElement.scrollWidth > width ? [`the page is ${document.documentElement.scrollWidth} wide`] : [];
    for (const element of document.querySelectorAll('body *')) {
      const box = element.getBoundingClientRect();
      if (!box.width || box.right <= width + 1) continue;
      // Something around it scrolls or cuts it, within the page.
      let around = element.parentElement;
      while (around && (getComputedStyle(around).overflowX === 'visible' || around.getBoundingClientRect().right > width + 1)) around = around.parentElement;
      if (!around) found.push(`${element.nodeName}.${element.getAttribute('class')} reaches to ${Math.round(box.right)}`);
    }
    return found;
  };

  /** Elements and attributes that would run or fetch something. */
  const scripts = () => {
    // TensorBoard's page around the tab is a base and one script that imports it.
    const elements = [...document.querySelectorAll('script:not([src]):not([type="application/json"]), iframe, object, embed, img, base, a[href^="javascript:"]')]
      .filter((element) => element.getAttribute('href') !== 'plugin/conceptmon/' && !element.textContent?.startsWith('import("./index.js'));
    const handlers = [...document.querySelectorAll('*')].flatMap((element) => element.getAttributeNames().filter((name) => name.startsWith('on')));
    return [...elements.map((element) => element.outerHTML.slice(0, 80)), ...handlers];
  };

  const refused = [];
  document.addEventListener('securitypolicyviolation', (event) => refused.push(`refused: ${event.violatedDirective} ${event.blockedURI}`));
  Reflect.set(window, 'lookForHarm', (isFile = false) => [
    ...refused, ...(Reflect.get(window, 'hacked') || Reflect.get(window.top || {}, 'hacked') ? ['a script ran'] : []),
    ...(isFile ? [] : [...scripts(), ...leaks(), ...bursts()]),
  ].slice(0, 6));
})();
