/* What the console needs of script: menu on the phone, questions before dangerous acts, live previews. */
(() => {
  "use strict";
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const token = document.querySelector('meta[name="csrf-token"]')?.content;

  document.addEventListener("htmx:config:request", (event) => {
    const request = event.detail.ctx.request;
    if (token && request.method !== "GET") request.headers["X-CSRF-Token"] = token;
  });

  // Menu on narrow screens.
  const setMenu = (open) => {
    document.body.classList.toggle("menu-open", open);
    all("[data-menu-open]").forEach((button) => button.setAttribute("aria-expanded", String(open)));
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-menu-open]")) setMenu(!document.body.classList.contains("menu-open"));
    else if (event.target.closest("[data-menu-close]")) setMenu(false);
    all("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    setMenu(false);
    all("details.menu[open]").forEach((menu) => { menu.open = false; });
  });

  const changed = (form) => Array.from(form.elements).some((control) =>
    control.type === "checkbox" ? control.checked !== control.defaultChecked
      : control.type !== "hidden" && "defaultValue" in control && control.value !== control.defaultValue);

  // <form data-ask="Question?"> is sent only after a yes.
  const ask = document.getElementById("ask");
  let asking = null;
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement)) return;
    // <form data-others="Question?">: one of several, whose answer would lose what was typed into the others.
    if (form.dataset.others && !form.dataset.asked) {
      if (all("form[data-others]").some((each) => each !== form && changed(each))) form.dataset.ask = form.dataset.others;
      else delete form.dataset.ask;
    }
    if (form.dataset.ask && !form.dataset.asked && ask) {
      event.preventDefault();
      event.stopImmediatePropagation();
      asking = { form, submitter: event.submitter };
      ask.querySelector("#ask-title").textContent = form.dataset.ask;
      ask.querySelector("#ask-detail").textContent = form.dataset.askDetail || "";
      const yes = ask.querySelector("[data-ask-yes]");
      yes.textContent = form.dataset.askLabel || event.submitter?.textContent.trim() || yes.textContent;
      yes.className = "askDanger" in form.dataset ? "btn btn-danger" : "btn btn-primary";
      ask.showModal();
      return;
    }
    delete form.dataset.asked;
    if (form.method === "post" && !form.hasAttribute("hx-post")) {
      // A second click would send the form twice.
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "1";
      window.setTimeout(() => { delete form.dataset.sent; }, 4000);
    }
  }, true);
  ask?.addEventListener("click", (event) => {
    if (event.target === ask || event.target.closest("[data-ask-no]")) ask.close();
    else if (event.target.closest("[data-ask-yes]") && asking) {
      const { form, submitter } = asking;
      ask.close();
      form.dataset.asked = "1";
      form.requestSubmit(submitter && submitter.isConnected ? submitter : undefined);
    }
  });
  ask?.addEventListener("close", () => { asking = null; });

  // Selects that send their form when changed.
  document.addEventListener("change", (event) => {
    const control = event.target;
    if (control.matches("[data-submit]") || (control.matches("select") && control.closest("form[data-auto]"))) {
      control.form?.requestSubmit();
    }
  });

  // Fields that a choice makes visible: <div data-when="origin=reprint,ugc;zone=ugc">.
  const showWhen = (root) => {
    all("[data-when]", root).forEach((part) => {
      const form = part.closest("form");
      const shown = part.dataset.when.split(";").some((condition) => {
        const [name, values] = condition.split("=");
        return values.split(",").includes(form?.elements.namedItem(name)?.value ?? "");
      });
      part.hidden = !shown;
      all("[data-required]", part).forEach((input) => { input.required = shown; });
    });
  };
  // Options that belong to a choice: <option data-of="engagement"> in <select data-options-of="content_class">.
  const narrowOptions = (root) => {
    all("select[data-options-of]", root).forEach((select) => {
      const parent = select.form?.elements.namedItem(select.dataset.optionsOf)?.value;
      let first = null;
      all("option[data-of]", select).forEach((option) => {
        const fits = !parent || option.dataset.of === parent;
        option.hidden = option.disabled = !fits;
        if (fits && first === null) first = option;
      });
      if (select.selectedOptions[0]?.disabled) select.value = first ? first.value : "";
    });
  };
  document.addEventListener("change", (event) => {
    if (event.target.form) { narrowOptions(event.target.form); showWhen(event.target.form); }
  });

  // Bytes left: <textarea data-bytes="limit-id"> with <progress id="limit-id" max="2048">.
  const encoder = new TextEncoder();
  const countBytes = (area) => {
    const meter = document.getElementById(area.dataset.bytes);
    if (!meter) return;
    const size = encoder.encode(area.value).length;
    meter.value = Math.min(size, meter.max);
    meter.classList.toggle("over", size > meter.max);
    const text = document.getElementById(`${meter.id}-text`);
    if (text) text.textContent = `${size.toLocaleString()} / ${Number(meter.max).toLocaleString()}`;
  };
  // Live phone preview: <textarea data-preview="id">.
  const preview = (area) => {
    const target = document.getElementById(area.dataset.preview);
    if (!target) return;
    const text = area.value.trim();
    target.textContent = text;
    target.closest(".said")?.toggleAttribute("hidden", !text);
    document.getElementById(`${target.id}-hint`)?.toggleAttribute("hidden", Boolean(text));
  };
  // Images chosen but not yet uploaded are shown in the preview.
  const previewFiles = (input) => {
    const target = document.getElementById(input.dataset.previewFiles);
    if (!target) return;
    all("[data-chosen]", target).forEach((part) => part.remove());
    Array.from(input.files ?? []).filter((file) => file.type.startsWith("image/")).forEach((file) => {
      const reader = new FileReader();
      reader.addEventListener("load", () => {
        const image = document.createElement("img");
        image.className = "said-image";
        image.dataset.chosen = "";
        image.alt = file.name;
        image.src = String(reader.result);
        target.append(image);
      });
      reader.readAsDataURL(file);
    });
  };
  // What the server would refuse whole is told before it is sent: <input data-file-most data-files-most>.
  const weighFiles = (input) => {
    const files = Array.from(input.files ?? []);
    const large = files.find((file) => file.size > Number(input.dataset.fileMost));
    const together = files.reduce((sum, file) => sum + file.size, 0);
    const many = together > Number(input.dataset.filesMost) ? input.dataset.tooMany : "";
    input.setCustomValidity(large ? `${large.name}: ${input.dataset.tooLarge}` : many);
    input.reportValidity();
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-bytes]")) countBytes(event.target);
    if (event.target.matches("[data-preview]")) preview(event.target);
    if (event.target.matches("[data-sum]")) sumUp(event.target.closest("form"));
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-preview-files]")) previewFiles(event.target);
    if (event.target.matches("[data-file-most]")) weighFiles(event.target);
  });

  // Shares that must add up to 100.
  const sumUp = (form) => {
    const out = form?.querySelector("[data-sum-of]");
    if (!out) return;
    const sum = all("[data-sum]", form).reduce((total, input) => total + (Number(input.value) || 0), 0);
    out.textContent = String(sum);
    out.classList.toggle("red", sum !== 100);
    out.classList.toggle("green", sum === 100);
  };

  // Rows that can be added and taken away: a <template> inside [data-rows].
  document.addEventListener("click", (event) => {
    const add = event.target.closest("[data-add-row]");
    if (add) {
      const rows = document.getElementById(add.dataset.addRow);
      const count = (Number(rows.dataset.next) || rows.querySelectorAll("[data-row]").length) + 0;
      rows.dataset.next = String(count + 1);
      const part = rows.querySelector("template").content.cloneNode(true);
      all("[name]", part).forEach((input) => { input.name = input.name.replace("__n__", String(count)); });
      rows.append(part);
    }
    const drop = event.target.closest("[data-drop-row]");
    if (drop) drop.closest("[data-row]")?.remove();
    const insert = event.target.closest("[data-insert]");
    if (insert) {
      const area = document.getElementById(insert.dataset.into);
      area.setRangeText(insert.dataset.insert, area.selectionStart, area.selectionEnd, "end");
      area.focus();
      area.dispatchEvent(new Event("input", { bubbles: true }));
    }
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard?.writeText(copy.dataset.copy).then(() => {
        const before = copy.textContent;
        copy.textContent = copy.dataset.copied || before;
        window.setTimeout(() => { copy.textContent = before; }, 1500);
      });
    }
  });

  const start = (root) => {
    all("[data-bytes]", root).forEach(countBytes);
    all("[data-preview]", root).forEach(preview);
    all("form", root).forEach((form) => { narrowOptions(form); showWhen(form); sumUp(form); });
    if (root.matches?.("form")) showWhen(root);
    const now = root.querySelector?.("[data-scroll-to]");
    if (now && window.matchMedia("(max-width: 860px)").matches) now.scrollIntoView({ block: "start" });
  };
  start(document);
  document.addEventListener("htmx:after:swap", () => start(document));
})();
