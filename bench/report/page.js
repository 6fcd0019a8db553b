// Comfort alone: without it the page says the same. It fetches nothing and keeps nothing.
"use strict";
(() => {
  // The contents: open where they stay beside the page, folded on a phone.
  const contents = document.querySelector(".contents > details");
  const wide = matchMedia("(min-width: 76rem)");
  const fold = () => { contents.open = wide.matches; };
  if (contents) {
    fold();
    wide.addEventListener("change", fold);
    contents.addEventListener("click", (event) => {
      if (event.target.closest("a") && !wide.matches) contents.open = false;
    });
  }

  // Where in the page the reader is.
  const links = new Map([...document.querySelectorAll(".contents a")].map((a) => [a.hash.slice(1), a]));
  const here = () => {
    let current = null;
    for (const id of links.keys()) {
      const section = document.getElementById(id);
      if (section && section.getBoundingClientRect().top < innerHeight / 3) current = id;
    }
    for (const [id, a] of links) {
      if (id === current) a.setAttribute("aria-current", "true");
      else a.removeAttribute("aria-current");
    }
  };
  addEventListener("scroll", here, { passive: true });
  here();

  // A link to something folded unfolds it.
  const unfold = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    const folded = target && target.closest("details");
    if (folded && !contents?.contains(folded)) {
      folded.open = true;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", unfold);
  unfold();

  // Tables sort by their headings: up, down, and as they were.
  const collator = new Intl.Collator("en", { numeric: true });
  const key = (row, column, figures) => {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    return figures ? null : cell.textContent.trim();
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b));
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const before = [...body.rows];
    const borders = before.filter((row) => row.classList.contains("next"));
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const figures = before.some((row) => row.cells[column].dataset.value !== undefined);
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Sort";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const next = { none: "ascending", ascending: "descending", descending: "none" }[heading.ariaSort ?? "none"];
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        if (next !== "none") heading.setAttribute("aria-sort", next);
        const sign = next === "descending" ? -1 : 1;
        const rows = next === "none" ? before : [...before].sort((one, two) => {
          const [a, b] = [key(one, column, figures), key(two, column, figures)];
          if (a === null || b === null) return (a === null) - (b === null);
          return sign * compare(a, b);
        });
        borders.forEach((row) => row.classList.toggle("next", next === "none"));
        body.append(...rows);
      });
    });
  }

  // A box that does not scroll need not be reached by keyboard.
  const boxes = [...document.querySelectorAll(".scroll")];
  const reach = () => boxes.forEach((box) => {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  });
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
  reach();

  // Paper unfolds everything.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("main details:not([open])")];
    folded.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((one) => { one.open = false; }));
})();
