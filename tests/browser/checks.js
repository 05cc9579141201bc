// What is wrong with the page that this runs in: a function of nothing, which returns lists of complaints.
() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const latexErrors = all("mjx-merror, mjx-container [style*='color: red'], mjx-container [mathcolor=red]")
    .map(e => e.getAttribute("data-mjx-error") || e.closest("mjx-container").parentElement.textContent);

  // Formulas and roles that still stand there as they were written.
  const copy = document.querySelector("article, main").cloneNode(true);
  all("pre, code, script, style, mjx-container", copy).forEach(e => e.remove());
  const left = copy.textContent.match(/\\\(|\\\[|\$\$|:::|\{(prf|cite|eq|ref|numref)[:a-z]*\}/g) || [];
  const missing = all(".math").length - all("mjx-container").length;
  const undrawn = missing > 0 ? [...left, `${missing} formulas`] : left;

  // An SVG has its text on itself, or it is part of something that has.
  const named = "[aria-label]:not([aria-label=''])";
  const withoutAlt = all("article img, .cell_output svg").filter(e => !e.closest("button, [aria-hidden=true]"))
    .filter(e => e.tagName === "IMG" ? !(e.alt || "").trim() : !e.closest(named))
    .map(e => e.outerHTML.slice(0, 120));

  // Contrast after WCAG: 4.5 for text, 3 for graphics. The ink of a figure is its grey tones: axes, ticks, letters.
  // What is meant to be faint, such as a grid, is more than half transparent.
  const parse = colour => (colour.match(/[\d.]+/g) || []).map(Number);
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = e => {
    for (; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.5) return colour;
    }
    return [255, 255, 255];
  };
  const isGrey = ([r, g, b]) => Math.max(r, g, b) - Math.min(r, g, b) < 16;
  const faint = new Set();
  for (const e of all("article p, article h1, article h2, article h3, article li, article td")) {
    const ratio = contrast(parse(getComputedStyle(e).color), ground(e));
    if (e.textContent.trim() && e.checkVisibility() && ratio < 4.5) {
      faint.add(`${ratio.toFixed(1)}: ${e.tagName} "${e.textContent.slice(0, 40)}"`);
    }
  }
  for (const svg of all(".cell_output svg[role=img]")) {
    for (const e of all("path, line, use, text, rect, circle", svg).filter(e => !e.closest("defs, clipPath"))) {
      const style = getComputedStyle(e);
      for (const ink of ["fill", "stroke"]) {
        const colour = parse(style[ink]);
        const opacity = (colour[3] ?? 1) * style.opacity * style[`${ink}Opacity`];
        if (colour.length < 3 || !isGrey(colour) || opacity < 0.5) continue;
        const ratio = contrast(colour, ground(svg));
        if (ratio < 3) faint.add(`${ratio.toFixed(1)}: ${ink} of "${svg.getAttribute("aria-label").slice(0, 60)}"`);
      }
    }
  }
  return {latexErrors, undrawn, withoutAlt, faint: [...faint].slice(0, 10)};
}
