/* Long forms lose nothing: what is typed stays in this tab until the server has taken it, so a login that has
   run out, a refused file or a cut line costs no text. <form data-keep="USERNAME">; see the macro ui.kept. */
(() => {
  "use strict";
  const PREFIX = "lanmu-kept ";
  const ROWS_MOST = 40;
  let store = null;
  try { store = window.sessionStorage; } catch { return; } // a browser that keeps nothing for any site

  const write = (key, kept) => {
    try { store.setItem(key, JSON.stringify(kept)); } catch { /* full: the form itself still has it all */ }
  };
  const read = (key) => {
    try { return JSON.parse(store.getItem(key) ?? "null"); } catch { return null; }
  };
  const keys = () => Object.keys(store).filter((key) => key.startsWith(PREFIX));

  const keyOf = (form) => `${PREFIX}${form.dataset.keep} ${location.pathname}${location.search}`;
  const ticked = (control) => control.type === "checkbox" || control.type === "radio";
  const controls = (form) => Array.from(form.elements).filter((control) =>
    control.name && control.name !== "csrf_token" && !["file", "submit", "button"].includes(control.type));
  const fieldsOf = (form) => controls(form).map((control) =>
    [control.name, control.value, ticked(control) ? control.checked : null]);
  const keep = (form, sent) => write(keyOf(form), { fields: fieldsOf(form), sent });

  // Rows that had been added come back, and those that had been taken away go.
  const matchRows = (form, names) => {
    const add = form.querySelector("[data-add-row]");
    if (!add) return;
    const missing = () => names.some((name) => !form.elements.namedItem(name));
    for (let count = 0; count < ROWS_MOST && missing(); count += 1) add.click();
    form.querySelectorAll("[data-row]").forEach((row) => {
      const named = row.querySelector("[name]");
      if (named && !names.includes(named.name)) row.remove();
    });
  };
  const putBack = (form, fields) => {
    const names = fields.map(([name]) => name);
    matchRows(form, names);
    const left = new Map();
    fields.forEach(([name, value, on]) => left.set(name, [...(left.get(name) ?? []), { value, on }]));
    controls(form).forEach((control) => {
      const kept = left.get(control.name) ?? [];
      if (ticked(control)) {
        const same = kept.find((each) => each.value === control.value);
        if (same) control.checked = same.on;
      } else if (kept.length) control.value = kept.shift().value;
    });
    form.querySelectorAll("textarea, [data-sum]").forEach((area) => {
      area.dispatchEvent(new Event("input", { bubbles: true }));
    });
    controls(form)[0]?.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const form = document.querySelector("form[data-keep]");
  const told = document.querySelector("[data-kept-told]");
  if (document.querySelector(".shell")) {
    // A page of the console after the form was sent: the server has taken what is not asked for again.
    keys().filter((key) => read(key)?.sent && !(form && key === keyOf(form))).forEach((key) => store.removeItem(key));
  } else {
    // A login or an error: nothing was taken.
    const failed = keys().filter((key) => read(key)?.sent);
    failed.forEach((key) => write(key, { ...read(key), sent: false }));
    if (told) told.hidden = (told.dataset.keptTold === "sent" ? failed : keys()).length === 0;
  }
  if (form) {
    const kept = read(keyOf(form));
    // What a colleague was faster with cannot be stored as it stands: loaded again, the form shows theirs.
    const stale = form.dataset.answered === "stale";
    if (stale) store.removeItem(keyOf(form));
    else if ("answered" in form.dataset) keep(form, false);
    else if (kept?.fields && JSON.stringify(kept.fields) !== JSON.stringify(fieldsOf(form))) {
      putBack(form, kept.fields);
      keep(form, false);
      if (told) told.hidden = false;
    } else store.removeItem(keyOf(form));
    const note = () => { if (!stale) keep(form, false); };
    form.addEventListener("input", note);
    form.addEventListener("change", note);
    // After app.js, which may hold a form back to ask first, or add and take away rows.
    document.addEventListener("submit", (event) => {
      if (event.target === form && !event.defaultPrevented && !stale) keep(form, true);
    });
    form.addEventListener("click", (event) => {
      if (event.target.closest("[data-insert], [data-drop-row]")) window.setTimeout(note);
    });
  }
  document.addEventListener("click", (event) => {
    if (form && event.target.closest("[data-kept-drop]")) store.removeItem(keyOf(form));
    if (event.target.closest("button[data-kept-drop]")) location.assign(location.href);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-kept-end]")) keys().forEach((key) => store.removeItem(key));
  });
})();
