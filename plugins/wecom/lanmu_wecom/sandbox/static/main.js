// Keeps the phones fresh: asks once a second, draws only when something has changed.
import { Chats } from "./chats.js";
import { clock, el } from "./dom.js";
import { Tasks } from "./tasks.js";

const EVERY = 1000;
const lang = new URLSearchParams(location.search).get("lang");
const texts = await (await fetch(`sandbox/texts.json${lang === "en" ? "?lang=en" : ""}`)).json();
const screen = (phone) => document.querySelector(`#${phone} .screen`);
const state = document.getElementById("state");
const desk = document.getElementById("desk");
const openCount = document.getElementById("open-count");
const owner = { customer: "", employee: "" };
const wechat = new Chats(screen("wechat"), (words) => words.messages);
const wecom = new Chats(screen("wecom"), (words) => words.messages);
const tasks = new Tasks(screen("tasks"), refresh);
let revision = "";
let busy = false;

function fill(select, rows, chosen) {
  if (select.childElementCount !== rows.length) {
    select.replaceChildren(...rows.map(([value, text]) => el("option", { value, text })));
  }
  select.value = chosen;
}

function draw(view) {
  const now = view.now;
  const staff = view.employees.map((one) => [one.userid, `${one.name} · ${one.shop}`]);
  fill(document.querySelector("[data-who=wechat]"), view.customers.map((one) => [one.id, one.name]), view.wechat.id);
  fill(document.querySelector("[data-who=tasks]"), staff, view.wecom.userid);
  fill(document.querySelector("[data-who=wecom]"), staff, view.wecom.userid);
  wechat.show(view.wechat.id, view.wechat.chats, now, texts);
  wecom.show(view.wecom.userid, view.wecom.chats, now, texts);
  tasks.show(view.wecom.userid, view.wecom.tasks, now, texts);
  const waiting = view.wecom.tasks.filter((one) => one.state === "open" || one.state === "part").length;
  openCount.textContent = waiting;
  openCount.hidden = !waiting;
}

async function refresh() {
  if (busy) return;
  busy = true;
  try {
    const query = new URLSearchParams({ ...owner, after: revision });
    const view = await (await fetch(`sandbox/api/view?${query}`)).json();
    state.textContent = "";
    document.querySelectorAll(".bar-clock").forEach((bar) => { bar.textContent = clock(view.now); });
    if (!view.same) {
      revision = view.revision;
      owner.customer = view.wechat.id;
      owner.employee = view.wecom.userid;
      draw(view);
    }
  } catch {
    state.textContent = texts.lost;
  } finally {
    busy = false;
  }
}

for (const select of document.querySelectorAll("[data-who]")) {
  select.addEventListener("change", () => {
    owner[select.dataset.who === "wechat" ? "customer" : "employee"] = select.value;
    revision = "";
    refresh();
  });
}

function turn(phone) {
  desk.dataset.shown = phone;
  for (const button of document.querySelectorAll("[data-phone]")) {
    button.setAttribute("aria-pressed", String(button.dataset.phone === phone));
  }
}
for (const button of document.querySelectorAll("[data-phone]")) {
  button.addEventListener("click", () => { location.hash = button.dataset.phone; });
}
const turned = () => turn(["wechat", "tasks", "wecom"].find((phone) => `#${phone}` === location.hash) ?? "wechat");
addEventListener("hashchange", turned);
turned();

await refresh();
setInterval(() => { if (!document.hidden) refresh(); }, EVERY);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
