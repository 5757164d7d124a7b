// What tests/test_browser.c asks of a report, in the browser: put at the end of the page, it tells its parent window what is
// wrong, one line each.
'use strict';
(function () {
  const wrong = [];
  const say = text => { if (wrong.length < 20) wrong.push(innerWidth + ' px: ' + text); };
  const root = document.documentElement;

  // ---- nothing from elsewhere
  for (const entry of performance.getEntriesByType('resource'))
    if (!entry.name.startsWith('data:')) say('asks for ' + entry.name);
  for (const element of document.querySelectorAll('[src], [href], [srcset], [data], [poster]'))
    for (const name of ['src', 'href', 'srcset', 'data', 'poster']) {
      const to = element.getAttribute(name);
      if (to !== null && !/^(data:|#)/.test(to)) say('asks for ' + to);
    }
  if (/url\(|@import/.test(document.documentElement.outerHTML.replace(/<script[^]*?<\/script>/g, '')))
    say('asks for something in its style');

  // ---- every section, with something in it
  for (const id of SECTIONS) {
    const heading = document.getElementById(id);
    if (!heading) say('has no section ' + id);
    else if (heading.parentElement.getBoundingClientRect().height < 60) say('has nothing in section ' + id);
  }
  for (const image of document.images)
    if (!image.complete || image.naturalWidth === 0) say('has a picture that cannot be shown');

  // ---- nothing wider than the page
  if (root.scrollWidth > innerWidth) say('is ' + root.scrollWidth + ' px wide');

  // ---- texts: where they are drawn, cut where a box scrolls
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest('title, script, style') || !element.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const r of range.getClientRects()) {
      let box = {left: r.left, right: r.right, top: r.top, bottom: r.bottom};
      for (let a = element; a && a !== document.body; a = a.parentElement) {
        const style = getComputedStyle(a);
        if (style.overflowX === 'visible' || style.display === 'inline' || a instanceof SVGElement && a.tagName !== 'svg') continue;
        const c = a.getBoundingClientRect();
        box = {left: Math.max(box.left, c.left), right: Math.min(box.right, c.right),
               top: Math.max(box.top, c.top), bottom: Math.min(box.bottom, c.bottom)};
      }
      if (box.right - box.left > 1 && box.bottom - box.top > 1) texts.push({element, box, text: node.data.trim()});
    }
  }
  if (texts.length < 40) say('shows ' + texts.length + ' texts only');

  // ---- no text over another. Lines of text are taller than their letters: a little is let pass. Turned text is drawn in less
  // than the box around it.
  const inked = texts.filter(t => !t.element.getAttribute('transform'));
  inked.sort((a, b) => a.box.top - b.box.top);
  for (let i = 0; i < inked.length; i++)
    for (let k = i + 1; k < inked.length && inked[k].box.top < inked[i].box.bottom; k++) {
      const a = inked[i], b = inked[k];
      const w = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const h = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      if (a.element !== b.element && w > 1.5 && h > 4) say('has "' + a.text + '" and "' + b.text + '" over each other');
    }

  // ---- contrast: WCAG 2.1, 1.4.3: 4.5 to 1, of large text 3 to 1
  const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return {r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1}; };
  const over = (top, a, under) => ({r: top.r * a + under.r * (1 - a), g: top.g * a + under.g * (1 - a),
                                    b: top.b * a + under.b * (1 - a)});
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
  const light = c => 0.2126 * channel(c.r) + 0.7152 * channel(c.g) + 0.0722 * channel(c.b);
  const fade = e => { let a = 1; for (; e; e = e.parentElement) a *= Number(getComputedStyle(e).opacity); return a; };
  const ground = (x, y, self) => {
    const stack = document.elementsFromPoint(x, y).filter(e => e !== self && !self.contains(e)).reverse();
    let colour = parse(getComputedStyle(document.body).backgroundColor);
    for (const e of stack) {
      const style = getComputedStyle(e);
      if (e instanceof SVGElement && e.tagName !== 'svg') {
        if (e.tagName === 'text' || style.fill === 'none') continue;
        colour = over(parse(style.fill), parse(style.fill).a * Number(style.fillOpacity) * fade(e), colour);
      } else if (parse(style.backgroundColor).a > 0) {
        colour = over(parse(style.backgroundColor), parse(style.backgroundColor).a, colour);
      }
    }
    return colour;
  };
  for (const t of texts) {
    const style = getComputedStyle(t.element), svg = t.element instanceof SVGElement;
    const under = ground((t.box.left + t.box.right) / 2, (t.box.top + t.box.bottom) / 2, t.element);
    const ink = parse(svg ? style.fill : style.color), drawn = over(ink, ink.a * fade(t.element), under);
    const a = light(drawn), b = light(under), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) say('has "' + t.text + '" with a contrast of ' + ratio.toFixed(2));
  }

  const dark = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  parent.postMessage([dark + ' ' + innerWidth + ': ' + texts.length + ' texts', ...wrong].join('\n'), '*');
})();
