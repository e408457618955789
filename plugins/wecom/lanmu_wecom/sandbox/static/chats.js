// A phone's messages: the list of chats, and one conversation.
import { avatar, el, icon, when } from "./dom.js";
import { brief, part } from "./parts.js";

const PAUSE = 300; // seconds of silence after which a conversation shows the time again

export class Chats {
  constructor(screen, title) {
    this.screen = screen;
    this.title = title;
    this.open = undefined; // undefined: nothing chosen yet; null: the list
    this.read = new Map();
    this.owner = "";
  }

  show(owner, chats, now, texts) {
    if (owner !== this.owner) {
      this.owner = owner;
      this.open = undefined;
      this.read = new Map(chats.map((chat) => [chat.id, last(chat)]));
    }
    if (this.open === undefined) this.open = chats.find((chat) => chat.messages.length)?.id ?? null;
    const chat = chats.find((one) => one.id === this.open);
    if (chat) this.read.set(chat.id, last(chat));
    const again = () => this.show(owner, chats, now, texts);
    const unread = (one) => one.messages.filter((each) => each.at > (this.read.get(one.id) ?? 0)).length;
    if (chat) this.#talk(chat, chats.reduce((sum, one) => sum + unread(one), 0), again, now, texts);
    else this.#list(chats, unread, again, now, texts);
  }

  #list(chats, unread, again, now, texts) {
    const rows = chats.map((chat) => {
      const newest = chat.messages.at(-1);
      const count = unread(chat);
      const said = newest ? brief(newest, texts) : "";
      const preview = newest && chat.kind !== "direct" && chat.kind !== "app" ? `${newest.author}: ${said}` : said;
      const name = el("b", { text: chat.kind === "app" ? texts.app : chat.name });
      if (chat.shop) name.append(el("i", { text: ` @${chat.shop}` }));
      return el("li", {}, el(
        "button",
        { type: "button", onclick: () => { this.open = chat.id; again(); } },
        el("span", { class: "avatar-box" }, face(chat), count ? el("span", { class: "dot", text: count }) : null),
        el("span", { class: "row" },
          el("span", { class: "row-top" }, name, newest ? el("time", { text: when(newest.at, now, texts) }) : null),
          el("p", { text: preview })),
      ));
    });
    if (!chats.some((chat) => chat.messages.length)) {
      rows.push(el("li", { class: "nothing" }, texts.empty_chat));
    }
    const keep = this.screen.querySelector(".chats")?.scrollTop ?? 0;
    this.screen.replaceChildren(nav(this.title(texts)), el("ul", { class: "chats" }, ...rows));
    this.screen.querySelector(".chats").scrollTop = keep;
  }

  #talk(chat, elsewhere, again, now, texts) {
    const before = this.screen.querySelector(".talk");
    const same = before && before.dataset.chat === chat.id;
    const away = same ? before.scrollHeight - before.scrollTop - before.clientHeight : 0;
    const kept = before?.scrollTop ?? 0;
    const talk = el("div", { class: "talk", "data-chat": chat.id });
    let previous = 0;
    for (const message of chat.messages) {
      if (message.at - previous > PAUSE) {
        talk.append(el("p", { class: "when", text: when(message.at, now, texts, true) }));
      }
      previous = message.at;
      talk.append(said(chat, message, texts));
    }
    if (!chat.messages.length) talk.append(el("p", { class: "nothing" }, icon("chat"), texts.empty_chat));
    const back = el("button", { class: "back", type: "button", "aria-label": texts.messages,
      onclick: () => { this.open = null; again(); } }, elsewhere ? el("b", { text: elsewhere }) : null);
    const count = chat.members ? `(${chat.members})` : "";
    const name = chat.kind === "app" ? texts.app : chat.name + count;
    this.screen.replaceChildren(nav(name, back, chat.shop ? `@${chat.shop}` : ""), talk, typing());
    const bottom = () => { talk.scrollTop = talk.scrollHeight; };
    if (away > 60) talk.scrollTop = kept; // somebody is reading further up
    else {
      bottom();
      talk.querySelectorAll("img").forEach((image) => image.addEventListener("load", bottom));
    }
  }
}

const last = (chat) => chat.messages.at(-1)?.at ?? 0;

function face(chat) {
  if (chat.kind === "direct") return avatar("employee", chat.name);
  if (chat.kind === "app") return avatar("app", "");
  return avatar("group", chat.name);
}

function said(chat, message, texts) {
  const kind = { robot: "robot", app: "app" }[chat.kind] ?? "employee";
  const body = el("div", { class: "said-body" });
  if (chat.kind === "group" || chat.kind === "robot") {
    const who = el("div", { class: "who", text: message.author });
    if (message.shop) who.append(el("i", { text: ` @${message.shop}` }));
    if (chat.kind === "robot") who.append(el("span", { class: "tag", text: "BOT" }));
    body.append(who);
  }
  body.append(part(message, texts));
  return el("div", { class: "said" }, avatar(kind, message.author), body);
}

export function nav(title, left, small) {
  const head = el("h3", { text: title });
  if (small) head.append(el("small", { text: small }));
  return el("div", { class: "nav" }, left ?? el("span"), head, el("span", { class: "more", "aria-hidden": "true", text: "···" }));
}

function typing() {
  return el("div", { class: "type", "aria-hidden": "true" }, icon("voice"), el("span"), icon("smile"), icon("plus"));
}
