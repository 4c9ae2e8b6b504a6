// What Chromium does with the whole book on one page. Called by pdf.py and epub.py.

const all = (selector) => [...document.querySelectorAll(selector)];

// Typeset all formulas, and make those smaller that are wider than the column.
// Returns of each of these the anchor of its page and its size in percent.
async function typeset() {
  await MathJax.startup.promise;
  await MathJax.typesetPromise(all(".math"));
  await document.fonts.ready;
  const shrunk = [];
  for (const box of all("mjx-container")) {
    const number = box.parentElement.querySelector(":scope > .eqno");
    const block = box.closest("p, div, li, dd, dt, td, th, figcaption, h1, h2, h3, h4, h5, h6");
    const room = block.clientWidth - (number ? number.offsetWidth + 12 : 0);
    const width = box.firstElementChild.getBoundingClientRect().width;
    if (width > room && room > 0) {
      const percent = Math.floor((100 * room) / width) - 1;
      box.style.fontSize = (parseFloat(getComputedStyle(box).fontSize) * percent) / 100 + "px";
      shrunk.push([box.closest(".page").querySelector("[id]").id, percent]);
    }
  }
  return shrunk;
}

// Show no image larger than with 150 of its pixels in an inch, of which a page has 96 units.
// Returns how many pixels of each image are in an inch.
function sharpen() {
  const density = (e) => Math.round((96 * e.naturalWidth) / e.clientWidth);
  const images = all("img").filter((e) => !e.src.endsWith(".svg"));
  for (const image of images) {
    if (density(image) < 150) image.style.width = (96 * image.naturalWidth) / 150 + "px";
  }
  return Object.fromEntries(images.map((e) => [e.getAttribute("src"), density(e)]));
}

// What a reader would see cut off, not typeset or missing, and links that lead nowhere.
function faults(column) {
  const tooWide = (e) => e.getBoundingClientRect().right > column + 1;
  const isRaw = (e) =>
    !e.closest("pre, code, .math, script") &&
    [...e.childNodes].some((n) => n.nodeType === 3 && /\\\(|\\\[|\$\$|\\begin\{/.test(n.data));
  const isLost = (e) => !document.getElementById(e.getAttribute("href").slice(1));
  return {
    "wider than the page": all("body *").filter((e) => tooWide(e) && !e.closest("svg, mjx-math")),
    "not typeset": all(".math")
      .filter((e) => !e.querySelector("mjx-container"))
      .concat(all("mjx-merror"), all("body *").filter(isRaw)),
    "missing images": all("img").filter((e) => !e.naturalWidth),
    "lost links": all('a[href^="#"]').filter(isLost),
  };
}

const shown = (found) =>
  Object.fromEntries(
    Object.entries(found).map(([what, list]) => [what, list.map((e) => e.outerHTML.slice(0, 200))])
  );

// Write the page numbers, of which each anchor has one, into the table of contents.
function fillNumbers(pages) {
  for (const place of all("[data-page-of]")) {
    place.textContent = pages[place.dataset.pageOf] ?? "?";
  }
}

// The letters of an alphabet as characters of their own, since readers of EPUB that follow MathML
// Core know no other way to write them: the same letter by Unicode's compatibility of characters.
function alphabet(singles, ...ranges) {
  const letters = [...singles];
  for (const [first, last] of ranges) {
    for (let code = first; code <= last; code++) letters.push(String.fromCodePoint(code));
  }
  return new Map(letters.map((letter) => [letter.normalize("NFKC"), letter]));
}

const ALPHABETS = {
  bold: alphabet("", [0x1d400, 0x1d433], [0x1d6a8, 0x1d6e1], [0x1d7ce, 0x1d7d7]),
  "double-struck": alphabet("ℂℍℕℙℚℝℤ", [0x1d538, 0x1d56b], [0x1d7d8, 0x1d7e1]),
  script: alphabet("ℬℰℱℋℐℒℳℛℯℊℴ", [0x1d49c, 0x1d4cf]),
};

function spell(node) {
  const letters = ALPHABETS[node.getAttribute("mathvariant")];
  if (!letters) return;
  node.textContent = [...node.textContent].map((letter) => letters.get(letter) ?? letter).join("");
  node.setAttribute("mathvariant", "normal");
}

// Replace every formula by MathML, its TeX being the alternative text, and return each element of
// a selector as XHTML by its id.
async function toXHTML(selector) {
  await MathJax.startup.promise;
  for (const place of all(".math")) {
    const number = place.querySelector(".eqno");
    if (number) number.remove();
    const tex = place.textContent.trim().slice(2, -2).trim(); // without \( and \), or \[ and \]
    const display = place.localName === "div";
    const markup = MathJax.tex2mml(tex, { display });
    const math = new DOMParser().parseFromString(markup, "application/xml").documentElement;
    for (const node of [math, ...math.querySelectorAll("*")]) {
      spell(node);
      for (const name of node.getAttributeNames()) {
        if (name.startsWith("data-")) node.removeAttribute(name);
      }
    }
    math.setAttribute("alttext", tex);
    place.replaceChildren(...(number ? [number] : []), document.importNode(math, true));
  }
  const serializer = new XMLSerializer();
  return Object.fromEntries(all(selector).map((e) => [e.id, serializer.serializeToString(e)]));
}
