"use strict";
// Sorts and filters the league. A page that is watched is also fetched again and again; what a person
// has sorted, filtered, opened and scrolled to stays as it is.
(() => {
  const chosen = { column: null, order: "" }; // of the sort; null as long as nothing was clicked
  const find = id => document.getElementById(id);

  function value(row, column) {
    const { order } = row.cells[column].dataset;
    return order === undefined ? null : Number(order);
  }

  function compare(one, other) {
    const sign = chosen.order === "ascending" ? 1 : -1;
    if (chosen.column === 0) {
      return sign * one.cells[0].textContent.localeCompare(other.cells[0].textContent, "en", { numeric: true });
    }
    const [a, b] = [value(one, chosen.column), value(other, chosen.column)];
    if (a === null || b === null) return (a === null) - (b === null); // nothing comes last
    return sign * (a - b);
  }

  function sort() {
    const [body] = find("league").tBodies;
    if (chosen.column === null) return;
    body.append(...[...body.rows].sort(compare));
    for (const [column, heading] of headings().entries()) {
      if (column === chosen.column) heading.setAttribute("aria-sort", chosen.order);
      else heading.removeAttribute("aria-sort");
    }
  }

  function filter() {
    const form = find("filter"), rows = [...find("league").tBodies[0].rows];
    const { name, least, most } = Object.fromEntries(new FormData(form));
    for (const row of rows) {
      const named = row.cells[0].textContent.toLowerCase().includes(name.trim().toLowerCase());
      const enough = least === "" || Number(row.dataset.most) >= Number(least);
      row.hidden = !(named && enough && (most === "" || Number(row.dataset.least) <= Number(most)));
    }
    const shown = rows.filter(row => !row.hidden).length;
    form.querySelector("output").textContent = `${shown} of ${rows.length} row${rows.length === 1 ? "" : "s"}`;
  }

  const headings = () => [...find("league").tHead.rows[0].cells];

  function prepare() {
    if (!find("league")) return;
    for (const [column, heading] of headings().entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.id = `sort-${column}`;
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const now = heading.getAttribute("aria-sort");
        const turned = now === "ascending" ? "descending" : "ascending";
        Object.assign(chosen, { column, order: now ? turned : heading.dataset.first });
        sort();
      });
    }
    const form = find("filter");
    form.hidden = false;
    form.oninput = filter;
    form.onsubmit = event => event.preventDefault();
    sort();
    filter();
  }

  function replace(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const focused = document.activeElement.id, opened = document.querySelector(":popover-open")?.id;
    const beside = find("scroll")?.scrollLeft, form = find("filter");
    document.querySelector("main").replaceWith(fresh.querySelector("main"));
    if (form) find("filter")?.replaceWith(form); // with what is being typed
    prepare();
    if (find("scroll")) find("scroll").scrollLeft = beside ?? 0;
    if (opened) find(opened)?.showPopover();
    if (focused) find(focused)?.focus({ preventScroll: true });
  }

  async function follow() {
    const { seconds } = document.querySelector("main").dataset, status = find("status");
    if (!seconds) return;
    await new Promise(done => setTimeout(done, 1000 * seconds));
    try {
      const found = await fetch(location.pathname, { cache: "no-cache" });
      const text = await found.text();
      if (!found.ok) throw new Error(text.trim());
      if (text !== follow.shown) replace(text);
      follow.shown = text;
      status.textContent = "";
    } catch (error) {
      status.textContent = `not up to date: ${error.message}`;
    }
    follow();
  }

  prepare();
  follow();
})();
