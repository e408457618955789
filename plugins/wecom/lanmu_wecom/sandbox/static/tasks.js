// The employee's broadcasts: what waits to be confirmed, and the hand that confirms it.
import { avatar, el, icon, when } from "./dom.js";
import { nav } from "./chats.js";
import { brief, part } from "./parts.js";

const WAITS = new Set(["open", "part"]);

export class Tasks {
  constructor(screen, confirmed) {
    this.screen = screen;
    this.confirmed = confirmed;
    this.left = new Map(); // broadcast → recipients whose tick was taken away
    this.unfolded = new Set();
    this.told = new Map();
  }

  show(userid, tasks, now, texts) {
    const again = () => this.show(userid, tasks, now, texts);
    const keep = this.screen.querySelector(".tasks")?.scrollTop ?? 0;
    const list = el("div", { class: "tasks" });
    const order = (task) => (WAITS.has(task.state) || task.state === "dispatching" ? 0 : 1);
    for (const task of [...tasks].sort((a, b) => order(a) - order(b))) list.append(this.#task(userid, task, now, texts, again));
    if (!tasks.length) list.append(el("p", { class: "nothing" }, icon("chat"), texts.empty_tasks));
    this.screen.replaceChildren(nav(texts.tasks), list);
    list.scrollTop = keep;
  }

  #task(userid, task, now, texts, again) {
    const kind = task.chat_type === "group" ? texts.groups : texts.customers;
    const total = task.waiting + task.sent + task.failed;
    const title = `${texts.task_from} ${total} ${kind}`;
    const reminded = task.reminders ? ` · ${texts.reminded} ${task.reminders}` : "";
    const head = el("div", { class: "task-head" },
      el("div", {}, el("b", { text: title }), el("time", { text: when(task.at, now, texts, true) + reminded })),
      el("span", { class: `pill ${task.state}`, text: texts[task.state] }));
    if (!WAITS.has(task.state)) return this.#settled(task, head, texts);
    const left = this.left.get(task.msgid) ?? new Set();
    this.left.set(task.msgid, left);
    const waiting = task.targets.filter((target) => target.status === 0);
    const chosen = waiting.filter((target) => !left.has(target.key));
    const send = (answer, targets) => this.#send(userid, task, answer, targets, again);
    const some = chosen.length > 0 && chosen.length < waiting.length;
    const acts = el("div", { class: "acts" },
      el("button", { class: some ? "" : "main", type: "button", text: texts.all, onclick: () => send("all") }),
      some ? el("button", { class: "main", type: "button", text: `${texts.chosen} (${chosen.length})`,
        onclick: () => send("part", chosen.map((one) => one.key)) }) : null,
      el("button", { type: "button", text: texts.none, onclick: () => send("none") }));
    const box = el("article", { class: "task" }, head, content(task, texts), this.#targets(task, left, texts, again), acts);
    if (this.told.has(task.msgid)) box.append(el("p", { class: "told", role: "alert", text: this.told.get(task.msgid) }));
    return box;
  }

  #settled(task, head, texts) {
    const sums = [[task.sent, texts.reached], [task.failed, texts.failed]].filter(([count]) => count);
    const first = task.parts[0] ? brief(task.parts[0], texts) : "";
    const line = [...sums.map(([count, word]) => `${word} ${count}`), first].join(" · ");
    const open = this.unfolded.has(task.msgid);
    const box = el("details", { class: "task", open }, el("summary", {}, head, el("p", { class: "sum", text: line })),
      content(task, texts), this.#targets(task, null, texts));
    box.addEventListener("toggle", () => (box.open ? this.unfolded.add(task.msgid) : this.unfolded.delete(task.msgid)));
    return box;
  }

  #targets(task, left, texts, again) {
    const rows = task.targets.map((target) => {
      const face = avatar(task.chat_type === "group" ? "group" : "customer", target.name);
      const name = el("span", { class: "name", text: target.name });
      if (target.status === 0 && left) {
        const tick = el("input", { type: "checkbox", onchange: (event) => {
          if (event.target.checked) left.delete(target.key);
          else left.add(target.key);
          again();
        } });
        tick.checked = !left.has(target.key);
        return el("li", {}, el("label", {}, tick, face, name, target.members ? el("small", { text: target.members }) : null));
      }
      const [style, word] = [["", ""], ["yes", texts.done], ["no", texts.no_friend], ["no", texts.quota]][target.status];
      return el("li", { class: "fixed" }, face, name, el("small", { class: style, text: word }));
    });
    return el("ul", { class: "to" }, ...rows);
  }

  async #send(userid, task, answer, targets, again) {
    const order = { msgid: task.msgid, userid, answer, targets };
    const response = await fetch("sandbox/api/confirm", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(order),
    });
    if (response.ok) this.told.delete(task.msgid);
    else this.told.set(task.msgid, (await response.json()).error);
    if (!response.ok) again();
    this.confirmed();
  }
}

function content(task, texts) {
  const parts = task.parts.map((one) => (one.kind === "text" ? el("div", { class: "words", text: one.text }) : part(one, texts)));
  return el("div", { class: "said-parts" }, ...parts);
}
